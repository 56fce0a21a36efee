/** What of a configuration reaches the data side, and that what did not change is not touched there. */
import t, { type Test } from 'tap'
import { systemClock } from '../../lib/base/clock.ts'
import { runAtOnce } from '../../lib/base/slice.ts'
import { FilterChains } from '../../lib/filters/chain.ts'
import type { Model } from '../../lib/model/model.ts'
import type { Route } from '../../lib/model/route.ts'
import { findIngressTable, INGRESS_TABLE, type RouteTable } from '../../lib/model/route-table.ts'
import { findInHost, findRoute } from '../../lib/routing/table.ts'
import type { Settings } from '../../lib/settings/table.ts'
import { type ServedTable, type Snapshot, SnapshotBuilder } from '../../lib/snapshot/snapshot.ts'
import { findReached, findUpdate, type SnapshotSource } from '../../lib/snapshot/update.ts'
import { EndpointRegistry } from '../../lib/upstream/choice/registry.ts'
import { BARE } from '../helpers/routed-request.ts'
import { makeSettings } from '../helpers/settings.ts'
import { makeModel, makeUpstream, OWNER } from '../helpers/snapshot.ts'

const settings = makeSettings()

function inForce(generation: number, model: Model, given: Settings = settings): SnapshotSource {
  return { generation, builtAt: generation, settings: given, model }
}

const base = makeModel({
  upstreams: { one: [3001], two: [3002], unused: [3003] },
  routes: [
    { host: 'a.test', to: 'one' },
    { host: 'b.test', to: 'two' },
    { host: 'b.test', path: '/one', to: 'one' },
    { host: '', to: 404 },
  ],
  fallback: 'two',
})

/** The model with what `change` gives of the table in place of its own; the rest stays the same objects. */
function withTable(model: Model, change: (table: RouteTable) => Partial<RouteTable>): Model {
  return {
    ...model,
    tables: model.tables.map((table) => (table.name === INGRESS_TABLE ? { ...table, ...change(table) } : table)),
  }
}

/** What the listener `http` serves. */
function tableOf(snapshot: Snapshot): ServedTable {
  return snapshot.listeners.get('http')!.table
}

/** Builds one snapshot from the other. */
function startBuilder(t: Test): (next: SnapshotSource) => Snapshot {
  let current: Settings = settings
  const registry = new EndpointRegistry({ settings: () => current, clock: systemClock })
  t.teardown(() => registry.close())
  const builder = new SnapshotBuilder(
    registry,
    new FilterChains({ clock: systemClock, processes: 1, httpsPort: () => 443, warn: () => {} }),
  )
  let before: SnapshotSource | undefined
  return (next) => {
    current = next.settings
    const snapshot = runAtOnce(builder.build(findUpdate(before, next)))
    before = next
    return snapshot
  }
}

t.test('of nothing an update is everything that requests need', async (t) => {
  const update = findUpdate(undefined, inForce(1, base))
  t.same(update.tables[0]?.hosts.map(({ host }) => host).sort(), ['', 'a.test', 'b.test'])
  t.same(
    update.upstreams.map(({ key }) => key).sort(),
    ['default/one:80', 'default/two:80'],
    'no route leads to the rest',
  )
  t.same(update.listeners, base.listeners)
  t.same(update.removed, { tables: [], upstreams: [], certificates: [], listeners: [] })
  t.equal(update.tables[0]?.defaultRoute, findIngressTable(base).defaultRoute)
})

t.test('what is the same object as before is left out', async (t) => {
  const other = findIngressTable(makeModel({ routes: [{ host: 'a.test', path: '/new', to: 404 }] })).hosts
  const next = withTable(base, ({ hosts }) => ({
    hosts: [...hosts.filter(({ host }) => host === 'b.test'), ...other],
  }))
  const { tables, upstreams } = findUpdate(inForce(1, base), inForce(2, next))
  t.same(
    tables.map(({ hosts, removed }) => [hosts.map(({ host }) => host), removed]),
    [[['a.test'], ['']]],
  )
  t.same(upstreams, [])
  t.match(findUpdate(inForce(1, base), inForce(2, base)), {
    settings: undefined,
    tables: [],
    upstreams: [],
    certificates: [],
  })
  const others = makeSettings()
  t.equal(findUpdate(inForce(1, base), inForce(2, base, others)).settings, others)
})

t.test('an upstream goes when no route leads to it any more, and certificates by host', async (t) => {
  const binding = {
    host: 'a.test',
    certificate: undefined,
    reason: 'none',
    owner: OWNER,
    field: ['spec', 'tls', 0, 'hosts', 0],
  }
  const next = withTable({ ...base, certificates: [binding] }, ({ hosts }) => ({
    hosts: hosts.filter(({ host }) => host === 'a.test'),
    defaultRoute: undefined,
  }))
  const update = findUpdate(inForce(1, base), inForce(2, next))
  t.same(update.removed.upstreams, ['default/two:80'])
  t.same(update.certificates, [binding])
  t.same(findUpdate(inForce(2, next), inForce(3, base)).removed.certificates, ['a.test'])
})

t.test('a snapshot takes over hosts and pools of the one before, unless they changed', async (t) => {
  const build = startBuilder(t)
  const first = build(inForce(1, base))
  const second = build(inForce(2, base))
  t.equal(second.generation, 2)
  t.equal(tableOf(second), tableOf(first))
  t.equal(second.listeners.get('https')?.table, tableOf(first), 'both listeners share it')
  t.equal(second.certificates, first.certificates)
  t.same(second.pools, first.pools)

  const moved = { ...base, upstreams: new Map(base.upstreams).set('default/two:80', makeUpstream('two', [3009])) }
  const third = build(inForce(3, moved))
  t.equal(tableOf(third).hosts.find('a.test'), tableOf(first).hosts.find('a.test'), 'leads to the other upstream alone')
  t.not(tableOf(third).hosts.find('b.test'), tableOf(first).hosts.find('b.test'))
  const port = (host: string, path: string) =>
    findRoute(tableOf(third), host, path, BARE)?.upstream?.upstream.endpoints[0]?.port
  t.same([port('b.test', '/'), port('b.test', '/one'), port('c.test', '/none')], [3009, 3001, undefined])
  t.equal(findInHost(tableOf(third), undefined, '/', BARE)?.upstream?.upstream.endpoints[0]?.port, 3009)
  t.equal(
    findRoute(tableOf(first), 'b.test', '/', BARE)?.upstream?.upstream.endpoints[0]?.port,
    3002,
    'requests that began before are not touched',
  )

  const fewer = build(
    inForce(
      4,
      withTable(moved, ({ hosts }) => ({ hosts: hosts.slice(0, 1), defaultRoute: undefined })),
    ),
  )
  t.equal(tableOf(fewer).hosts.find('b.test'), undefined)
  t.equal(fewer.pools.length, 1)
})

t.test('the shares of a route go on where they were when an upstream of it changed', async (t) => {
  const build = startBuilder(t)
  const forward = (name: string) => ({ type: 'forward', upstream: `default/${name}:80`, backend: name }) as const
  const shares = [
    { weight: 1, action: forward('one') },
    { weight: 1, action: forward('two') },
  ]
  const plain = makeModel({ upstreams: { one: [3001], two: [3002] }, routes: [{ host: 'a.test', to: 'one' }] })
  const divide = (route: Route): Route => ({ ...route, action: { type: 'split', shares, backend: 'both' } })
  const model = withTable(plain, ({ hosts }) => ({
    hosts: hosts.map((host) => ({ ...host, routes: host.routes.map(divide) })),
  }))
  t.same([...findReached(model).keys()].sort(), ['default/one:80', 'default/two:80'], 'all backends are reached')
  const ports: (number | undefined)[] = []
  for (let generation = 1; generation <= 200; generation++) {
    const port = 4000 + (generation % 2)
    const upstreams = new Map(model.upstreams).set('default/two:80', makeUpstream('two', [port]))
    const table = tableOf(build(inForce(generation, { ...model, upstreams })))
    const picked = findRoute(table, 'a.test', '/', BARE)?.upstream?.upstream.endpoints[0]?.port
    if (picked !== 3001) t.equal(picked, port, 'the pool in force')
    ports.push(picked)
  }
  // Were each snapshot to begin anywhere, chance would pick one backend three times in a row within few of them.
  const picks = ports.map((port) => (port === 3001 ? 'a' : 'b')).join('')
  t.notMatch(picks, /aaa|bbb/)
})

t.test('listeners share tables, and a table of which nothing changed stays the same object', async (t) => {
  const words = {
    upstreams: { one: [3001], two: [3002] },
    routes: [{ host: 'a.test', to: 'one' }],
    own: { side: { table: 'side' }, other: { table: 'side', port: 9000 } },
  }
  const model = makeModel({ ...words, tables: { side: { routes: [{ host: 'a.test', to: 'two' }], fallback: 'two' } } })
  const [ingress, side] = model.tables as [RouteTable, RouteTable]
  const build = startBuilder(t)
  const first = inForce(1, model)
  const before = build(first)
  const tableAt = (snapshot: Snapshot, place: string) => snapshot.listeners.get(place)?.table
  t.equal(tableAt(before, 'https'), tableAt(before, 'http'))
  t.equal(tableAt(before, 'TCP 127.0.0.1:9000'), tableAt(before, 'side'))
  t.not(tableAt(before, 'side'), tableAt(before, 'http'))

  const [, changed] = makeModel({ ...words, tables: { side: { routes: [{ host: 'b.test', to: 'two' }] } } }).tables
  const second = inForce(2, { ...model, tables: [ingress, changed!] })
  t.match(findUpdate(first, second), {
    tables: [{ name: 'side', hosts: [{ host: 'b.test' }], removed: ['a.test'], defaultRoute: undefined }],
    upstreams: [],
    listeners: [],
    removed: { tables: [], upstreams: [], listeners: [] },
  })
  t.equal(findUpdate(first, second).tables.length, 1)
  const after = build(second)
  t.equal(after.listeners.get('http'), before.listeners.get('http'))
  t.equal(after.listeners.get('https'), before.listeners.get('https'))
  t.not(tableAt(after, 'side'), tableAt(before, 'side'))
  t.equal(tableAt(after, 'TCP 127.0.0.1:9000'), tableAt(after, 'side'))
  t.equal(tableAt(after, 'side')?.hosts.find('a.test'), undefined)
  t.equal(tableAt(after, 'side')?.fallback, undefined)

  const upstreams = new Map(model.upstreams).set('default/two:80', makeUpstream('two', [3009]))
  const moved = build(inForce(3, { ...model, tables: [ingress, changed!], upstreams }))
  t.equal(tableAt(moved, 'http'), tableAt(before, 'http'), 'no route of it leads to the changed upstream')
  t.not(tableAt(moved, 'side')?.hosts.find('b.test'), tableAt(after, 'side')?.hosts.find('b.test'))

  const third = inForce(3, { ...model, tables: [ingress, changed!], upstreams })
  const last = inForce(4, { ...third.model, tables: [ingress], listeners: first.model.listeners })
  t.match(findUpdate(third, last), { tables: [], removed: { tables: ['side'], upstreams: ['default/two:80'] } })
  const gone = build(last)
  t.equal(tableAt(gone, 'http'), tableAt(before, 'http'))
  t.same(
    [tableAt(gone, 'side')?.anyHost, tableAt(gone, 'side')?.fallback],
    [undefined, undefined],
    'nothing is left of it',
  )
  t.equal(tableAt(gone, 'side')?.hosts.find('b.test'), undefined)
  const again = build(inForce(5, { ...third.model, tables: [ingress, side] }))
  t.equal(tableAt(again, 'side')?.hosts.find('a.test')?.host.routes.length, 1)
})

t.test('listeners come, go and change by place, and bring the upstreams that they lead to', async (t) => {
  const upstreams = { one: [3001], two: [3002], unused: [3003] }
  const first = inForce(1, makeModel({ upstreams, listeners: [{ to: 'one', port: 30_001 }] }))
  t.same([...findReached(first.model).keys()], ['default/one:80'])
  const model = makeModel({
    upstreams,
    listeners: [
      { to: 'two', port: 30_001, sourceRanges: ['10.0.0.0/8'] },
      { to: 'one', port: 30_002, transport: 'UDP' },
      { to: 'unused', port: 30_001 },
    ],
  })
  const second = inForce(2, model)
  t.same([...findReached(model).keys()], ['default/two:80', 'default/one:80'], 'who comes second has no place')
  const update = findUpdate(first, second)
  t.same(
    update.listeners.map(({ id }) => id),
    ['NodePort default/two:80/TCP 127.0.0.1:30001', 'NodePort default/one:80/UDP 127.0.0.1:30002'],
  )
  t.same(update.removed.listeners, [])
  const third = inForce(
    3,
    withTable(model, () => ({ hosts: [] })),
  )
  t.equal(findReached(third.model, model), findReached(model), 'the same map where it leads to the same')
  t.match(findUpdate(second, third), { listeners: [], upstreams: [], removed: { listeners: [], upstreams: [] } })
  const gone = findUpdate(third, inForce(4, makeModel({ upstreams })))
  t.same(gone.removed.listeners, ['TCP 127.0.0.1:30001', 'UDP 127.0.0.1:30002'])
})

t.test('a listener has another pool where its upstream is another, and the same where not', async (t) => {
  const registry = new EndpointRegistry({ settings: () => settings, clock: systemClock })
  t.teardown(() => registry.close())
  const builder = new SnapshotBuilder(
    registry,
    new FilterChains({ clock: systemClock, processes: 1, httpsPort: () => 443, warn: () => {} }),
  )
  const listeners = [
    { to: 'one', port: 1 },
    { to: 'two', port: 2 },
    { to: 'none', port: 3 },
  ]
  const model = makeModel({ upstreams: { one: [3001], two: { endpoints: [3002], protocol: 'https' } }, listeners })
  const before = inForce(1, model)
  const first = runAtOnce(builder.build(findUpdate(undefined, before)))
  const servedAt = (port: number, snapshot = first) => snapshot.listeners.get(`TCP 127.0.0.1:${port}`)
  t.equal(servedAt(1)?.table.fallback?.upstream?.upstream.key, 'default/one:80')
  t.equal(servedAt(2)?.table.fallback?.upstream?.upstream.protocol, 'http', 'bytes are passed on')
  t.equal(servedAt(3)?.table.fallback?.upstream, undefined)
  t.equal(servedAt(1)?.table.fallback?.labels.route, 'listener NodePort default/one:80')
  t.ok(
    first.pools.includes(servedAt(1)!.table.fallback!.upstream!) &&
      first.pools.includes(servedAt(2)!.table.fallback!.upstream!),
  )

  const upstreams = new Map(model.upstreams).set('default/two:80', makeUpstream('two', [3004]))
  const after = inForce(2, { ...model, upstreams })
  const second = runAtOnce(builder.build(findUpdate(before, after)))
  t.equal(servedAt(1, second), servedAt(1))
  t.same(
    servedAt(2, second)?.table.fallback?.upstream?.states.map(({ identity }) => identity.port),
    [3004],
  )
  t.equal(second.pools.length, 2)
})

t.test('policy is resolved once, and is data of its snapshot', async (t) => {
  const registry = new EndpointRegistry({ settings: () => settings, clock: systemClock })
  t.teardown(() => registry.close())
  const builder = new SnapshotBuilder(
    registry,
    new FilterChains({ clock: systemClock, processes: 1, httpsPort: () => 443, warn: () => {} }),
  )
  const model = makeModel({
    upstreams: { one: { endpoints: [3001], policy: { maxQueue: 7 } }, two: [3002] },
    routes: [
      { host: 'a.test', to: 'one' },
      { host: 'a.test', path: '/own', to: 'one', policy: { tries: 9 } },
      { host: 'b.test', to: 'two' },
    ],
    listeners: [{ to: 'two', port: 1 }],
  })
  const build = (before: SnapshotSource | undefined, after: SnapshotSource) =>
    runAtOnce(builder.build(findUpdate(before, after)))
  const policyOf = (snapshot: ReturnType<typeof build>, host: string, path = '/') => {
    const { tries, maxQueue } = findRoute(tableOf(snapshot), host, path, BARE)!.policy!
    return [tries, maxQueue]
  }
  const one = inForce(1, model, makeSettings({ 'upstream.tries': 2, 'upstream.maxQueue': 5 }))
  const first = build(undefined, one)
  const two = inForce(2, model, makeSettings({ 'upstream.tries': 4, 'upstream.maxQueue': 6 }))
  const second = build(one, two)
  for (const [snapshot, tries, maxQueue] of [
    [first, 2, 5],
    [second, 4, 6],
  ] as const) {
    t.same(policyOf(snapshot, 'a.test'), [tries, 7])
    t.same(policyOf(snapshot, 'a.test', '/own'), [9, 7])
    t.same(policyOf(snapshot, 'b.test'), [tries, maxQueue])
    t.equal(snapshot.listeners.get('TCP 127.0.0.1:1')?.table.fallback?.policy?.tries, tries)
    t.equal(snapshot.listeners.get('TCP 127.0.0.1:1')?.table.fallback?.upstream?.policy.tries, tries)
  }
  const third = build(two, inForce(3, model, makeSettings({ 'upstream.tries': 4, 'upstream.maxQueue': 6 })))
  t.same(third.pools, second.pools)
  t.equal(
    tableOf(third).hosts.find('a.test'),
    tableOf(second).hosts.find('a.test'),
    'other settings that say the same of it',
  )
})
