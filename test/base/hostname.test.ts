import t from 'tap'
import { matchesHostPattern, parseAuthority } from '../../lib/base/hostname.ts'

const READ: readonly (readonly [string, string, string, number | undefined])[] = [
  ['a name', 'foo.com', 'foo.com', undefined],
  ['I-6 case does not matter', 'FOO.Com', 'foo.com', undefined],
  ['P7 the port is cut off', 'foo.com:8080', 'foo.com', 8080],
  ['an empty port is no port', 'foo.com:', 'foo.com', undefined],
  ['P8 IPv6 in brackets', '[::1]:8080', '::1', 8080],
  ['P8 IPv6 without a port', '[2001:DB8::1]', '2001:db8::1', undefined],
  ['IPv4', '127.0.0.1:80', '127.0.0.1', 80],
  ['P9 a trailing dot is the same name', 'foo.com.', 'foo.com', undefined],
  ['P9 a trailing dot and a port', 'foo.com.:443', 'foo.com', 443],
  ['P11 an empty Host', '', '', undefined],
  ['P16 punycode', 'xn--bcher-kva.example', 'xn--bcher-kva.example', undefined],
  ['P17 an underscore', 'a_b.foo.com', 'a_b.foo.com', undefined],
  ['one label', 'localhost', 'localhost', undefined],
]

t.test('an authority is read as host and port', async (t) => {
  for (const [name, text, hostname, port] of READ) t.same(parseAuthority(text), { hostname, port }, name)
})

const REFUSED: readonly string[] = [
  'foo/bar',
  'a b',
  ' foo.com',
  'foo.com ',
  'a@b',
  'user:pass@foo.com',
  'a.com, b.com',
  'a.com,b.com',
  'foo.com:80:80',
  'foo.com:x',
  'foo.com:-1',
  'foo.com:0',
  'foo.com:65536',
  'foo.com:000080',
  'foo.com:+80',
  ':80',
  '.',
  '..',
  '.foo.com',
  'foo..com',
  'foo.com..',
  'foo\\bar',
  'foo?bar',
  'foo#bar',
  'foo%2ecom',
  'b\u00fccher.example',
  'foo\0.com',
  '*.foo.com',
  '::1',
  '[::1',
  '[::1]x',
  '[::1]:x',
  '[]',
  '[1.2.3.4]',
  '[fe80::1%eth0]',
  '[v1.x]',
  `${'a.'.repeat(127)}aaa`,
]

t.test('P12 an authority that is not host and port is refused', async (t) => {
  for (const text of REFUSED) t.equal(parseAuthority(text), undefined, JSON.stringify(text))
})

t.test('I-7 a wildcard matches exactly one label', async (t) => {
  t.ok(matchesHostPattern('*.foo.com', 'bar.foo.com'))
  t.ok(matchesHostPattern('*.foo.com', 'a_b.foo.com'), 'P17 with an underscore')
  t.notOk(matchesHostPattern('*.foo.com', 'baz.bar.foo.com'))
  t.notOk(matchesHostPattern('*.foo.com', 'foo.com'))
  t.notOk(matchesHostPattern('*.foo.com', '.foo.com'))
  t.notOk(matchesHostPattern('*.foo.com', 'bar.xfoo.com'))
  t.notOk(matchesHostPattern('*.foo.com', 'barfoo.com'))
})

t.test('I-6 an exact host matches itself alone', async (t) => {
  t.ok(matchesHostPattern('foo.com', 'foo.com'))
  t.notOk(matchesHostPattern('foo.com', 'www.foo.com'))
  t.notOk(matchesHostPattern('foo.com', ''))
})
