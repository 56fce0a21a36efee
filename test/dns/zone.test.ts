import t from 'tap'
import { Responder } from '../../lib/dns/responder.ts'
import { type Zone, ZoneBuilder } from '../../lib/dns/zone.ts'
import type { Model } from '../../lib/model/model.ts'
import { translateText } from '../translate/manifests.ts'
import { makeQuery, readHeader } from './client.ts'
import { WEB } from './start-server.ts'

const HEADLESS = `---
apiVersion: v1
kind: Service
metadata: {name: db, annotations: {portico.dev/endpoints: "127.0.0.1:5432"}}
spec: {clusterIP: None, ports: [{name: pg, port: 5432}]}
`
const DB = 'db.default.svc.cluster.local'

function build(builder: ZoneBuilder, model: Pick<Model, 'services' | 'upstreams'>, zone = 'cluster.local'): Zone {
  return builder.build({ zone, ttl: 5, address: '127.0.0.1', builtAt: 0, model })
}

t.test('a Service that did not change keeps its records, and one that did has new ones', async (t) => {
  const builder = new ZoneBuilder()
  const { model } = translateText(WEB + HEADLESS)
  const first = build(builder, model)
  const upstream = model.upstreams.get('default/db:5432')!
  const endpoints = upstream.endpoints.map((endpoint) => ({ ...endpoint, ready: false }))
  const upstreams = new Map(model.upstreams).set(upstream.key, { ...upstream, endpoints })
  const second = build(builder, { services: model.services, upstreams })
  t.equal(second.find('web.default.svc.cluster.local'), first.find('web.default.svc.cluster.local'))
  t.ok(first.find(DB))
  t.equal(second.find(DB), undefined, 'nothing of it is ready')
  t.ok(first.find(DB), 'a zone never changes')
  const third = build(builder, model, 'corp.test')
  t.equal(third.find(DB), undefined)
  t.match(third.find('_pg._tcp.db.default.svc.corp.test')?.get(33), [{ target: '127-0-0-1.db.default.svc.corp.test' }])
})

t.test('an endpoint in bad health has no name, as long as health is looked at', async (t) => {
  const find = (change: object, serviceChange: object = {}) => {
    const { model } = translateText(HEADLESS)
    const upstream = model.upstreams.get('default/db:5432')!
    const health = { state: 'unhealthy', reason: 'refused', since: 0 } as const
    const endpoints = [
      { ...upstream.endpoints[0]!, health },
      { ...upstream.endpoints[0]!, host: '127.0.0.2' },
    ]
    const upstreams = new Map([[upstream.key, { ...upstream, endpoints, ...change }]])
    const services = model.services.map((service) => ({ ...service, ...serviceChange }))
    return build(new ZoneBuilder(), { services, upstreams }).find(DB)?.get(1)?.length
  }
  t.equal(find({}), 1)
  t.equal(find({ inPanic: true }), 2)
  t.equal(find({}, { publishNotReadyAddresses: true }), 2)
})

t.test('UDP ports have upstreams of their own', async (t) => {
  const { model } = translateText(HEADLESS.replace('{name: pg, port: 5432}', '{name: pg, port: 5432, protocol: UDP}'))
  const template = translateText(HEADLESS).model.upstreams.get('default/db:5432')!
  const upstreams = new Map([['default/db:5432/UDP', template]])
  const zone = build(new ZoneBuilder(), { services: model.services, upstreams })
  t.equal(zone.find(DB)?.get(1)?.length, 1)
  t.match(zone.find(`_pg._udp.${DB}`)?.get(33), [{ port: 5432 }])
})

t.test('one name in a zone of 20,000 Services is found without a look at the others', async (t) => {
  const { model } = translateText(WEB)
  const [web] = model.services
  const services = Array.from({ length: 20_000 }, (_, index) => ({ ...web!, name: `web-${index}` }))
  const zone = build(new ZoneBuilder(), { services, upstreams: new Map() })
  t.ok(zone.find('web-19999.default.svc.cluster.local'))
  t.equal(zone.find('web-20000.default.svc.cluster.local'), undefined)
})

t.test('only clients of private networks have other names looked up, whatever the address of the server', async (t) => {
  const zone = build(new ZoneBuilder(), translateText(WEB).model)
  let asked = 0
  const forwarder = {
    ask: () => {
      asked++
      return Promise.reject(new Error('not here'))
    },
  }
  const ignore = (): void => undefined
  const responder = new Responder({ zone, forwarder }, { onBug: ignore, onForwardFailed: ignore })
  const ask = async (address: string, name: string): Promise<number> => {
    const reply = await responder.respond(makeQuery(name, 1), { address, transport: 'udp' })
    return readHeader(reply!).code
  }
  for (const address of ['127.0.0.1', '10.1.2.3', '192.168.1.1', '::1', 'fd00::1', 'fe80::1', '::ffff:172.17.0.2']) {
    t.equal(await ask(address, 'example.com'), 2, address)
  }
  t.equal(asked, 7)
  for (const address of ['203.0.114.7', '2001:4860::1', '::ffff:8.8.8.8', '']) {
    t.equal(await ask(address, 'example.com'), 5, address)
    t.equal(await ask(address, 'web.default.svc.cluster.local'), 0, 'the names of the zone are for all')
  }
  t.equal(asked, 7)
})
