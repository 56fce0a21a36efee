/** The file that tells scripts and tests where a gateway listens. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import type { BoundPorts } from './print/boot.ts'

/** Takes away the file of an earlier run, which would lie. */
export function removeReadyFile(path: string): void {
  rmSync(path, { force: true })
}

/** Takes away this process's own file, as soon as it stops; another's that has taken over the name stays. */
export function withdrawReadyFile(path: string): void {
  try {
    if (JSON.parse(readFileSync(path, 'utf8')).pid === process.pid) removeReadyFile(path)
  } catch {
    // Gone, or no longer readable: there is nothing to take away.
  }
}

/** `{"http":PORT,"https":PORT,"admin":PORT,"dns":PORT,"pid":PID}`, whole or not at all; listeners that are off are left out. */
export function writeReadyFile(path: string, ports: BoundPorts): void {
  const { http, https, admin, dns } = ports
  const half = `${path}.${process.pid}`
  writeFileSync(half, `${JSON.stringify({ http, https, admin, dns, pid: process.pid })}\n`)
  renameSync(half, path)
}
