import t from 'tap'
import { PortClaims } from '../../../lib/translate/exposure/port-claims.ts'

const owner = (gateway: 'http' | 'https') => ({ gateway })
const tcp = (address: string, port = 80) => ({ transport: 'TCP', address, port }) as const

t.test('a socket on every address and one on a single address exclude each other', async (t) => {
  const taken = ['::', '0.0.0.0', '127.0.0.1', '::1']
  const wanted = ['::', '0.0.0.0', '127.0.0.1', '127.0.0.2', '::1', '::2']
  const table = taken.map((first) => {
    const claims = new PortClaims()
    claims.take(tcp(first), owner('http'))
    return wanted.filter((address) => claims.find(tcp(address)) !== undefined).join(' ')
  })
  t.same(table, [
    ':: 0.0.0.0 127.0.0.1 127.0.0.2 ::1 ::2',
    ':: 0.0.0.0 127.0.0.1 127.0.0.2',
    ':: 0.0.0.0 127.0.0.1',
    ':: ::1',
  ])
})

t.test('another port and another transport are free, and the first keeps what it has', async (t) => {
  const claims = new PortClaims()
  claims.take(tcp('::'), owner('http'))
  claims.take(tcp('::'), owner('https'))
  t.equal(claims.find(tcp('127.0.0.1'))?.gateway, 'http')
  t.equal(claims.find(tcp('::', 81)), undefined)
  t.equal(claims.find({ transport: 'UDP', address: '::', port: 80 }), undefined)
})
