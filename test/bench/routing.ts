/** Prints what a look-up costs at 10, 1,000 and 100,000 routes: `node dist/test/bench/routing.js`. */
import { parseAuthority } from '../../lib/base/hostname.ts'
import { normalizePath, USUAL_PATHS } from '../../lib/base/path.ts'
import { compileTable, findRoute } from '../../lib/routing/table.ts'
import { BARE } from '../helpers/routed-request.ts'
import { createTable, type RouteLine } from '../routing/models.ts'

const ROUNDS = 5
const LOOKUPS = 1_000_000

type Shape = Readonly<{
  name: string
  line: (index: number) => RouteLine
  url: (index: number) => readonly [string, string]
}>

const SHAPES: readonly Shape[] = [
  {
    name: 'one host, many paths',
    line: (index) => ['shop.example.com', 'Prefix', `/api/v${index % 10}/service-${index}`],
    url: (index) => ['shop.example.com', `/api/v${index % 10}/service-${index}/orders/42`],
  },
  {
    name: 'many hosts, ten paths each',
    line: (index) => [
      `app-${Math.floor(index / 10)}.example.com`,
      index % 2 === 0 ? 'Prefix' : 'Exact',
      `/part-${index % 10}`,
    ],
    url: (index) => [`app-${Math.floor(index / 10)}.example.com`, `/part-${index % 10}`],
  },
]

for (const shape of SHAPES) {
  for (const count of [10, 1_000, 100_000]) {
    const lines = Array.from({ length: count }, (_, index) => shape.line(index))
    const model = createTable(lines)
    const built = performance.now()
    const table = compileTable(model, (route) => route)
    const compileMs = performance.now() - built
    const urls = Array.from({ length: Math.min(count, 1_000) }, (_, index) =>
      shape.url(Math.floor((index * count) / Math.min(count, 1_000))),
    )
    const lookup = measure(urls, (host, path) => findRoute(table, host, path, BARE))
    const whole = measure(urls, (host, path) => {
      const normal = normalizePath(path, USUAL_PATHS)
      const authority = parseAuthority(host)
      return normal && authority && findRoute(table, authority.hostname, normal.matchPath, BARE)
    })
    console.log(
      `${shape.name.padEnd(28)} ${String(count).padStart(7)} routes  look-up ${lookup.toFixed(0).padStart(4)} ns  ` +
        `with normal forms ${whole.toFixed(0).padStart(4)} ns  compile ${compileMs.toFixed(1)} ms`,
    )
  }
}

/** Nanoseconds a call, the best of several rounds; strings are made anew so that no hash is remembered. */
function measure(urls: readonly (readonly [string, string])[], find: (host: string, path: string) => unknown): number {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < ROUNDS; round++) {
    const fresh = urls.map(
      ([host, path]) => [Buffer.from(host).toString('latin1'), Buffer.from(path).toString('latin1')] as const,
    )
    const start = performance.now()
    for (let at = 0; at < LOOKUPS; at++) {
      const [host, path] = fresh[at % fresh.length]!
      if (find(host, path) === undefined) throw new Error(`no route for ${host}${path}`)
    }
    best = Math.min(best, ((performance.now() - start) * 1e6) / LOOKUPS)
  }
  return best
}
