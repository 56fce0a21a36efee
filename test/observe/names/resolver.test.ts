import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { HostsFile } from '../../../lib/observe/names/hosts-file.ts'
import { NameResolver, type Resolution } from '../../../lib/observe/names/resolver.ts'
import { type DnsAnswer, startDnsServer } from '../../helpers/dns-server.ts'

async function startResolver(t: Test, answers: Readonly<Record<string, DnsAnswer>>, hosts = '') {
  const server = await startDnsServer(t, answers)
  const path = join(t.testdir({}), 'hosts')
  writeFileSync(path, hosts)
  const resolver = new NameResolver({ hosts: new HostsFile(path), servers: () => [server.address] })
  t.teardown(() => resolver.close())
  return { server, resolver }
}

t.test('A and AAAA with the least TTL', async (t) => {
  const { server, resolver } = await startResolver(t, {
    'a.test A': { addresses: ['127.0.0.2', '127.0.0.3'], ttl: 40 },
    'a.test AAAA': { addresses: ['::1'], ttl: 7 },
    'b.test': { addresses: ['127.0.0.4'], ttl: 9 },
  })
  t.same(await resolver.resolve('a.test'), { addresses: ['127.0.0.2', '127.0.0.3', '::1'], ttlSeconds: 7 })
  t.same(await resolver.resolve('b.test'), { addresses: ['127.0.0.4'], ttlSeconds: 9 })
  t.same([...server.asked].sort(), ['a.test A', 'a.test AAAA', 'b.test A', 'b.test AAAA'])
})

t.test('fifty addresses', async (t) => {
  const addresses = Array.from({ length: 50 }, (_, n) => `127.0.1.${n + 1}`)
  const { resolver } = await startResolver(t, { 'many.test': { addresses } })
  t.same((await resolver.resolve('many.test')).addresses, addresses)
})

t.test('the hosts file stands above the DNS, and localhost is never asked for', async (t) => {
  const { server, resolver } = await startResolver(
    t,
    { 'a.test': { addresses: ['127.0.0.2'] }, localhost: { addresses: ['127.0.0.66'] } },
    '127.0.0.9 A.test\n127.0.0.1 localhost\n127.0.0.8 own.localhost\n',
  )
  t.same(await resolver.resolve('a.test'), { addresses: ['127.0.0.9'], ttlSeconds: 10 })
  t.same(new Set((await resolver.resolve('localhost')).addresses), new Set(['127.0.0.1', '::1']))
  t.same((await resolver.resolve('app.localhost')).addresses, ['127.0.0.1', '::1'])
  t.same((await resolver.resolve('own.localhost')).addresses, ['127.0.0.8'])
  t.same(server.asked, [])
})

t.test('a failure says what it was', async (t) => {
  const { resolver } = await startResolver(t, { 'empty.test': 'nothing', 'bad.test': 'servfail' })
  await t.rejects(resolver.resolve('gone.test'), { message: 'there is no such name (NXDOMAIN)' })
  await t.rejects(resolver.resolve('empty.test'), { message: 'the name has no address' })
  await t.rejects(resolver.resolve('bad.test'), { message: 'the DNS server failed (SERVFAIL)' })
})

t.test('a family that fails is missing, one without addresses is not', async (t) => {
  const { resolver } = await startResolver(t, {
    'half.test': { addresses: ['127.0.0.2'], ttl: 5 },
    'half.test AAAA': 'servfail',
    'other.test': { addresses: ['::1'], ttl: 5 },
    'other.test A': 'servfail',
    'plain.test': { addresses: ['127.0.0.2'], ttl: 5 },
  })
  const reason = 'the DNS server failed (SERVFAIL)'
  t.same(await resolver.resolve('half.test'), {
    addresses: ['127.0.0.2'],
    ttlSeconds: 5,
    missing: { family: 6, reason },
  })
  t.same(await resolver.resolve('other.test'), { addresses: ['::1'], ttlSeconds: 5, missing: { family: 4, reason } })
  t.same(await resolver.resolve('plain.test'), { addresses: ['127.0.0.2'], ttlSeconds: 5 })
})

t.test('of a family that does not come the other one is told first, then both', async (t) => {
  const { resolver } = await startResolver(t, {
    'slow.test A': { addresses: ['127.0.0.2'], ttl: 5 },
    'slow.test AAAA': 'silent',
    'other.test A': 'silent',
    'other.test AAAA': { addresses: ['::1'], ttl: 5 },
    'quick.test': { addresses: ['127.0.0.2'], ttl: 5 },
    'gone.test A': 'nothing',
    'gone.test AAAA': 'silent',
  })
  const told: (readonly [string, Resolution])[] = []
  const ask = (name: string) => resolver.resolve(name, (first) => told.push([name, first]))
  const all = [ask('slow.test'), ask('other.test'), ask('quick.test'), ask('gone.test')]
  const [slow, other, quick, gone] = await Promise.allSettled(all)
  const pending = 'it is still being looked up'
  t.same(
    new Map(told),
    new Map([
      ['slow.test', { addresses: ['127.0.0.2'], ttlSeconds: 5, missing: { family: 6, reason: pending } }],
      ['other.test', { addresses: ['::1'], ttlSeconds: 5, missing: { family: 4, reason: pending } }],
    ]),
  )
  const reason = 'no DNS server answered in time'
  t.match(slow, { value: { addresses: ['127.0.0.2'], missing: { family: 6, reason } } })
  t.match(other, { value: { addresses: ['::1'], missing: { family: 4, reason } } })
  t.same(quick, { status: 'fulfilled', value: { addresses: ['127.0.0.2'], ttlSeconds: 5 } })
  t.match(gone, { reason: { message: reason } })
})

t.test('what is being asked fails when the resolver is closed', async (t) => {
  const { server, resolver } = await startResolver(t, { 'slow.test': 'silent' })
  const answer = resolver.resolve('slow.test')
  await server.nextQuestion('slow.test')
  resolver.close()
  await t.rejects(answer)
})
