import t from 'tap'
import { findClientAddress, isTrustedPeer, printForwarded } from '../../lib/request/forwarded.ts'
import { makeSettings } from '../helpers/settings.ts'

const settings = makeSettings({ trustedProxies: ['10.0.0.0/8', '2001:db8::/32'] })

t.test('only listed peers are trusted', async (t) => {
  t.equal(isTrustedPeer('10.1.2.3', settings), true)
  t.equal(isTrustedPeer('::ffff:10.1.2.3', settings), true, 'HD-04 an IPv4-mapped peer matches an IPv4 range')
  t.equal(isTrustedPeer('11.1.2.3', settings), false)
  t.equal(isTrustedPeer('', settings), false)
  t.equal(isTrustedPeer('10.1.2.3', makeSettings()), false, 'nobody by default')
})

t.test('HD-02 HD-05 the client is the right-most address that is not trusted', async (t) => {
  const cases: [string, string | undefined, string][] = [
    ['nothing sent', undefined, '10.0.0.1'],
    ['one', '1.2.3.4', '1.2.3.4'],
    ['what stands left of it is no evidence', '6.6.6.6, 1.2.3.4, 10.0.0.5', '1.2.3.4'],
    ['all trusted', '10.0.0.7, 10.0.0.5', '10.0.0.7'],
    ['with a port', '1.2.3.4:5678', '1.2.3.4'],
    ['IPv6', '2001:4860::1', '2001:4860::1'],
    ['IPv6 in brackets with a port', '[2001:4860::1]:443', '2001:4860::1'],
    ['mapped', '::ffff:1.2.3.4', '1.2.3.4'],
    ['garbage stops the walk', '1.2.3.4, <script>, 10.0.0.5', '10.0.0.5'],
    ['garbage alone', 'unknown', '10.0.0.1'],
    ['empty', '', '10.0.0.1'],
    ['500 entries', Array(500).fill('10.0.0.9').join(','), '10.0.0.9'],
    ['a megabyte', `${'x'.repeat(1_000_000)}, 1.2.3.4`, '1.2.3.4'],
  ]
  for (const [name, sent, expected] of cases) t.equal(findClientAddress('10.0.0.1', sent, settings), expected, name)
})

t.test('HD-06 addresses and hosts are quoted where RFC 7239 says so', async (t) => {
  t.equal(printForwarded('2001:db8::1', '[::1]:8443', 'https'), 'for="[2001:db8::1]";host="[::1]:8443";proto=https')
  t.equal(printForwarded('1.2.3.4', 'a.test', 'https'), 'for=1.2.3.4;host=a.test;proto=https')
  t.equal(printForwarded('2001:db8::1', '', 'https'), 'for="[2001:db8::1]";proto=https')
  t.equal(printForwarded('', 'a.test', 'http'), 'for=unknown;host=a.test;proto=http')
})
