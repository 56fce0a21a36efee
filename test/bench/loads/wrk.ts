/** Closed-loop load over HTTP/1.1 by wrk: as many requests as the candidate takes from so many connections. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Core, run } from '../child.ts'
import { findProgram } from '../program.ts'
import type { LoadResult } from './result.ts'

export type WrkLoad = Readonly<{
  /** `http://…` or `https://…`, without a path. */
  origin: string
  connections: number
  seconds: number
  /** Hosts and paths that the requests take turns on. */
  targets: readonly (readonly [host: string, path: string])[]
  /** Fields beside those of a browser. */
  fields?: readonly (readonly [name: string, value: string])[]
  /** Bytes of a POST's body; a GET where left out. */
  bodyBytes?: number
  /** A new connection for each request. */
  closing?: boolean
}>

/** What a browser sends, near 480 bytes in all. */
export const FIELDS: readonly (readonly [name: string, value: string])[] = [
  [
    'User-Agent',
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36',
  ],
  ['Accept', 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8'],
  ['Accept-Language', 'en-GB,en;q=0.9,de;q=0.8'],
  ['Accept-Encoding', 'gzip, deflate, br'],
  ['Cookie', 'session=5f0c1b7a9d3e4c62; theme=dark; consent=1'],
  ['Cache-Control', 'no-cache'],
  ['Referer', 'https://shop.example.com/products?page=2'],
]

export async function loadWithWrk(load: WrkLoad, folder: string, core: Core): Promise<LoadResult> {
  const script = join(folder, 'load.lua')
  writeFileSync(script, printScript(load))
  const { connections, seconds, origin } = load
  const args = ['-t', '1', '-c', String(connections), '-d', `${seconds}s`, '--timeout', '10s', '-s', script, origin]
  const output = await run(findProgram('wrk') ?? 'wrk', args, core, (seconds + 30) * 1000)
  const line = output.split('\n').find((each) => each.startsWith('RESULT '))
  if (line === undefined) throw new Error(`wrk printed no result: ${output.trim()}`)
  const [requests, micros, p50, p99, failures, refused] = line.split(' ').slice(1).map(Number)
  return {
    requests: requests! - refused!,
    seconds: micros! / 1e6,
    p50Ms: p50! / 1000,
    p99Ms: p99! / 1000,
    failures: failures! + refused!,
  }
}

/** A head without the empty line at its end. */
export function printHead(method: string, host: string, path: string): string {
  const fields = FIELDS.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${fields}`
}

/** Whole requests, made once; 1,000 of them are as many as it takes for none to stay in a cache. */
function printScript({ targets, fields = [], bodyBytes, closing }: WrkLoad): string {
  const more = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const rest = `${more}${closing ? 'Connection: close\r\n' : ''}${bodyBytes === undefined ? '' : `Content-Length: ${bodyBytes}\r\n`}\r\n`
  const method = bodyBytes === undefined ? 'GET' : 'POST'
  const heads = targets.map(([host, path]) => JSON.stringify(printHead(method, host, path) + rest))
  return `local requests = {${heads.join(',\n')}}
local body = string.rep('x', ${bodyBytes ?? 0})
for at = 1, #requests do requests[at] = requests[at] .. body end
local at, count = 0, #requests
function request()
  at = at % count + 1
  return requests[at]
end
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('RESULT %d %d %.1f %.1f %d %d\\n', summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), errors.connect + errors.read + errors.write + errors.timeout, errors.status))
end
`
}
