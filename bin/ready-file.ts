/** The file that tells scripts and tests where a gateway listens. */
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import type { BoundPorts } from './print/boot.ts'

/** Takes away the file of an earlier run, which would lie. */
export function removeReadyFile(path: string): void {
  rmSync(path, { force: true })
}

/** `{"http":PORT,"https":PORT,"admin":PORT,"pid":PID}`, whole or not at all; listeners that are off are left out. */
export function writeReadyFile(path: string, ports: BoundPorts): void {
  const { http, https, admin } = ports
  const half = `${path}.${process.pid}`
  writeFileSync(half, `${JSON.stringify({ http, https, admin, pid: process.pid })}\n`)
  renameSync(half, path)
}
