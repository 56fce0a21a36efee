/** What of a configuration reaches the data side, and that what did not change is not touched there. */
import t from 'tap'
import { systemClock } from '../../lib/base/clock.ts'
import { runAtOnce } from '../../lib/base/slice.ts'
import { FilterChains } from '../../lib/filters/chain.ts'
import type { Model } from '../../lib/model/model.ts'
import { findRoute } from '../../lib/routing/table.ts'
import type { Settings } from '../../lib/settings/table.ts'
import { SnapshotBuilder } from '../../lib/snapshot/snapshot.ts'
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

/** The model with the hosts that `change` gives in place of its own; the others stay the same objects. */
function withHosts(model: Model, change: (hosts: Model['hosts']) => Model['hosts']): Model {
  return { ...model, hosts: change(model.hosts) }
}

t.test('of nothing an update is everything that requests need', async (t) => {
  const update = findUpdate(undefined, inForce(1, base))
  t.same(update.hosts.map(({ host }) => host).sort(), ['', 'a.test', 'b.test'])
  t.same(
    update.upstreams.map(({ key }) => key).sort(),
    ['default/one:80', 'default/two:80'],
    'no route leads to the rest',
  )
  t.same(update.removed, { hosts: [], upstreams: [], certificates: [], listeners: [] })
  t.equal(update.defaultRoute, base.defaultRoute)
})

t.test('what is the same object as before is left out', async (t) => {
  const other = makeModel({ routes: [{ host: 'a.test', path: '/new', to: 404 }] }).hosts
  const next = withHosts(base, (hosts) => [...hosts.filter(({ host }) => host === 'b.test'), ...other])
  const { hosts, upstreams, removed } = findUpdate(inForce(1, base), inForce(2, next))
  t.same(
    hosts.map(({ host }) => host),
    ['a.test'],
  )
  t.same([upstreams, removed.hosts], [[], ['']])
  t.match(findUpdate(inForce(1, base), inForce(2, base)), {
    settings: undefined,
    hosts: [],
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
  const next = withHosts({ ...base, defaultRoute: undefined, certificates: [binding] }, (hosts) =>
    hosts.filter(({ host }) => host === 'a.test'),
  )
  const update = findUpdate(inForce(1, base), inForce(2, next))
  t.same(update.removed.upstreams, ['default/two:80'])
  t.same(update.certificates, [binding])
  t.same(findUpdate(inForce(2, next), inForce(3, base)).removed.certificates, ['a.test'])
})

t.test('a snapshot takes over hosts and pools of the one before, unless they changed', async (t) => {
  let current: Settings = settings
  const registry = new EndpointRegistry({ settings: () => current, clock: systemClock })
  t.teardown(() => registry.close())
  const builder = new SnapshotBuilder(
    registry,
    new FilterChains({ clock: systemClock, processes: 1, httpsPort: () => 443 }),
  )
  let before: SnapshotSource | undefined
  const build = (next: SnapshotSource) => {
    current = next.settings
    const snapshot = runAtOnce(builder.build(findUpdate(before, next)))
    before = next
    return snapshot
  }
  const first = build(inForce(1, base))
  const second = build(inForce(2, base))
  t.equal(second.generation, 2)
  for (const host of ['a.test', 'b.test']) t.equal(second.table.hosts.find(host), first.table.hosts.find(host))
  t.equal(second.certificates, first.certificates)
  t.same(second.pools, first.pools)

  const moved = { ...base, upstreams: new Map(base.upstreams).set('default/two:80', makeUpstream('two', [3009])) }
  const third = build(inForce(3, moved))
  t.equal(third.table.hosts.find('a.test'), first.table.hosts.find('a.test'), 'leads to the other upstream alone')
  t.not(third.table.hosts.find('b.test'), first.table.hosts.find('b.test'))
  const port = (host: string, path: string) =>
    findRoute(third.table, host, path, BARE)?.upstream?.upstream.endpoints[0]?.port
  t.same([port('b.test', '/'), port('b.test', '/one'), port('c.test', '/none')], [3009, 3001, undefined])
  t.equal(third.table.fallback?.upstream?.upstream.endpoints[0]?.port, 3009)
  t.equal(
    findRoute(first.table, 'b.test', '/', BARE)?.upstream?.upstream.endpoints[0]?.port,
    3002,
    'requests that began before are not touched',
  )

  const fewer = build(
    inForce(
      4,
      withHosts({ ...moved, defaultRoute: undefined }, (hosts) => hosts.slice(0, 1)),
    ),
  )
  t.equal(fewer.table.hosts.find('b.test'), undefined)
  t.equal(fewer.pools.length, 1)
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
  const third = inForce(3, { ...model, hosts: [] })
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
    new FilterChains({ clock: systemClock, processes: 1, httpsPort: () => 443 }),
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
  t.equal(servedAt(1)?.route.upstream?.upstream.key, 'default/one:80')
  t.equal(servedAt(2)?.route.upstream?.upstream.protocol, 'http', 'bytes are passed on')
  t.equal(servedAt(3)?.route.upstream, undefined)
  t.equal(servedAt(1)?.route.labels.route, 'listener NodePort default/one:80')
  t.ok(first.pools.includes(servedAt(1)!.route.upstream!) && first.pools.includes(servedAt(2)!.route.upstream!))

  const upstreams = new Map(model.upstreams).set('default/two:80', makeUpstream('two', [3004]))
  const after = inForce(2, { ...model, upstreams })
  const second = runAtOnce(builder.build(findUpdate(before, after)))
  t.equal(servedAt(1, second), servedAt(1))
  t.same(
    servedAt(2, second)?.route.upstream?.states.map(({ identity }) => identity.port),
    [3004],
  )
  t.equal(second.pools.length, 2)
})

t.test('policy is resolved once, and is data of its snapshot', async (t) => {
  const registry = new EndpointRegistry({ settings: () => settings, clock: systemClock })
  t.teardown(() => registry.close())
  const builder = new SnapshotBuilder(
    registry,
    new FilterChains({ clock: systemClock, processes: 1, httpsPort: () => 443 }),
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
    const { tries, maxQueue } = findRoute(snapshot.table, host, path, BARE)!.policy!
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
    t.equal(snapshot.listeners.get('TCP 127.0.0.1:1')?.route.policy?.tries, tries)
    t.equal(snapshot.listeners.get('TCP 127.0.0.1:1')?.route.upstream?.policy.tries, tries)
  }
  const third = build(two, inForce(3, model, makeSettings({ 'upstream.tries': 4, 'upstream.maxQueue': 6 })))
  t.same(third.pools, second.pools)
  t.equal(third.table.hosts.find('a.test'), second.table.hosts.find('a.test'), 'other settings that say the same of it')
})
