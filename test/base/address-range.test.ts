import fc from 'fast-check'
import t from 'tap'
import { canonicalAddress, parseAddressRange, parseServiceRange } from '../../lib/base/address-range.ts'

t.test('addresses, ranges and CIDR ranges in one row', async (t) => {
  const range = parseAddressRange(['192.0.2.7', '192.0.2.10-192.0.2.12', '198.51.100.0/30', '2001:db8::/126'])
  t.equal(range.size, 12)
  const all = Array.from({ length: range.size }, (_, index) => range.at(index))
  t.same(all, [
    '192.0.2.7',
    '192.0.2.10',
    '192.0.2.11',
    '192.0.2.12',
    '198.51.100.0',
    '198.51.100.1',
    '198.51.100.2',
    '198.51.100.3',
    '2001:db8::',
    '2001:db8::1',
    '2001:db8::2',
    '2001:db8::3',
  ])
  t.same(
    all.map((address) => range.indexOf(address)),
    all.map((_, index) => index),
  )
  t.equal(range.indexOf('2001:0DB8::3'), 11, 'however it is spelt')
  for (const other of ['192.0.2.8', '192.0.2.13', '::ffff:192.0.2.7', '2001:db8::4', 'x']) {
    t.equal(range.indexOf(other), undefined, other)
  }
  t.throws(() => range.at(12), RangeError)
})

t.test('the error names the entry that is no range', async (t) => {
  for (const [entries, message] of [
    [['x'], '"x" is not an address, a range or a CIDR range'],
    [['192.0.2.1/33'], '"192.0.2.1/33" is not a CIDR range'],
    [['192.0.2.1/24'], '"192.0.2.1/24" has bits set beyond the prefix length'],
    [['192.0.2.9-192.0.2.1'], '"192.0.2.9-192.0.2.1" does not lead from a lower to a higher address'],
    [['192.0.2.9-::1'], '"192.0.2.9-::1" does not lead from a lower to a higher address'],
    [['192.0.2.9-x'], '"x" is not an address'],
    [['192.0.2.0/24', '192.0.2.7'], '"192.0.2.7" has addresses of "192.0.2.0/24"'],
  ] as const) {
    t.throws(() => parseAddressRange(entries), { message }, message)
  }
})

t.test('of a range for Services the first address and the last of IPv4 are left out', async (t) => {
  const four = parseServiceRange('10.96.0.0/29')
  t.same(
    [four.size, four.at(0), four.at(5), four.indexOf('10.96.0.0'), four.indexOf('10.96.0.7')],
    [6, '10.96.0.1', '10.96.0.6', undefined, undefined],
  )
  const six = parseServiceRange('fd00::/126')
  t.same([six.size, six.at(0), six.at(2)], [3, 'fd00::1', 'fd00::3'])
  t.throws(() => parseServiceRange('10.96.0.0/31'), { message: /holds no address/ })
  t.throws(() => parseServiceRange('10.96.0.1'), { message: /is not a CIDR range/ })
  t.equal(parseServiceRange('fd00::/64').size, 2 ** 32 - 1, 'of a large range a part is enough')
})

t.test('an index leads to an address and back', async (t) => {
  const range = parseAddressRange(['10.0.0.0/8', 'fd00::/16'])
  fc.assert(
    fc.property(fc.nat(range.size - 1), (index) => {
      t.equal(range.indexOf(range.at(index)), index)
    }),
    { numRuns: 50 },
  )
})

t.test('one spelling', async (t) => {
  t.same(['2001:DB8:0:0::1', '127.0.0.1', '::', '::ffff:1.2.3.4'].map(canonicalAddress), [
    '2001:db8::1',
    '127.0.0.1',
    '::',
    '::ffff:102:304',
  ])
})
