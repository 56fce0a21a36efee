import { promises } from 'node:dns'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import t from 'tap'
import { StartError } from '../../lib/control/start-error.ts'
import { readMetrics, runGateway } from '../helpers/running-gateway.ts'
import { WEB } from './start-server.ts'

const FLAGS = { 'dns.enabled': 'true', 'dns.port': '0' }
const NAME = 'web.default.svc.cluster.local'

function resolverAt(port: number | undefined): promises.Resolver {
  const resolver = new promises.Resolver({ timeout: 20_000, tries: 1 })
  resolver.setServers([`127.0.0.1:${port}`])
  return resolver
}

t.test('a reload changes answers, and metrics count them', async (t) => {
  const flags = { ...FLAGS, 'admin.enabled': 'true', 'admin.port': '0' }
  const running = await runGateway(t, WEB, { flags })
  const resolver = resolverAt(running.gateway.ports.dns)
  t.same(await resolver.resolve4(NAME), ['10.96.0.10'])
  await running.change(WEB.replaceAll('10.96.0.10', '10.96.0.20'))
  t.same(await resolver.resolve4(NAME), ['10.96.0.20'])
  t.same(await resolver.reverse('10.96.0.20'), [NAME])
  await running.change(WEB.replace('name: web', 'name: site'))
  await t.rejects(resolver.resolve4(NAME), { code: 'ENOTFOUND' })
  t.same(await resolver.resolve4('site.default.svc.cluster.local'), ['10.96.0.10'])
  const metrics = await readMetrics(running)
  t.match(metrics, '\nportico_dns_requests_total{type="A",rcode="NOERROR"} 3\n')
  t.match(metrics, '\nportico_dns_requests_total{type="A",rcode="NXDOMAIN"} 1\n')
  t.match(metrics, '\nportico_dns_requests_total{type="PTR",rcode="NOERROR"} 1\n')
  const listeners = await (await fetch(`http://127.0.0.1:${running.admin}/api/v1/listeners`)).json()
  const port = running.gateway.ports.dns
  t.match(listeners, [{}, {}, {}, { name: 'dns', protocol: 'DNS', address: '127.0.0.1', port, enabled: true }])
})

t.test('a broken Service costs the others nothing, at the start and at a reload', async (t) => {
  const broken = `${WEB}---\napiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 0}]}\n`
  const running = await runGateway(t, broken, { flags: FLAGS })
  const resolver = resolverAt(running.gateway.ports.dns)
  t.same(await resolver.resolve4(NAME), ['10.96.0.10'])
  await running.change(
    `${WEB.replaceAll('10.96.0.10', '10.96.0.30')}---\napiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: 7}\n`,
  )
  t.same(await resolver.resolve4(NAME), ['10.96.0.30'])
})

t.test('off, there is no port', async (t) => {
  const { gateway } = await runGateway(t, WEB)
  t.equal(gateway.ports.dns, undefined)
})

t.test('the port closes with the gateway; until then it answers', async (t) => {
  const { gateway } = await runGateway(t, WEB, { flags: FLAGS })
  const { dns } = gateway.ports
  t.equal(await gateway.stop(), 'clean')
  const server = createServer().listen(dns, '127.0.0.1')
  await once(server, 'listening')
  server.close()
})

t.test('a port in use fails the start in one clear line', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const { port } = taken.address() as AddressInfo
  const error = await runGateway(t, WEB, { flags: { ...FLAGS, 'dns.port': String(port) } }).catch((reason) => reason)
  t.ok(error instanceof StartError)
  t.match(error, {
    message: `port ${port} is already in use on 127.0.0.1`,
    help: /choose another port for dns: --dns-port \d+/,
  })
})
