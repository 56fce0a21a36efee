import t from 'tap'
import { findClientNetwork } from '../../lib/base/client-network.ts'

t.test('IPv4 addresses are clients, IPv6 ones by their first 64 bits', async (t) => {
  t.equal(findClientNetwork('192.0.2.1'), '192.0.2.1')
  t.equal(findClientNetwork('::ffff:192.0.2.1'), '192.0.2.1')
  t.equal(findClientNetwork('2001:db8::1'), findClientNetwork('2001:db8:0:0:ffff::2'))
  t.not(findClientNetwork('2001:db8::1'), findClientNetwork('2001:db8:0:1::1'))
  t.equal(findClientNetwork('fe80::1%eth0'), findClientNetwork('fe80::2'))
  t.equal(findClientNetwork(''), '', 'the peer is gone')
})
