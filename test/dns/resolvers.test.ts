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

t.test('the nameservers of resolv.conf, in order, without the other lines', async (t) => {
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

t.test('this server is known by every address that leads to it', async (t) => {
  const clock = { now: () => 0, monotonic: () => 0 }
  const kept = (address: string, forward: readonly string[]) =>
    new Resolvers({ forward, own: { address, port: 5353 }, clock }).list()
  t.same(await kept('127.0.0.1', ['127.0.0.1:5353', '0.0.0.0:5353', '[::ffff:127.0.0.1]:5353']), [])
  t.same(await kept('::1', ['[::1]:5353', '[::]:5353', '[0:0:0:0:0:0:0:1]:5353']), [])
  for (const everywhere of ['::', '0.0.0.0']) {
    t.same(await kept(everywhere, ['127.0.0.1:5353', '127.9.9.9:5353', '0.0.0.0:5353', '[::ffff:7f00:1]:5353']), [])
  }
  t.equal((await kept('127.0.0.1', ['127.0.0.2:5353', '0.0.0.0:53', '192.0.2.1:5353'])).length, 3)
})
