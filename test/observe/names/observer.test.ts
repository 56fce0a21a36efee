import t, { type Test } from 'tap'
import type { Upstream, UpstreamKey } from '../../../lib/model/upstream.ts'
import { NameObserver } from '../../../lib/observe/names/observer.ts'
import { createMemoryLog } from '../../helpers/memory-log.ts'
import { makeSettings } from '../../helpers/settings.ts'
import { type EndpointWords, makeUpstream, type UpstreamWords } from '../../helpers/snapshot.ts'

// What the watch waits for holds no process.
const hold = setInterval(() => {}, 1_000)
t.teardown(() => clearInterval(hold))

const settings = makeSettings()

function mapOf(upstreams: Readonly<Record<string, readonly EndpointWords[] | UpstreamWords>>) {
  return new Map<UpstreamKey, Upstream>(
    Object.entries(upstreams).map(([name, words]) => {
      const upstream = makeUpstream(name, words)
      return [upstream.key, upstream]
    }),
  )
}

/** Names have these addresses at the time, for a minute if `ttl` says nothing else. */
function startObserver(t: Test, names: Map<string, readonly string[]>, ttlSeconds = 60) {
  let waiting: (() => void)[] = []
  const asked: string[] = []
  const log = createMemoryLog()
  const observer = new NameObserver({
    log,
    onChange: () => {
      const woken = waiting
      waiting = []
      for (const wake of woken) wake()
    },
    resolve: async (name) => {
      asked.push(name)
      const addresses = names.get(name)
      if (!addresses) throw new Error('NXDOMAIN')
      return { addresses, ttlSeconds }
    },
    times: { minTtl: 10, firstRetry: 10, maxRetry: 20 },
  })
  t.teardown(() => observer.close())
  const changed = () => new Promise<void>((resolve) => waiting.push(resolve))
  return { observer, log, asked, changed }
}

const hostsOf = (upstream: Upstream | undefined) => upstream?.endpoints.map(({ host }) => host)

t.test('without names the map stays as it is', async (t) => {
  const { observer, asked } = startObserver(t, new Map())
  const upstreams = mapOf({ web: [80, '[::1]:80'] })
  t.equal(observer.observe(upstreams, settings), upstreams)
  t.same(asked, [])
})

t.test('what does not change stays the same object, the map included', async (t) => {
  const names = new Map([
    ['a.test', ['10.0.0.1']],
    ['b.test', ['10.0.0.2']],
  ])
  const { observer, changed } = startObserver(t, names, 0)
  const upstreams = mapOf({ a: ['a.test:80'], b: ['b.test:80'], plain: [80] })
  await observer.prepare(upstreams, settings)
  const first = observer.observe(upstreams, settings)
  t.same([...first.keys()], [...upstreams.keys()], 'in the same order')
  t.same(hostsOf(first.get('default/a:80')), ['10.0.0.1'])
  t.equal(first.get('default/plain:80'), upstreams.get('default/plain:80'))
  t.equal(observer.observe(upstreams, settings), first)
  t.equal(observer.observe(upstreams, makeSettings({ zone: 'x' })), first)
  names.set('a.test', ['10.0.0.9'])
  await changed()
  const second = observer.observe(upstreams, settings)
  t.same(hostsOf(second.get('default/a:80')), ['10.0.0.9'])
  t.equal(second.get('default/b:80'), first.get('default/b:80'))
  const more = mapOf({ c: ['b.test:81'] })
  for (const [key, upstream] of upstreams) more.set(key, upstream)
  const third = observer.observe(more, settings)
  t.equal(third.get('default/a:80'), second.get('default/a:80'), 'over a reload too')
  t.same(hostsOf(third.get('default/c:80')), ['10.0.0.2'])
})

t.test('an unresolved name has its reason, and its addresses when they come', async (t) => {
  const names = new Map<string, readonly string[]>()
  const { observer, changed } = startObserver(t, names)
  const upstreams = mapOf({ a: ['a.test:80'] })
  const pending = observer.observe(upstreams, settings).get('default/a:80')
  t.match(pending?.unresolved, [{ code: 'PORTICO_UP_NAME_UNRESOLVED', reason: 'a.test: it is still being looked up' }])
  await changed()
  t.match(observer.observe(upstreams, settings).get('default/a:80')?.unresolved, [{ reason: 'a.test: NXDOMAIN' }])
  names.set('a.test', ['10.0.0.1'])
  await changed()
  const good = observer.observe(upstreams, settings).get('default/a:80')
  t.same(hostsOf(good), ['10.0.0.1'])
  t.equal(good?.unresolved, undefined)
})

t.test('a name is asked for once for all who use it, and no longer when nobody does', async (t) => {
  const names = new Map([['a.test', ['10.0.0.1']]])
  const { observer, asked } = startObserver(t, names)
  const upstreams = mapOf({ a: ['a.test:80', 'A.test:81'], b: ['a.test:80'] })
  await observer.prepare(upstreams, settings)
  t.same(hostsOf(observer.observe(upstreams, settings).get('default/a:80')), ['10.0.0.1', '10.0.0.1'])
  t.same(asked, ['a.test'])
  const none = mapOf({ plain: [80] })
  t.equal(observer.observe(none, settings), none)
  await observer.prepare(upstreams, settings)
  t.same(asked, ['a.test', 'a.test'], 'it had been forgotten')
})

t.test('preparing another configuration leaves alone what serves', async (t) => {
  const names = new Map([
    ['a.test', ['10.0.0.1']],
    ['b.test', ['10.0.0.2']],
  ])
  const { observer, asked } = startObserver(t, names)
  const before = mapOf({ web: ['a.test:80'] })
  await observer.prepare(before, settings)
  const served = observer.observe(before, settings)
  const after = mapOf({ web: ['b.test:80'] })
  const prepared = observer.prepare(after, settings)
  t.equal(observer.observe(before, settings), served, 'although it does not know the new name')
  await prepared
  t.same(hostsOf(observer.observe(after, settings).get('default/web:80')), ['10.0.0.2'])
  t.same(asked, ['a.test', 'b.test'], 'each was asked for once')
})

t.test('the family may be said for all and for one', async (t) => {
  const names = new Map([['a.test', ['127.0.0.1', '::1']]])
  const { observer } = startObserver(t, names)
  const upstreams = mapOf({
    all: ['a.test:80'],
    own: { endpoints: ['a.test:80'], policy: { addressFamily: 'ipv6' } },
  })
  await observer.prepare(upstreams, settings)
  const first = observer.observe(upstreams, settings)
  t.same(hostsOf(first.get('default/all:80')), ['127.0.0.1', '::1'])
  t.same(hostsOf(first.get('default/own:80')), ['::1'])
  const second = observer.observe(upstreams, makeSettings({ 'upstream.addressFamily': 'ipv4' }))
  t.same(hostsOf(second.get('default/all:80')), ['127.0.0.1'])
  t.equal(second.get('default/own:80'), first.get('default/own:80'))
})

t.test('AD-08 what the guard refuses is told once, for as long as the name leads there', async (t) => {
  const names = new Map([['a.test', ['93.184.216.34']]])
  const { observer, log, changed } = startObserver(t, names, 0)
  const upstreams = mapOf({ web: { endpoints: ['a.test:80'], guardAddresses: true } })
  await observer.prepare(upstreams, settings)
  t.same(hostsOf(observer.observe(upstreams, settings).get('default/web:80')), ['93.184.216.34'])
  names.set('a.test', ['169.254.169.254'])
  await changed()
  t.match(observer.observe(upstreams, settings).get('default/web:80'), {
    endpoints: [],
    unresolved: [{ code: 'PORTICO_UP_ADDRESS_DENIED', reason: 'a.test: 169.254.169.254 is metadata' }],
  })
  observer.observe(mapOf({ web: { endpoints: ['a.test:80'], guardAddresses: true } }), settings)
  t.match(log.lines('warn'), [{ upstream: 'default/web:80', refused: ['a.test: 169.254.169.254 is metadata'] }])
  t.equal(log.lines('warn').length, 1)
})
