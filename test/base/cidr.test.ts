import t from 'tap'
import { createAddressSet, isPrivateAddress, normalizeRange } from '../../lib/base/cidr.ts'

t.test('an address set holds the addresses of its ranges', async (t) => {
  const set = createAddressSet(['10.0.0.0/8', '192.168.1.7', 'fd00::/8', ' 172.16.0.0/12 '])
  for (const address of ['10.0.0.1', '10.255.255.255', '192.168.1.7', 'fd12::1', '172.31.0.1']) {
    t.ok(set.has(address), address)
  }
  for (const address of ['11.0.0.1', '192.168.1.8', 'fe80::1', '::1', '', 'localhost', '10.0.0']) {
    t.notOk(set.has(address), address)
  }
})

t.test('HD-04 an IPv4-mapped peer is in an IPv4 range', async (t) => {
  t.ok(createAddressSet(['10.0.0.0/8']).has('::ffff:10.0.0.1'))
  t.ok(createAddressSet(['::ffff:10.0.0.0/104']).has('10.0.0.1'), 'and the range may be written mapped')
  t.notOk(createAddressSet(['10.0.0.0/8']).has('::ffff:11.0.0.1'))
  t.notOk(createAddressSet(['::/0']).has('10.0.0.1'), 'every IPv6 address is no IPv4 address')
})

t.test('ranges that overlap, touch or lie within each other hold what each of them holds', async (t) => {
  const ranges = [
    '10.0.0.0/8',
    '10.1.0.0/16',
    '10.1.2.3',
    '11.0.0.0/8',
    '255.255.255.255',
    '::/8',
    '0.0.0.0/32',
    'ff00::/8',
  ]
  const sets = ranges.map((range) => createAddressSet([range]))
  const all = createAddressSet(ranges.toReversed())
  const addresses = [
    '0.0.0.0',
    '0.0.0.1',
    '9.255.255.255',
    '10.0.0.0',
    '10.1.2.3',
    '10.2.0.0',
    '11.255.255.255',
    '12.0.0.0',
  ]
  for (const address of [
    ...addresses,
    '255.255.255.254',
    '255.255.255.255',
    '::',
    '::1',
    'ff::1',
    '100::',
    'ff02::1',
    'fe80::1%eth0',
  ]) {
    t.equal(
      all.has(address),
      sets.some((set) => set.has(address)),
      address,
    )
  }
  t.ok(createAddressSet(['fe80::/10']).has('fe80::1%eth0'), 'with a zone')
})

t.test('a look-up among 20,000 ranges takes about as long as among two', async (t) => {
  const list = (count: number) => Array.from({ length: count }, (_, at) => `10.${at >> 8}.${at & 255}.0/25`)
  const measure = (count: number): number => {
    const set = createAddressSet(list(count))
    let best = Number.POSITIVE_INFINITY
    for (let round = 0; round < 5; round++) {
      const { user } = process.cpuUsage()
      for (let at = 0; at < 20_000; at++) set.has('10.70.5.200')
      best = Math.min(best, process.cpuUsage().user - user)
    }
    return best
  }
  measure(2)
  const [few, many] = [measure(2), measure(20_000)]
  t.ok(many < 10 * few, `${few} µs and ${many} µs`)
})

t.test('an empty set holds nothing', async (t) => {
  t.notOk(createAddressSet([]).has('127.0.0.1'))
})

t.test('a bad range is named', async (t) => {
  for (const bad of [
    '',
    'x',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '10.0/8',
    'fd00::/129',
    '1.2.3.4/8/8',
    'fe80::%1/64',
  ]) {
    t.throws(
      () => createAddressSet(['10.0.0.0/8', bad]),
      new RangeError(`"${bad}" is not a CIDR range such as 10.0.0.0/8 or fd00::/8`),
    )
  }
})

t.test('an address that is not public says why', async (t) => {
  const kinds = {
    '127.0.0.1': 'loopback',
    '127.1': 'loopback',
    '0x7f000001': 'loopback',
    '2130706433': 'loopback',
    '::1': 'loopback',
    '[::1]': 'loopback',
    '::ffff:127.0.0.1': 'loopback',
    '::127.0.0.1': 'loopback',
    '64:ff9b::7f00:1': 'loopback',
    '2002:7f00:1::': 'loopback',
    '169.254.169.254': 'metadata',
    '::ffff:169.254.169.254': 'metadata',
    'fd00:ec2::254': 'metadata',
    'fd20:ce::254': 'metadata',
    '100.100.100.200': 'metadata',
    '64:ff9b::a9fe:a9fe': 'metadata',
    '192.0.0.192': 'private',
    '198.18.0.1': 'private',
    '240.0.0.1': 'private',
    '64:ff9b:1::808:808': 'private',
    'fec0::1': 'private',
    '2001:db8::1': 'private',
    '2001::1': 'private',
    '100::1': 'private',
    'fe80::1%eth0': 'link-local',
    '169.254.0.1': 'link-local',
    'fe80::1': 'link-local',
    '10.1.2.3': 'private',
    '192.168.0.1': 'private',
    '100.64.0.1': 'private',
    'fd00::1': 'private',
    '0.0.0.0': 'unspecified',
    '::': 'unspecified',
    '224.0.0.1': 'multicast',
    '255.255.255.255': 'multicast',
    'ff02::1': 'multicast',
  }
  for (const [address, kind] of Object.entries(kinds)) t.equal(isPrivateAddress(address), kind, address)
  for (const address of ['8.8.8.8', '2606:4700::1111', '64:ff9b::808:808', 'example.com', '', 'localhost']) {
    t.equal(isPrivateAddress(address), undefined, address)
  }
})

t.test('equal ranges have one text', async (t) => {
  const range = (text: string) => normalizeRange(text)
  t.same(range('10.0.0.0/8'), { range: '10.0.0.0/8', hasHostBits: false })
  t.same(range('10.1.2.3/8'), { range: '10.0.0.0/8', hasHostBits: true })
  t.same(range('10.1.2.3/23'), { range: '10.1.2.0/23', hasHostBits: true })
  t.same(range('10.1.2.3/32'), { range: '10.1.2.3', hasHostBits: false })
  t.same(range('::ffff:10.1.2.3/104'), { range: '10.0.0.0/8', hasHostBits: true })
  t.same(range('255.255.255.255/0'), { range: '0.0.0.0/0', hasHostBits: true })
  t.same(range('FD00:0::1/9'), { range: 'fd00::/9', hasHostBits: true })
  t.same(range('::1'), { range: '::1', hasHostBits: false })
  t.throws(() => range('10.0.0.0/33'), RangeError)
})
