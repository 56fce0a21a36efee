import t from 'tap'
import { expandUpstream, listNames } from '../../../lib/observe/names/expansion.ts'
import type { NameAnswer } from '../../../lib/observe/names/name-watch.ts'
import { type EndpointWords, makeUpstream, type UpstreamWords } from '../../helpers/snapshot.ts'

const ANSWERS: Readonly<Record<string, readonly string[]>> = {
  'one.test': ['10.0.0.1'],
  'two.test': ['10.0.0.1', '10.0.0.2'],
  'four.test': ['10.1.0.1', '10.1.0.2', '10.1.0.3', '10.1.0.4'],
  'three.test': ['10.2.0.1', '10.2.0.2', '10.2.0.3'],
  'dual.test': ['93.184.216.34', '2606:2800:220:1::1'],
}

const answerOf = (name: string): NameAnswer => {
  const addresses = ANSWERS[name]
  if (name === 'half.test') return { addresses: ['10.0.0.1'], reason: 'SERVFAIL' }
  return addresses ? { addresses, reason: '' } : { addresses: [], reason: 'NXDOMAIN' }
}

function expand(
  endpoints: readonly EndpointWords[],
  rest: Partial<UpstreamWords> = {},
  family: 'auto' | 'ipv4' | 'ipv6' = 'auto',
) {
  return expandUpstream(makeUpstream('web', { endpoints, ...rest }), answerOf, family)
}

const weights = (endpoints: readonly EndpointWords[]) =>
  expand(endpoints).upstream.endpoints.map(({ host, weight }) => `${host} ${weight}`)

t.test('each address of a name is an endpoint, which says its name', async (t) => {
  const { upstream } = expand([{ host: 'two.test', port: 80, zone: 'here' }])
  t.match(upstream.endpoints, [
    { host: '10.0.0.1', port: 80, name: 'two.test', weight: 1, zone: 'here' },
    { host: '10.0.0.2', port: 80, name: 'two.test', weight: 1, zone: 'here' },
  ])
  t.notOk('unresolved' in upstream)
})

t.test('the addresses of a name share its weight', async (t) => {
  t.same(weights(['two.test:80', '10.9.9.9:80']), ['10.0.0.1 0.5', '10.0.0.2 0.5', '10.9.9.9 1'])
  t.same(weights([{ host: 'two.test', port: 80, weight: 3 }]), ['10.0.0.1 3', '10.0.0.2 3'], 'alone it keeps it')
  t.same(
    weights([
      { host: 'two.test', port: 80, weight: 1 },
      { host: 'four.test', port: 80, weight: 6 },
    ]),
    ['10.0.0.1 1', '10.0.0.2 1', '10.1.0.1 3', '10.1.0.2 3', '10.1.0.3 3', '10.1.0.4 3'],
    'whole numbers where the least has several',
  )
  const uneven = expand([
    { host: 'three.test', port: 80, weight: 2 },
    { host: 'one.test', port: 80 },
  ]).upstream.endpoints
  const total = uneven.slice(0, 3).reduce((sum, { weight }) => sum + weight, 0)
  t.ok(Math.abs(total - 2 * uneven[3]!.weight) < 1e-9)
})

t.test('an address stays the same object', async (t) => {
  const upstream = makeUpstream('web', ['10.9.9.9:80', 'two.test:80'])
  t.equal(expandUpstream(upstream, answerOf, 'auto').upstream.endpoints[0], upstream.endpoints[0])
})

t.test('a name that leads nowhere stands beside, as it was written', async (t) => {
  const { upstream } = expand(['gone.test:80', '10.9.9.9:80'])
  t.match(upstream.endpoints, [{ host: '10.9.9.9', weight: 1 }])
  t.match(upstream.unresolved, [
    { endpoint: { host: 'gone.test', port: 80 }, code: 'PORTICO_UP_NAME_UNRESOLVED', reason: 'gone.test: NXDOMAIN' },
  ])
  t.equal(upstream.unresolved?.length, 1)
})

t.test('one family alone', async (t) => {
  const hosts = (family: 'auto' | 'ipv4' | 'ipv6') =>
    expand(['dual.test:80'], {}, family).upstream.endpoints.map(({ host }) => host)
  t.same(hosts('auto'), ['93.184.216.34', '2606:2800:220:1::1'])
  t.same(hosts('ipv4'), ['93.184.216.34'])
  t.same(hosts('ipv6'), ['2606:2800:220:1::1'])
  t.match(expand(['one.test:80'], {}, 'ipv6').upstream.unresolved, [
    { code: 'PORTICO_UP_NAME_UNRESOLVED', reason: 'one.test: it has no IPv6 address' },
  ])
  const unknown = expand(['half.test:80'], {}, 'ipv6').upstream.unresolved
  t.match(unknown, [{ code: 'PORTICO_UP_NAME_UNRESOLVED', reason: 'half.test: SERVFAIL' }])
})

t.test('AD-08 the guard refuses whatever address is not public, and leaves the others', async (t) => {
  for (const address of [
    '127.0.0.1',
    '10.0.0.1',
    '100.64.0.1',
    '169.254.1.1',
    '169.254.169.254',
    '100.100.100.200',
    '0.0.0.0',
    '192.0.0.192',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:a00:1',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b:1::a00:1',
    '2002:7f00:1::',
    'fe80::1',
    'fe80::1%lo',
    'fec0::1',
    'fd00::1',
    'fd00:ec2::254',
    'fd20:ce::254',
    'ff02::1',
    '2001:db8::1',
  ]) {
    const guarded = makeUpstream('web', { endpoints: ['name.test:80'], guardAddresses: true })
    const alone = expandUpstream(guarded, () => ({ addresses: [address], reason: '' }), 'auto')
    t.same(alone.upstream.endpoints, [], address)
    t.match(alone.upstream.unresolved, [{ code: 'PORTICO_UP_ADDRESS_DENIED' }], address)
    t.match(alone.upstream.unresolved?.[0]?.reason, address)
    t.equal(alone.refused.length, 1)
    const mixed = expandUpstream(guarded, () => ({ addresses: [address, '93.184.216.34'], reason: '' }), 'auto')
    t.match(mixed.upstream.endpoints, [{ host: '93.184.216.34', weight: 1 }], address)
    t.notOk('unresolved' in mixed.upstream)
    const free = makeUpstream('web', ['name.test:80'])
    t.match(expandUpstream(free, () => ({ addresses: [address], reason: '' }), 'auto').upstream.endpoints, [
      { host: address },
    ])
  }
  const open = expandUpstream(
    makeUpstream('web', { endpoints: ['name.test:80'], guardAddresses: true }),
    () => ({ addresses: ['93.184.216.34', '2606:2800::1', '64:ff9b::5db8:d822'], reason: '' }),
    'auto',
  )
  t.equal(open.upstream.endpoints.length, 3)
})

t.test('names are listed once, and not where no route may lead', async (t) => {
  const upstream = makeUpstream('web', ['A.test:80', 'a.test:81', '10.0.0.1:80', '[::1]:80', 'b.test:80'])
  t.same(listNames(upstream), ['a.test', 'b.test'])
  t.same(listNames({ ...upstream, denied: 'because' }), [])
})
