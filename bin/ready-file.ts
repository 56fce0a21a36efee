/** The file that tells scripts and tests the gateway's ports. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import type { BoundPorts } from './print/boot.ts'

/** Removes the file of an earlier run, which would be wrong. */
export function removeReadyFile(path: string): void {
  rmSync(path, { force: true })
}

/** Removes this process's file as soon as it stops; a file of another process under the same name stays. */
export function withdrawReadyFile(path: string): void {
  try {
    if (JSON.parse(readFileSync(path, 'utf8')).pid === process.pid) removeReadyFile(path)
  } catch {
    // The file is gone or no longer readable, so there is nothing to remove.
  }
}

/** Writes `{"http":PORT,"https":PORT,"admin":PORT,"dns":PORT,"pid":PID}`, completely or not at all, without listeners that are off. */
export function writeReadyFile(path: string, ports: BoundPorts): void {
  const { http, https, admin, dns } = ports
  const half = `${path}.${process.pid}`
  writeFileSync(half, `${JSON.stringify({ http, https, admin, dns, pid: process.pid })}\n`)
  renameSync(half, path)
}
