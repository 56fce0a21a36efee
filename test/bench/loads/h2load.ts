/** Closed-loop load over HTTP/2 and TLS by h2load. */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Core, run } from '../child.ts'
import { findProgram } from '../program.ts'
import { HOST } from '../scenario.ts'
import { type LoadResult, percentile } from './result.ts'
import { FIELDS } from './wrk.ts'

export type H2Load = Readonly<{ port: number; path: string; connections: number; streams: number; seconds: number }>

export async function loadWithH2load(load: H2Load, folder: string, core: Core): Promise<LoadResult> {
  const { port, path, connections, streams, seconds } = load
  const log = join(folder, 'h2load.log')
  rmSync(log, { force: true })
  const fields = FIELDS.flatMap(([name, value]) => ['-H', `${name.toLowerCase()}: ${value}`])
  const args = ['-c', String(connections), '-m', String(streams), '-D', String(seconds), '--log-file', log, ...fields]
  const output = await run(
    findProgram('h2load') ?? 'h2load',
    [...args, '--connect-to', `127.0.0.1:${port}`, `https://${HOST}:${port}${path}`],
    core,
    (seconds + 30) * 1000,
  )
  const counts = /(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout/.exec(output)
  const elapsed = /finished in ([\d.]+)(ms|s)/.exec(output)
  if (counts === null || elapsed === null) throw new Error(`h2load printed no result: ${output.trim()}`)
  const answered = readFileSync(log, 'latin1').split('\n')
  // Start, status, duration; all times in microseconds.
  const micros = Float64Array.from(
    answered.filter((line) => line.includes('\t200\t')),
    (line) => Number(line.split('\t')[2]),
  ).sort()
  return {
    requests: Number(counts[1]),
    seconds: Number(elapsed[1]) / (elapsed[2] === 'ms' ? 1000 : 1),
    p50Ms: percentile(micros, 0.5) / 1000,
    p99Ms: percentile(micros, 0.99) / 1000,
    failures: Number(counts[2]) + Number(counts[3]) + Number(counts[4]),
  }
}
