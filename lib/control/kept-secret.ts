/** A secret that outlives restarts where the data folder can be written. */
import { randomBytes } from 'node:crypto'
import { chmod, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { keepFile } from '../base/data-folder.ts'
import type { Log } from '../telemetry/log.ts'

/** The name of the one that cookies are signed with. */
export const COOKIE_SECRET = 'affinity.key'

const BYTES = 32
const FORM = /^[0-9a-f]{64}\n?$/

/** Reads it from `dataDir`, or makes one. Where it cannot be kept it lives in memory, and what it signed is worth nothing after a restart. */
export async function loadKeptSecret(dataDir: string, name: string, log: Log): Promise<Buffer> {
  const path = join(dataDir, name)
  const kept = await readKept(path, log)
  if (kept) return kept
  const made = randomBytes(BYTES)
  try {
    await keepFile(dataDir, name, `${made.toString('hex')}\n`)
  } catch (error) {
    log.debug({ err: error, path }, 'a secret cannot be kept: a new one is made at each start')
  }
  return made
}

/** The secret that `loadKeptSecret` would find; undefined: it would make one. Nothing is written. */
export async function peekKeptSecret(dataDir: string, name: string): Promise<Buffer | undefined> {
  try {
    return parse(await readFile(join(dataDir, name), 'latin1'))
  } catch {
    return undefined
  }
}

async function readKept(path: string, log: Log): Promise<Buffer | undefined> {
  try {
    const secret = parse(await readFile(path, 'latin1'))
    if (secret === undefined) log.warn({ path }, 'a kept secret cannot be used and is made anew')
    else if ((await stat(path)).mode & 0o077) await chmod(path, 0o600)
    return secret
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      log.debug({ err: error, path }, 'a kept secret cannot be read')
    return undefined
  }
}

function parse(text: string): Buffer | undefined {
  return FORM.test(text) ? Buffer.from(text.trimEnd(), 'hex') : undefined
}
