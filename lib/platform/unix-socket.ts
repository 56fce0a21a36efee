/** Listening on a Unix socket that only this user may use, in place of one that a process left behind. */
import { chmodSync, lstatSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'

const OWNER_ALONE = 0o600

/**
 * Opens by `open` a socket at `path`. Rejects with an error whose `code` is EADDRINUSE where a process listens there, EEXIST where
 * something else is there, or with Node's. The returned function removes it.
 */
export async function openUnixSocket(path: string, open: (path: string) => Promise<unknown>): Promise<() => void> {
  await refuseTaken(path)
  // Nobody else can reach it there until its mode is right; the rename takes the place of what was left behind.
  const folder = mkdtempSync(join(dirname(path), '.p'))
  try {
    const hidden = join(folder, 's')
    await open(hidden)
    chmodSync(hidden, OWNER_ALONE)
    renameSync(hidden, path)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  const { ino } = lstatSync(path)
  return () => {
    // Another process may have put its own there since.
    if (lstatSync(path, { throwIfNoEntry: false })?.ino === ino) rmSync(path, { force: true })
  }
}

async function refuseTaken(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (!found) return
  if (!found.isSocket()) throw createError('EEXIST', `${path} is there and is no socket`)
  if (await isAnswered(path)) throw createError('EADDRINUSE', `a process listens on ${path}`)
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    const settle = (is: boolean) => {
      socket.destroy()
      resolve(is)
    }
    socket.once('connect', () => settle(true))
    // One that may not be asked is somebody's.
    socket.once('error', ({ code }: NodeJS.ErrnoException) => settle(code === 'EACCES' || code === 'EPERM'))
  })
}

function createError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}
