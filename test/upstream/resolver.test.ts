import t from 'tap'
import { findInHosts, NameResolver, type Resolution, resolveName } from '../../lib/upstream/resolver.ts'

function makeClock() {
  let now = 0
  return {
    now: () => now,
    monotonic: () => now,
    advance: (ms: number) => {
      now += ms
    },
  }
}

t.test('an answer is kept for its TTL, between a second and five minutes', async (t) => {
  for (const [ttlSeconds, keptMs] of [
    [10, 10_000],
    [0, 1000],
    [86_400, 300_000],
  ] as const) {
    const clock = makeClock()
    let asked = 0
    const names = new NameResolver(async () => ({ addresses: [`10.0.0.${++asked}`], ttlSeconds }), clock)
    t.equal(names.peek('a.test'), undefined)
    t.same(await names.addresses('a.test'), ['10.0.0.1'])
    clock.advance(keptMs - 1)
    t.same(names.peek('a.test'), ['10.0.0.1'], `TTL ${ttlSeconds}`)
    clock.advance(1)
    t.equal(names.peek('a.test'), undefined)
    t.same(await names.addresses('a.test'), ['10.0.0.2'])
  }
})

t.test('many that ask at once cause one question', async (t) => {
  let asked = 0
  let answer: (resolution: Resolution) => void = () => {}
  const names = new NameResolver(() => {
    asked++
    return new Promise((resolve) => {
      answer = resolve
    })
  }, makeClock())
  const all = Promise.all([names.addresses('a'), names.addresses('a'), names.addresses('a')])
  answer({ addresses: ['10.0.0.1'], ttlSeconds: 5 })
  t.same(await all, [['10.0.0.1'], ['10.0.0.1'], ['10.0.0.1']])
  t.equal(asked, 1)
})

t.test('the last good answer is kept while the name cannot be resolved', async (t) => {
  const clock = makeClock()
  let works = true
  const names = new NameResolver(async () => {
    if (!works) throw new Error('SERVFAIL')
    return { addresses: ['10.0.0.1'], ttlSeconds: 5 }
  }, clock)
  await names.addresses('a')
  works = false
  clock.advance(5000)
  t.same(await names.addresses('a'), ['10.0.0.1'])
  await t.rejects(names.addresses('never-known'), /SERVFAIL/)
  works = true
  t.same(await names.addresses('never-known'), ['10.0.0.1'], 'and asked again later')
})

t.test('the hosts file comes first', async (t) => {
  const hosts = '127.0.0.1 localhost\n# 1.1.1.1 no\n10.0.0.1\tA.test b.test # two\n::1 localhost\n'
  t.same(findInHosts(hosts, 'a.TEST'), ['10.0.0.1'])
  t.same(findInHosts(hosts, 'localhost'), ['127.0.0.1', '::1'])
  t.same(findInHosts(hosts, 'no'), [])
  t.ok((await resolveName('localhost')).addresses.includes('127.0.0.1'))
})
