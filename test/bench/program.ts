/** Where programs are: an environment variable, the folder of the peers that were built for this, the PATH. */
import { accessSync, constants } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'

const built = process.env.PORTICO_BENCH_PEERS ?? join(homedir(), '.cache', 'portico-bench')

/** The path of a program, from `PORTICO_BENCH_<NAME>`, `bench:peers`' folder, the PATH or /usr/sbin; undefined where there is none. */
export function findProgram(name: string): string | undefined {
  const named = process.env[`PORTICO_BENCH_${name.toUpperCase()}`]
  if (named !== undefined) return isExecutable(named) ? named : undefined
  const folders = [join(built, 'bin'), ...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  return folders.map((folder) => join(folder, name)).find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
