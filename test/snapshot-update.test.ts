/** What of a configuration reaches the data side, and that what did not change is not touched there. */
import t from 'tap'
import { systemClock } from '../lib/base/clock.ts'
import { runAtOnce } from '../lib/base/slice.ts'
import type { Model } from '../lib/model/model.ts'
import { findRoute } from '../lib/routing/table.ts'
import type { Settings } from '../lib/settings-table.ts'
import { SnapshotBuilder } from '../lib/snapshot.ts'
import { diffLive, type LiveConfiguration, selectLive } from '../lib/snapshot-update.ts'
import { EndpointRegistry } from '../lib/upstream/registry.ts'
import { makeSettings } from './helpers/settings.ts'
import { makeModel, makeUpstream, NOWHERE } from './helpers/snapshot.ts'

const settings = makeSettings()

function live(generation: number, model: Model, given: Settings = settings): LiveConfiguration {
  return selectLive({ generation, builtAt: generation, settings: given, model, diagnostics: [] })
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
  const update = diffLive(undefined, live(1, base))
  t.same(update.hosts.map(({ host }) => host).sort(), ['', 'a.test', 'b.test'])
  t.same(
    update.upstreams.map(({ key }) => key).sort(),
    ['default/one:80', 'default/two:80'],
    'no route leads to the rest',
  )
  t.same(update.removed, { hosts: [], upstreams: [], certificates: [] })
  t.equal(update.defaultRoute, base.defaultRoute)
})

t.test('what is the same object as before is left out', async (t) => {
  const other = makeModel({ routes: [{ host: 'a.test', path: '/new', to: 404 }] }).hosts
  const next = withHosts(base, (hosts) => [...hosts.filter(({ host }) => host === 'b.test'), ...other])
  const { hosts, upstreams, removed } = diffLive(live(1, base), live(2, next))
  t.same(
    hosts.map(({ host }) => host),
    ['a.test'],
  )
  t.same([upstreams, removed.hosts], [[], ['']])
  t.match(diffLive(live(1, base), live(2, base)), {
    settings: undefined,
    hosts: [],
    upstreams: [],
    certificates: [],
  })
  const others = makeSettings()
  t.equal(diffLive(live(1, base), live(2, base, others)).settings, others)
})

t.test('an upstream goes when no route leads to it any more, and certificates by host', async (t) => {
  const binding = {
    host: 'a.test',
    certificate: undefined,
    reason: 'none',
    ingress: { namespace: 'default', name: 'test' },
    position: NOWHERE,
  }
  const next = withHosts({ ...base, defaultRoute: undefined, certificates: [binding] }, (hosts) =>
    hosts.filter(({ host }) => host === 'a.test'),
  )
  const update = diffLive(live(1, base), live(2, next))
  t.same(update.removed.upstreams, ['default/two:80'])
  t.same(update.certificates, [binding])
  t.same(diffLive(live(2, next), live(3, base)).removed.certificates, ['a.test'])
})

t.test('a snapshot takes over hosts and pools of the one before, unless they changed', async (t) => {
  let current: Settings = settings
  const registry = new EndpointRegistry({ settings: () => current, clock: systemClock })
  t.teardown(() => registry.close())
  const builder = new SnapshotBuilder(registry)
  let before: LiveConfiguration | undefined
  const build = (next: LiveConfiguration) => {
    current = next.settings
    const snapshot = runAtOnce(builder.build(diffLive(before, next)))
    before = next
    return snapshot
  }
  const first = build(live(1, base))
  const second = build(live(2, base))
  t.equal(second.generation, 2)
  for (const host of ['a.test', 'b.test']) t.equal(second.table.hosts.find(host), first.table.hosts.find(host))
  t.equal(second.certificates, first.certificates)
  t.same(second.pools, first.pools)

  const moved = { ...base, upstreams: new Map(base.upstreams).set('default/two:80', makeUpstream('two', [3009])) }
  const third = build(live(3, moved))
  t.equal(third.table.hosts.find('a.test'), first.table.hosts.find('a.test'), 'leads to the other upstream alone')
  t.not(third.table.hosts.find('b.test'), first.table.hosts.find('b.test'))
  const port = (host: string, path: string) => findRoute(third.table, host, path)?.upstream?.upstream.endpoints[0]?.port
  t.same([port('b.test', '/'), port('b.test', '/one'), port('c.test', '/none')], [3009, 3001, undefined])
  t.equal(third.table.fallback?.upstream?.upstream.endpoints[0]?.port, 3009)
  t.equal(
    findRoute(first.table, 'b.test', '/')?.upstream?.upstream.endpoints[0]?.port,
    3002,
    'requests that began before are not touched',
  )

  const fewer = build(
    live(
      4,
      withHosts({ ...moved, defaultRoute: undefined }, (hosts) => hosts.slice(0, 1)),
    ),
  )
  t.equal(fewer.table.hosts.find('b.test'), undefined)
  t.equal(fewer.pools.length, 1)
})
