import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { parseResolverAddress } from '../../lib/base/resolver-address.ts'
import { parseResolvConf, Resolvers } from '../../lib/dns/resolvers.ts'

t.test('resolvers as people write them', async (t) => {
  t.same(parseResolverAddress('192.0.2.1'), { address: '192.0.2.1', port: 53 })
  t.same(parseResolverAddress('192.0.2.1:5353'), { address: '192.0.2.1', port: 5353 })
  t.same(parseResolverAddress('2001:db8::1'), { address: '2001:db8::1', port: 53 })
  t.same(parseResolverAddress('[2001:db8::1]:5353'), { address: '2001:db8::1', port: 5353 })
  t.same(parseResolverAddress('fe80::1%eth0'), { address: 'fe80::1%eth0', port: 53 })
  for (const text of [
    '',
    'system',
    'dns.test',
    '192.0.2.1:0',
    '192.0.2.1:70000',
    '192.0.2',
    '[192.0.2.1]:53',
    '192.0.2.1:',
  ]) {
    t.equal(parseResolverAddress(text), undefined, text)
  }
})

t.test('the nameservers of resolv.conf, in order; all else there is none', async (t) => {
  const text =
    '# nameserver 192.0.2.9\n;nameserver 192.0.2.8\nsearch a.test\nnameserver 192.0.2.1\n  nameserver\t2001:db8::1  \nnameserver nonsense\noptions edns0\n'
  t.same(
    parseResolvConf(text).map(({ address }) => address),
    ['192.0.2.1', '2001:db8::1'],
  )
})

t.test(
  'the file of the system is read again where it may have changed; this server and a fourth are left out',
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'portico-resolv-'))
    t.teardown(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'resolv.conf')
    writeFileSync(file, 'nameserver 127.0.0.1\nnameserver 192.0.2.1\n')
    let now = 0
    const clock = { now: () => 0, monotonic: () => now }
    const own = { address: '127.0.0.1', port: 53 }
    const resolvers = new Resolvers({ forward: ['198.51.100.1', 'system', '127.0.0.1:5353'], own, clock, file })
    const list = async () => (await resolvers.list()).map(({ address, port }) => `${address}:${port}`)
    t.same(await list(), ['198.51.100.1:53', '192.0.2.1:53', '127.0.0.1:5353'])
    writeFileSync(file, 'nameserver 192.0.2.2\nnameserver 192.0.2.3\nnameserver 192.0.2.4\n')
    now = 4_000
    t.equal((await list())[1], '192.0.2.1:53')
    now = 6_000
    t.same(await list(), ['198.51.100.1:53', '192.0.2.2:53', '192.0.2.3:53'])
    rmSync(file)
    now = 12_000
    t.same(await list(), ['198.51.100.1:53', '127.0.0.1:5353'], 'no file names none')
  },
)
