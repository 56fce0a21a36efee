import t from 'tap'
import { Responder } from '../../lib/dns/responder.ts'
import { ZoneBuilder } from '../../lib/dns/zone.ts'
import { makeQuery, readHeader } from './client.ts'

const REFUSED = 5
const SERVFAIL = 2

t.test('other names are looked up for clients of private networks alone', async (t) => {
  let asked = 0
  const zone = new ZoneBuilder().build({
    zone: 'cluster.local',
    ttl: 5,
    address: '127.0.0.1',
    builtAt: 0,
    model: { services: [], upstreams: new Map() },
  })
  const forwarder = {
    ask: async () => {
      asked++
      throw new Error('no resolver is known')
    },
  }
  const responder = new Responder({ zone, forwarder }, { onBug: (error) => t.error(error), onForwardFailed: () => {} })
  const codeFor = async (address: string): Promise<number> => {
    const reply = await responder.respond(makeQuery('example.com', 1, { flags: 0x0100 }), { address, transport: 'udp' })
    return readHeader(reply!).code
  }
  const near = ['127.0.0.1', '10.1.2.3', '172.31.0.1', '192.168.1.1', '169.254.7.7', '100.64.0.1']
  const nearV6 = ['::1', '::ffff:10.0.0.1', 'fd00::1', 'fe80::1', 'fe80::1%eth0']
  for (const address of [...near, ...nearV6]) t.equal(await codeFor(address), SERVFAIL, address)
  t.equal(asked, near.length + nearV6.length)
  // Among them reserved addresses that are routed through the internet.
  const far = ['8.8.8.8', '192.88.99.1', '192.175.48.1', '192.31.196.1', '192.52.193.1', '240.0.0.1']
  const farV6 = [
    '2001:4860::1',
    '::ffff:8.8.8.8',
    '2001:0:4136:e378:8000:63bf:3fff:fdd2',
    '2002:a00:1::1',
    '64:ff9b::a00:1',
  ]
  for (const address of [...far, ...farV6, '2620:4f:8000::1', '']) t.equal(await codeFor(address), REFUSED, address)
  t.equal(asked, near.length + nearV6.length)
})
