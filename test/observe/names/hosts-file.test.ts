import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { HostsFile, parseHosts } from '../../../lib/observe/names/hosts-file.ts'

t.test('hosts(5): addresses, names, comments', async (t) => {
  const hosts = parseHosts(
    '127.0.0.1 localhost\n# 1.1.1.1 no\n10.0.0.1\tA.test b.test # two\r\n::1 localhost\n10.0.0.1 a.test\nnot-an-address c.test\n',
  )
  t.same(hosts.get('a.test'), ['10.0.0.1'])
  t.same(hosts.get('b.test'), ['10.0.0.1'])
  t.same(hosts.get('localhost'), ['127.0.0.1', '::1'])
  t.same([hosts.get('no'), hosts.get('two'), hosts.get('c.test')], [undefined, undefined, undefined])
})

t.test('the file is read anew where it is another one', async (t) => {
  const path = join(t.testdir({}), 'hosts')
  const hosts = new HostsFile(path)
  t.equal(await hosts.refresh(), false)
  t.same(hosts.find('a.test'), [])
  writeFileSync(path, '10.0.0.1 a.test\n')
  t.same(await Promise.all([hosts.refresh(), hosts.refresh()]), [true, true])
  t.same(hosts.find('a.test'), ['10.0.0.1'])
  t.equal(await hosts.refresh(), false)
  writeFileSync(path, '10.0.0.22 a.test\n')
  t.equal(await hosts.refresh(), true)
  t.same(hosts.find('a.test'), ['10.0.0.22'])
  rmSync(path)
  t.equal(await hosts.refresh(), true)
  t.same(hosts.find('a.test'), [])
})
