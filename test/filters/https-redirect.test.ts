import t from 'tap'
import { findIngressTable } from '../../lib/model/route-table.ts'
import { startDoors } from '../doors/request-doors.ts'
import { connectRaw, findAll } from '../helpers/raw-client.ts'
import { ONE_ROUTE, runGateway } from '../helpers/running-gateway.ts'
import { translateText } from '../translate/manifests.ts'

const SECURED = `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: secured}
spec:
  tls: [{hosts: [secured.test]}]
  rules: [{host: secured.test, http: {paths: [{path: /api, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]
---
`

t.test(
  'plain HTTP of a host with a tls section is sent to HTTPS at every door, where no route matches too',
  async (t) => {
    const doors = await startDoors(t, { 'https.redirectPort': '443' }, SECURED)
    const targets = ['/api?x=%20', '/none/../x', '//evil.test/', '/a%2Fb']
    for (const door of doors.names) {
      const isPlain = !/TLS|HTTP\/2/.test(door)
      for (const target of targets) {
        const { status, headers = [], body, upstream } = await doors.ask(door, { host: 'Secured.test:80', target })
        if (isPlain) {
          t.equal(status, 308, `${door} ${target}`)
          t.same(findAll(headers, 'location'), [`https://secured.test${target}`])
          t.same(findAll(headers, 'strict-transport-security'), [])
          t.same(findAll(headers, 'content-length'), ['0'])
          t.equal(body, '')
          t.same(upstream, [])
        } else t.equal(status, target === '/api?x=%20' ? 200 : 404, `${door} ${target}`)
      }
      const { status } = await doors.ask(door, { host: 'gw.test' })
      t.equal(status, 200, 'other hosts are left alone')
    }
  },
)

t.test('clients are sent to the port of HTTPS that is really bound', async (t) => {
  const { http, https } = await runGateway(t, ONE_ROUTE + SECURED, { endpoints: { web: [1] } })
  const client = await connectRaw(http)
  t.teardown(() => client.destroy())
  const answer = await client.send('GET /a?b HTTP/1.1\r\nHost: secured.test\r\n\r\n').response()
  t.equal(answer.status, 308)
  t.equal(answer.header('location'), `https://secured.test:${https}/a?b`)
})

t.test('the settings turn it off, and say the port', async (t) => {
  const cases = [
    ['', [{ name: 'https-redirect', options: { port: undefined } }]],
    ['redirectPort: 443', [{ name: 'https-redirect', options: { port: 443 } }]],
    ['redirect: false', undefined],
    ['enabled: false', undefined],
  ] as const
  for (const [settings, filters] of cases) {
    const configuration = `apiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\nhttps: {${settings}}\n`
    const { model } = translateText(configuration + SECURED)
    t.same(findIngressTable(model).hosts[0]?.filters, filters, settings)
  }
})
