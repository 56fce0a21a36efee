/** Updates and figures cut into messages: together they say the same. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { deserialize, serialize } from 'node:v8'
import t from 'tap'
import { findUpdate, type SnapshotUpdate } from '../../lib/snapshot/update.ts'
import { RequestCounts } from '../../lib/telemetry/request-counts.ts'
import { TrafficMeter } from '../../lib/telemetry/traffic-meter.ts'
import {
  cutFigures,
  cutFound,
  cutTraffic,
  cutUpdate,
  joinTraffic,
  joinUpdate,
  type TrafficFigures,
} from '../../lib/workers/message.ts'
import { makeCertificate } from '../helpers/certificates.ts'
import { makeSettings } from '../helpers/settings.ts'
import { makeModel } from '../helpers/snapshot.ts'
import { makeLabels, makeRecord } from '../telemetry/make-record.ts'
import { translateText } from '../translate/manifests.ts'

const model = makeModel({
  upstreams: { web: [{ port: 3000, probes: [] }] },
  routes: Array.from({ length: 3_000 }, (_, index) => ({
    host: `host-${index % 300}.test`,
    path: `/${index}`,
    to: 'web',
  })),
})
const update = findUpdate(undefined, { generation: 1, builtAt: 2, settings: makeSettings(), model })

/** As an update reaches a worker. */
function send(given: SnapshotUpdate): SnapshotUpdate {
  return joinUpdate([...cutUpdate(given)].map((piece) => deserialize(serialize(piece))))
}

t.test('a large update is cut into messages of bounded size, and is whole when joined', async (t) => {
  const messages = [...cutUpdate(update)].map((piece) => serialize(piece))
  t.ok(messages.length >= 7, `${messages.length} messages`)
  for (const { length } of messages) t.ok(length < 100_000, `${length} bytes`)
  t.same(joinUpdate(messages.map((message) => deserialize(message))), update)
})

t.test('long texts of filters are spread over messages, and stand in each of them once', async (t) => {
  const bodies = Array.from({ length: 4 }, (_, index) => String(index).repeat(1_048_576))
  const lists = bodies.map((body) => [{ name: 'respond', options: { body } }])
  const [table] = update.tables
  const hosts = table!.hosts.map((host, index) => ({
    ...host,
    routes: host.routes.map((route) => ({ ...route, filters: lists[index % 2 === 0 ? 0 : index % 4]! })),
  }))
  const given = { ...update, tables: [{ ...table!, hosts }] }
  const messages = [...cutUpdate(given)].map((piece) => serialize(piece))
  for (const { length } of messages) t.ok(length < 3_300_000, `${length} bytes`)
  t.ok(messages.length > 7 && messages.length < 30, `${messages.length} messages`)
  t.same(send(given).tables[0]?.hosts, hosts)
})

t.test('tables are joined by name, those too of which no host changed', async (t) => {
  const [table] = update.tables
  const [first, ...others] = table!.hosts
  const tables = [
    { ...table!, hosts: others },
    { ...table!, name: 'bare', hosts: [], removed: ['old.test'] },
    { ...table!, name: 'side', hosts: [first!], defaultRoute: first!.routes[0] },
  ]
  t.same(send({ ...update, tables }), { ...update, tables })
})

t.test('a message holds parts of the model as they are', async (t) => {
  const joined = joinUpdate([...cutUpdate(update)])
  const [table] = model.tables
  t.ok(joined.tables[0]?.hosts.every((host, index) => host === table?.hosts[index]))
  t.equal(joined.upstreams[0], model.upstreams.get('default/web:80'))
})

t.test('what is one object in the model is one object in a message', async (t) => {
  const [host] = send(update).tables[0]!.hosts
  t.equal(host?.routes[0]?.action, host?.routes[1]?.action)
  t.equal(host?.routes[0]?.owner, host?.routes[1]?.owner)
})

t.test('everything that a snapshot is made of reaches a worker as it is', async (t) => {
  const root = join(process.cwd(), 'test/fixtures/translate')
  const fixtures = readdirSync(root).map((name) => [name, readFileSync(join(root, name, 'in.yaml'), 'utf8')] as const)
  const { certificate, key } = await makeCertificate({ names: ['a.test'] })
  const rich = new Set<string>()
  for (const [name, text] of [...fixtures, ['policy and certificate', printSecured(certificate, key)] as const]) {
    const { model } = translateText(text)
    const given = findUpdate(undefined, { generation: 1, builtAt: 2, settings: makeSettings(), model })
    for (const [part, value] of Object.entries(given)) listFields(part, value, rich)
    t.same(send(given), given, name)
    t.same(findComputed(given), [], `${name}: plain data alone`)
  }
  // What the fixtures must hold for this to say something.
  for (const field of [
    'tables.hosts.routes.policy',
    'tables.hosts.routes.filters',
    'tables.hosts.filters',
    'upstreams.endpoints.probes',
    'upstreams.policy',
  ]) {
    t.ok(
      [...rich].some((found) => found.startsWith(field)),
      field,
    )
  }
  for (const field of [
    'listeners.sourceRanges',
    'certificates.certificate.privateKeyPem',
    'tables.defaultRoute.action',
  ]) {
    t.ok(
      [...rich].some((found) => found.startsWith(field)),
      field,
    )
  }
})

function printSecured(certificate: string, key: string): string {
  return JSON.stringify({
    kind: 'List',
    apiVersion: 'v1',
    items: [
      { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web' }, spec: { ports: [{ port: 80 }] } },
      {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'own' },
        stringData: { 'tls.crt': certificate, 'tls.key': key },
      },
      {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'Ingress',
        metadata: {
          name: 'web',
          annotations: {
            'portico.dev/tries': '3',
            'portico.dev/response-headers-remove': 'Server',
          },
        },
        spec: {
          tls: [{ hosts: ['a.test'], secretName: 'own' }],
          defaultBackend: { service: { name: 'web', port: { number: 80 } } },
          rules: [{ host: 'a.test' }],
        },
      },
    ],
  })
}

/** Names of all fields that hold something, list items taken together. */
function listFields(path: string, value: unknown, found: Set<string>): void {
  if (value === undefined) return
  found.add(path)
  if (Array.isArray(value)) for (const item of value) listFields(path, item, found)
  else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) listFields(`${path}.${key}`, item, found)
  }
}

/** Values that a message would lose or read at another time: of classes, functions, getters. */
function findComputed(value: unknown, path = ''): readonly string[] {
  if (typeof value === 'function') return [path]
  if (typeof value !== 'object' || value === null) return []
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && !Array.isArray(value)) return [path]
  return Object.entries(Object.getOwnPropertyDescriptors(value)).flatMap(([key, { get, value: inner }]) =>
    get ? [`${path}.${key}`] : findComputed(inner, `${path}.${key}`),
  )
}

t.test('an update that takes away says so once', async (t) => {
  const removed = { tables: ['old'], upstreams: [], certificates: ['b.test'], listeners: ['TCP [::]:30080'] }
  const tables = update.tables.map((table) => ({ ...table, removed: ['a.test'] }))
  const pieces = [...cutUpdate({ ...update, tables, removed })]
  t.same(joinUpdate(pieces).removed, removed)
  t.same(joinUpdate(pieces).tables[0]?.removed, ['a.test'])
  t.equal(pieces.filter((piece) => piece.removed.tables.length > 0).length, 1)
  t.equal(pieces.filter((piece) => piece.tables.some((table) => table.removed.length > 0)).length, 1)
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
  counts.countHandshake('TLSv1.3', true)
  counts.countHandshakeFailure('timeout')
  counts.observe(makeRecord({ filter: 'redirect', status: 308 }))
  const figures: TrafficFigures = {
    counts: counts.take(),
    endpoints: Array.from({ length: 500 }, (_, port) => ({
      identity: {
        key: `http 127.0.0.1 ${port}`,
        upstream: 'default/web:80',
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
    buffered: { memory: 4, file: 5 },
    connections: { http: 5, https: 6 },
    streams: 2,
    queued: [['http default/web:80', 3]],
    memory: { heap_used: 1, heap_total: 2, external: 3, array_buffers: 4 },
    loopDelay: { p50: 0.001, p99: 0.002, max: 0.003 },
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
  const [first] = pieces
  t.same([...first!.counts.handshakes], [['TLSv1.3', new Map([['resumed', 1]])]])
  t.same([...first!.counts.handshakeFailures], [['timeout', 1]])
  t.same([...first!.counts.filtered], [['redirect', new Map([['answered', 1]])]])
  t.ok(pieces.slice(1).every(({ counts: { filtered, handshakes } }) => filtered.size + handshakes.size === 0))
  const connections = pieces.flatMap((piece) => [...piece.counts.connections])
  t.equal(connections.length, 1_000)
  t.ok(pieces.every((piece) => piece.counts.connections.size < 300))
  t.same(connections[0], ['listener 0', new Map([['served', 1]])])
  const bytes = pieces.flatMap((piece) => [...piece.counts.bytes])
  t.same(bytes, [...figures.counts.bytes])
  t.equal(bytes.length, 1_000)
  t.ok(pieces.every(({ inFlight, tunnels }) => inFlight === 4 && tunnels === 3))
})

t.test('kept requests and measured routes come in pieces of bounded size, at least one', async (t) => {
  for (const count of [0, 1, 100, 101, 250]) {
    const requests = Array.from({ length: count }, (_, index) => ({
      record: makeRecord({ id: String(index) }),
      course: undefined,
    }))
    const found = [...cutFound(requests)]
    t.same(
      found.flatMap((piece) => piece.requests),
      requests,
    )
    t.ok(found.every((piece) => piece.requests.length <= 100))
    t.same(
      found.map(({ isLast }) => isLast),
      found.map((_, index) => index === found.length - 1),
    )

    const meter = new TrafficMeter()
    for (let index = 0; index < count; index++) {
      meter.observe(makeRecord({ labels: makeLabels({ route: `r${index}` }), endpoint: `127.0.0.1:${index}` }))
    }
    const traffic = meter.read(1_700_000_001_000)
    const measured = [...cutTraffic(traffic)]
    t.same(joinTraffic(measured.map((piece) => piece.traffic)), traffic)
    t.ok(measured.every((piece) => piece.traffic.routes.length <= 100 && piece.traffic.endpoints.length <= 100))
    t.same(
      measured.map(({ isLast }) => isLast),
      measured.map((_, index) => index === measured.length - 1),
    )
  }
})
