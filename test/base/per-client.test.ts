import t from 'tap'
import { clientKey } from '../../lib/base/client-key.ts'
import { PerClient } from '../../lib/base/per-client.ts'

t.test('IPv4 addresses are clients, IPv6 ones by their first 64 bits', async (t) => {
  t.equal(clientKey('192.0.2.1'), '192.0.2.1')
  t.equal(clientKey('2001:db8::1'), clientKey('2001:db8:0:0:ffff::2'))
  t.not(clientKey('2001:db8::1'), clientKey('2001:db8:0:1::1'))
  t.equal(clientKey(''), '')
})

t.test('what is empty is let go, what is not stays the same object', async (t) => {
  let created = 0
  const table = new PerClient(() => {
    created++
    return { isEmpty: true as boolean }
  })
  const kept = table.find('kept')
  kept.isEmpty = false
  for (let n = 0; n < 10_000; n++) table.find(`client ${n}`)
  t.equal(table.find('kept'), kept)
  t.ok([...table.values()].length < 200)
  t.equal(created, 10_001)
})
