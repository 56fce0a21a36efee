/** Updates and figures cut into messages: together they say the same. */
import { deserialize, serialize } from 'node:v8'
import t from 'tap'
import { diffLive, selectLive } from '../../lib/snapshot/update.ts'
import { RequestCounts } from '../../lib/telemetry/request-counts.ts'
import { cutFigures, cutUpdate, joinUpdate, type TrafficFigures } from '../../lib/workers/message.ts'
import { makeSettings } from '../helpers/settings.ts'
import { makeModel, NOWHERE } from '../helpers/snapshot.ts'
import { makeLabels, makeRecord } from '../telemetry/make-record.ts'

const model = makeModel({
  upstreams: { web: [{ port: 3000, position: NOWHERE, probes: [] }] },
  routes: Array.from({ length: 3_000 }, (_, index) => ({
    host: `host-${index % 300}.test`,
    path: `/${index}`,
    to: 'web',
  })),
})
const update = diffLive(
  undefined,
  selectLive({ generation: 1, builtAt: 2, settings: makeSettings(), model, diagnostics: [] }),
)

t.test('a large update is cut into messages of bounded size, and is whole when joined', async (t) => {
  const messages = [...cutUpdate(update)].map((piece) => serialize(piece))
  t.ok(messages.length >= 7, `${messages.length} messages`)
  for (const { length } of messages) t.ok(length < 100_000, `${length} bytes`)
  const joined = joinUpdate(messages.map((message) => deserialize(message)))
  t.same(
    joined.hosts.map(({ host, routes }) => [host, routes.map(({ id, match, action }) => [id, match, action])]),
    update.hosts.map(({ host, routes }) => [host, routes.map(({ id, match, action }) => [id, match, action])]),
  )
  t.same(
    joined.upstreams.map(({ endpoints }) => endpoints.map(({ host, port }) => [host, port])),
    [[['127.0.0.1', 3000]]],
  )
  t.same([joined.settings, joined.generation, joined.builtAt], [update.settings, 1, 2])
})

t.test('places in files stay behind, and equal parts are there once', async (t) => {
  const [host] = joinUpdate([...cutUpdate(update)].map((piece) => deserialize(serialize(piece)))).hosts
  t.notOk(JSON.stringify([...cutUpdate(update)].map(({ hosts }) => hosts)).includes('position'))
  t.notOk(JSON.stringify([...cutUpdate(update)].map(({ upstreams }) => upstreams[0]?.endpoints)).includes('position'))
  t.notOk(JSON.stringify([...cutUpdate(update)].map(({ upstreams }) => upstreams[0]?.endpoints)).includes('probes'))
  t.equal(host?.routes[0]?.action, host?.routes[1]?.action)
  t.equal(host?.routes[0]?.ingress, host?.routes[1]?.ingress)
})

t.test('what a model computes reaches the other side', async (t) => {
  class ComputedRoute {
    readonly host = ''
    readonly match = { type: 'prefix', path: '/' } as const
    readonly ingress = { namespace: 'default', name: 'test' }
    get policy() {
      return { tries: 3, 'retry.conditions': ['503'] }
    }
    get id() {
      return 'default/test'
    }
    get action() {
      return { type: 'forward', upstream: 'default/web:80' } as const
    }
  }
  const host = { host: '', redirectToHttps: false, routes: [new ComputedRoute(), new ComputedRoute()] }
  const computed = { ...update, hosts: [host], defaultRoute: new ComputedRoute() }
  const joined = joinUpdate([...cutUpdate(computed)].map((piece) => deserialize(serialize(piece))))
  const expected = {
    id: 'default/test',
    action: { type: 'forward', upstream: 'default/web:80' },
    policy: { tries: 3, 'retry.conditions': ['503'] },
  }
  t.match(joined.hosts[0]?.routes, [expected, expected])
  t.match(joined.defaultRoute, expected)
  const [first, second] = joined.hosts[0]!.routes
  t.equal(first?.policy, second?.policy, 'equal policies are one object')
})

t.test('actions that differ stay apart', async (t) => {
  const both = makeModel({
    upstreams: { web: [3000] },
    routes: [
      { path: '/a', to: 'web' },
      { path: '/b', to: 404 },
      { path: '/c', to: 503 },
    ],
  })
  const served = { generation: 1, builtAt: 0, settings: makeSettings(), model: both, diagnostics: [] }
  const { hosts } = joinUpdate([...cutUpdate(diffLive(undefined, selectLive(served)))])
  t.match(
    hosts[0]?.routes.map(({ action }) => action),
    [{ type: 'forward' }, { code: 'PORTICO_REQ_NO_ROUTE' }, { code: 'PORTICO_UP_NO_SERVICE' }],
  )
})

t.test('an update that takes away says so once', async (t) => {
  const removed = { hosts: ['a.test'], upstreams: [], certificates: ['b.test'], listeners: ['TCP [::]:30080'] }
  const pieces = [...cutUpdate({ ...update, removed })]
  t.same(joinUpdate(pieces).removed, removed)
  t.equal(pieces.filter((piece) => piece.removed.hosts.length > 0).length, 1)
})

t.test('figures in several messages add up to the same', async (t) => {
  const counts = new RequestCounts()
  for (let index = 0; index < 1_000; index++)
    counts.observe(makeRecord({ labels: makeLabels({ ingress: `default/i${index}` }), error: undefined }))
  counts.observe(makeRecord({ error: 'PORTICO_UP_RESET', status: 502 }))
  for (let index = 0; index < 1_000; index++) {
    counts.countConnection(`listener ${index}`, 'served')
    counts.countBytes(`listener ${index}`, { bytesIn: index, bytesOut: 1 })
  }
  const figures: TrafficFigures = {
    counts: counts.take(),
    endpoints: Array.from({ length: 500 }, (_, port) => ({
      identity: {
        key: `http 127.0.0.1 ${port}`,
        upstream: 'default/web:80',
        protocol: 'http',
        host: '127.0.0.1',
        port,
      },
      inFlight: 0,
      requests: 1,
      failures: 0,
      answers: 0,
      failuresInRow: 0,
      lastFailure: undefined,
    })),
    circuits: [],
    logLinesDropped: 3,
    inFlight: 4,
    tunnels: 3,
    connections: { http: 5, https: 6 },
    residentBytes: 7,
    heapBytes: 8,
    cpuSeconds: 9,
  }
  const pieces = [...cutFigures(figures)]
  t.ok(pieces.length > 5)
  t.same(
    pieces.flatMap((piece) => piece.counts.series),
    figures.counts.series,
  )
  t.same(
    pieces.flatMap(({ endpoints }) => endpoints),
    figures.endpoints,
  )
  t.equal(
    pieces.reduce((sum, { logLinesDropped }) => sum + logLinesDropped, 0),
    3,
  )
  t.same(
    pieces.flatMap((piece) => [...piece.counts.errors]),
    [['PORTICO_UP_RESET', 1]],
  )
  const connections = pieces.flatMap((piece) => [...piece.counts.connections])
  t.equal(connections.length, 1_000)
  t.ok(pieces.every((piece) => piece.counts.connections.size < 300))
  t.same(connections[0], ['listener 0', new Map([['served', 1]])])
  const bytes = pieces.flatMap((piece) => [...piece.counts.bytes])
  t.same(bytes, [...figures.counts.bytes])
  t.equal(bytes.length, 1_000)
  t.ok(pieces.every(({ inFlight, tunnels }) => inFlight === 4 && tunnels === 3))
})
