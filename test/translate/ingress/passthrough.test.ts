/** TLS that is passed through by the name of the host: who has the certificate, what is read, and what closes it. */
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:tls'
import t, { type Test } from 'tap'
import { loadConfiguration } from '../../../lib/control/configuration.ts'
import { runPortico } from '../../bin/process.ts'
import { makeCertificate } from '../../helpers/certificates.ts'
import { findFreePort } from '../../helpers/free-ports.ts'
import { connectRaw } from '../../helpers/raw-client.ts'
import { makeSecretYaml, type RunningGateway, runGateway } from '../../helpers/running-gateway.ts'
import { until } from '../../helpers/until.ts'
import { printIngresses, printService, type WrittenIngresses } from './nginx/nginx-ingress.ts'

const PASSED = { 'portico.dev/tls-passthrough': 'true' }

/** An HTTPS server whose certificate is for `name`; answers with `name` and the URL. */
async function startBackend(t: Test, name: string): Promise<number> {
  const pem = await makeCertificate({ names: [name] })
  const server = createServer({ cert: pem.certificate, key: pem.key }, (request, response) => {
    response.end(`${name} ${request.url} ${request.headers['x-forwarded-for'] ?? 'untouched'}`)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** The certificate that a client gets, and the body of the answer. */
async function ask({ https }: RunningGateway, servername: string, target = '/'): Promise<readonly [string, string]> {
  const socket = connect({ port: https, host: '127.0.0.1', servername, rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const name = String(socket.getPeerCertificate().subject.CN)
  socket.write(`GET ${target} HTTP/1.1\r\nHost: ${servername}\r\nConnection: close\r\n\r\n`)
  let text = ''
  for await (const chunk of socket) text += chunk
  return [name, text.slice(text.indexOf('\r\n\r\n') + 4)]
}

t.test('connections for the host go to the endpoint as they are; other hosts end here', async (t) => {
  const [passed, ended] = [await startBackend(t, 'endpoint.test'), await startBackend(t, 'ended.test')]
  const secret = await makeSecretYaml('rest', ['rest.test'])
  const text = (annotations: Readonly<Record<string, string>>) =>
    [
      printIngresses({
        secret: { nginx: annotations, tls: ['secret.test'] },
        plain: { nginx: {}, paths: [['/', 'Prefix', 'other']] },
      }),
      printService('web', `127.0.0.1:${passed}`),
      printService('other', `127.0.0.1:${ended}`).replace(
        'annotations: {',
        'annotations: {portico.dev/protocol: https, portico.dev/verify-tls: "false", ',
      ),
      secret,
    ].join('---\n')
  const gateway = await runGateway(t, text(PASSED), { flags: { defaultSslCertificate: 'default/rest' } })
  t.same(await ask(gateway, 'secret.test', '/a//b'), ['endpoint.test', 'endpoint.test /a//b untouched'])
  t.same(await ask(gateway, 'SECRET.test.'), ['endpoint.test', 'endpoint.test / untouched'])
  const [name, body] = await ask(gateway, 'plain.test')
  t.equal(name, 'rest.test')
  t.match(body, /^ended\.test \/ 127\.0\.0\.1$/)
  // Plain HTTP of a host with a tls section leads to HTTPS, as for other hosts.
  const client = await connectRaw(gateway.http)
  client.send('GET / HTTP/1.1\r\nHost: secret.test\r\n\r\n')
  t.equal((await client.response()).status, 308)
  client.destroy()
  await until(() => gateway.gateway.inFlight === 0)

  await gateway.change(text({}))
  t.equal((await ask(gateway, 'secret.test'))[0], 'rest.test')
  await gateway.change(text({ 'ssl-passthrough': 'true' }))
  t.equal((await ask(gateway, 'secret.test'))[0], 'endpoint.test', 'SP1 the annotation of ingress-nginx does the same')
})

t.test('without endpoints the connection is reset; with strictSni the name is taken', async (t) => {
  const text = [
    printIngresses({ a: { nginx: PASSED } }),
    'apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n',
  ].join('---\n')
  const gateway = await runGateway(t, text, { flags: { 'https.strictSni': 'true' } })
  await t.rejects(ask(gateway, 'a.test'), { code: 'ECONNRESET' })
  const port = await startBackend(t, 'endpoint.test')
  await gateway.change(
    [printIngresses({ a: { nginx: PASSED } }), printService('web', `127.0.0.1:${port}`)].join('---\n'),
  )
  t.equal((await ask(gateway, 'a.test'))[0], 'endpoint.test')
  await t.rejects(ask(gateway, 'b.test'))
})

t.test('a large ClientHello in pieces, and bytes both ways', async (t) => {
  const port = await startBackend(t, 'endpoint.test')
  const text = [printIngresses({ a: { nginx: PASSED } }), printService('web', `127.0.0.1:${port}`)].join('---\n')
  const gateway = await runGateway(t, text)
  const socket = connect({
    port: gateway.https,
    host: '127.0.0.1',
    servername: 'a.test',
    rejectUnauthorized: false,
    ALPNProtocols: Array.from({ length: 60 }, (_, index) => `${'x'.repeat(60)}${index}`).concat('http/1.1'),
  })
  await once(socket, 'secureConnect')
  t.equal(String(socket.getPeerCertificate().subject.CN), 'endpoint.test')
  socket.destroy()
})

t.test('what cannot be passed through is told, and ends here', async (t) => {
  const load = async (nginx: Readonly<Record<string, string>>, more: object = {}, service = printService('web')) => {
    const stdin = `${printIngresses({ a: { nginx: { ...PASSED, ...nginx }, ...more } })}---\n${service}`
    const { model, diagnostics } = await loadConfiguration({ sources: ['-'], stdin, flags: {}, environment: {} })
    const passed = model.certificates.filter(({ passthrough }) => passthrough !== undefined).map(({ host }) => host)
    return [passed, ...diagnostics.map(({ code, severity, message }) => `${code} ${severity} ${message}`)]
  }
  t.same(await load({}), [['a.test']])
  t.same(await load({}, { paths: [['/a'], ['/']] }), [['a.test']])
  const refused = (why: string) => [[], `PORTICO_ROUTE_PASSTHROUGH error TLS of a.test is not passed through: ${why}`]
  t.same(await load({}, { paths: [['/a']] }), refused('the Ingress has no path /'))
  t.same(
    await load({ 'portico.dev/allow-source-range': '10.0.0.0/8' }),
    refused('source-range could not act on what nobody reads'),
  )
  t.same(await load({ 'portico.dev/match-methods': 'GET' }), refused('the Ingress has no path /'))
  t.same(await load({}, { paths: [['/', 'Exact']] }), refused('the Ingress has no path /'))
  t.same(await load({ 'portico.dev/maintenance': 'true' }), refused('maintenance could not act on what nobody reads'))
  t.match(await load({}, { host: '*.a.test' }), [[], /the host is a wildcard/])
  t.match(await load({}, { host: '' }), [[], /TLS of \* is not passed through: the rule has no host$/])
  t.match(await load({ 'portico.dev/tls-passthrough': 'yes' }), [
    [],
    /tls-passthrough: "yes" is neither true nor false$/,
  ])
})

t.test('no other Ingress takes, or ends, the TLS of a host, nor opens what its own namespace guards', async (t) => {
  const load = async (ingresses: WrittenIngresses) => {
    const services = ['a', 'b'].map((namespace) =>
      printService('web').replace('name: web', `name: web, namespace: ${namespace}`),
    )
    const stdin = [printIngresses(ingresses), ...services].join('---\n')
    const { model, diagnostics } = await loadConfiguration({ sources: ['-'], stdin, flags: {}, environment: {} })
    const passed = model.certificates.flatMap(({ host, passthrough }) =>
      passthrough ? [`${host} ${passthrough}`] : [],
    )
    return [
      passed,
      ...diagnostics.filter(({ code }) => code === 'PORTICO_ROUTE_PASSTHROUGH').map(({ message }) => message),
    ]
  }
  const first = { host: 'x.test', namespace: 'a', created: '2020-01-01T00:00:00Z' }
  const later = { host: 'x.test', namespace: 'b', created: '2025-01-01T00:00:00Z' }
  t.match(await load({ mine: { ...first, nginx: {} }, yours: { ...later, nginx: PASSED, paths: [['/', 'Exact']] } }), [
    [],
    /Ingress a\/mine named the host first, and does not say so$/,
  ])
  const kept = [['x.test a/web:80']]
  for (const other of [
    { nginx: {}, paths: [['/', 'Exact']] },
    { nginx: { 'portico.dev/allow-source-range': '10.0.0.0/8' }, paths: [['/zzz']] },
    { nginx: { 'portico.dev/match-methods': 'GET' } },
    { nginx: { 'use-regex': 'true' }, paths: [['/zzz', 'ImplementationSpecific']] },
  ] as const) {
    t.same(
      await load({ mine: { ...first, nginx: PASSED }, yours: { ...later, ...other } }),
      kept,
      JSON.stringify(other),
    )
  }
  const guarded = {
    ...later,
    namespace: 'a',
    nginx: { 'portico.dev/allow-source-range': '10.0.0.0/8' },
    paths: [['/admin']],
  } as const
  t.match(await load({ mine: { ...first, nginx: PASSED }, guarded }), [[], /source-range could not act/])
})

t.test('ports of Services end TLS as before, whatever a host says', async (t) => {
  const port = await startBackend(t, 'endpoint.test')
  const nodePort = await findFreePort()
  const service = `apiVersion: v1
kind: Service
metadata: {name: own, annotations: {portico.dev/endpoints: "127.0.0.1:${port}", portico.dev/protocol: https, portico.dev/verify-tls: "false"}}
spec: {type: NodePort, ports: [{port: 443, nodePort: ${nodePort}, appProtocol: https}]}
`
  const text = [
    printIngresses({ a: { nginx: PASSED } }),
    printService('web', `127.0.0.1:${port}`),
    service,
    await makeSecretYaml('rest', ['rest.test']),
  ].join('---\n')
  const flags = {
    defaultSslCertificate: 'default/rest',
    'nodePorts.range': '20000-29999',
    'nodePorts.addresses': '127.0.0.1',
  }
  const gateway = await runGateway(t, text, { flags })
  t.equal((await ask(gateway, 'a.test'))[0], 'endpoint.test')
  t.equal((await ask({ ...gateway, https: nodePort }, 'a.test'))[0], 'rest.test')
})

t.test('explain, get certificates and check say who has the certificate', async (t) => {
  const stdin = `${printIngresses({ a: { nginx: PASSED } })}---\n${printService('web')}`
  const explained = await runPortico(['explain', '-f', '-', 'https://a.test/x'], { stdin })
  t.match(explained.stdout, /TLS is passed through to default\/web:80/)
  t.match(explained.stdout, /127\.0\.0\.1:80/)
  const plain = await runPortico(['explain', '-f', '-', 'http://a.test/x'], { stdin })
  t.match(plain.stdout, /longest matching prefix|Prefix/)
  const { stdout } = await runPortico(['get', 'certificates', '-f', '-', '-o', 'wide'], { stdin })
  t.match(stdout, /passed through/)
})
