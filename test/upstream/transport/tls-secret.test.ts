/** `portico.dev/tls-secret` and `portico.dev/protocol` under a running gateway, whose endpoints ask for a certificate. */
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { runPortico } from '../../bin/process.ts'
import { makeCertificate, type Pem } from '../../helpers/certificates.ts'
import { type RunningGateway, runGateway, visit } from '../../helpers/running-gateway.ts'
import { until } from '../../helpers/until.ts'
import { translateText } from '../../translate/manifests.ts'

const [ours, others] = await Promise.all([
  makeCertificate({ names: ['Our CA'], isAuthority: true }),
  makeCertificate({ names: ['Another CA'], isAuthority: true }),
])
const [server, alice, bob] = await Promise.all([
  makeCertificate({ names: ['web.default.svc'], issuer: ours }),
  makeCertificate({ names: ['alice'], issuer: ours }),
  makeCertificate({ names: ['bob'], issuer: ours }),
])

/** Says whose certificate it was shown; with `isStrict` it refuses clients without one. */
async function startEndpoint(t: Test, isStrict: boolean): Promise<number> {
  const options = { cert: server.certificate, key: server.key, ca: ours.certificate, requestCert: true }
  const endpoint = createServer({ ...options, rejectUnauthorized: isStrict }, ({ socket }, response) => {
    const { subject } = (socket as TLSSocket).getPeerCertificate()
    response.end(String(subject?.CN ?? 'nobody'))
  })
  await new Promise<void>((resolve) => endpoint.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    endpoint.close()
    endpoint.closeAllConnections()
  })
  return (endpoint.address() as AddressInfo).port
}

type Parts = Readonly<{ client?: Pem; authorities?: string }>

function printSecret({ client, authorities }: Parts, name: string = 'mesh', namespace: string = 'default'): string {
  const data = { 'tls.crt': client?.certificate, 'tls.key': client?.key, 'ca.crt': authorities }
  return `---
apiVersion: v1
kind: Secret
metadata: {name: ${name}, namespace: ${namespace}}
type: Opaque
stringData: ${JSON.stringify(data)}
`
}

function printWeb(port: number, annotations: object, portFields: string = ''): string {
  const all = { 'portico.dev/endpoints': `127.0.0.1:${port}`, ...annotations }
  return `---
apiVersion: v1
kind: Service
metadata: {name: web, annotations: ${JSON.stringify(all)}}
spec: {ports: [{port: 443${portFields}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec: {defaultBackend: {service: {name: web, port: {number: 443}}}}
`
}

const SECURED = { 'portico.dev/protocol': 'https', 'portico.dev/tls-secret': 'mesh' }
const BOTH: Parts = { client: alice, authorities: ours.certificate }

async function ask(running: RunningGateway): Promise<string> {
  const { status, response } = await visit(running, 'http://a.test/')
  const body = response.body.toString()
  return status === 200 ? body : `${status} ${JSON.parse(body).code}`
}

for (const workers of ['0', '1']) {
  t.test(
    `endpoints are shown the certificate of the Secret, and a change of it is followed; workers: ${workers}`,
    async (t) => {
      const port = await startEndpoint(t, true)
      const web = printWeb(port, SECURED)
      const running = await runGateway(t, web + printSecret(BOTH), { flags: { workers } })
      t.equal(await ask(running), 'alice')
      const becomes = (answer: string) => until(async () => (await ask(running)) === answer)
      await running.change(web + printSecret({ ...BOTH, client: bob }))
      await becomes('bob')
      await running.change(web + printSecret({ client: bob, authorities: others.certificate }))
      await becomes('502 PORTICO_UP_TLS')
      await running.change(web + printSecret({ authorities: ours.certificate }))
      t.not(await ask(running), 'bob', 'no connection of another certificate is used again')
      await running.change(web)
      await becomes('503 PORTICO_UP_NO_SERVICE')
      await running.change(web + printSecret(BOTH))
      await becomes('alice')
    },
  )
}

t.test('either part of the Secret may be missing', async (t) => {
  const port = await startEndpoint(t, false)
  const web = printWeb(port, SECURED)
  const running = await runGateway(t, web + printSecret({ authorities: ours.certificate }))
  t.equal(await ask(running), 'nobody', 'verified, without a certificate of the gateway')
  await running.change(web + printSecret({ client: alice }))
  t.equal(await ask(running), '502 PORTICO_UP_TLS', 'the authorities of the system do not know the endpoint')
  await running.change(
    printWeb(port, { ...SECURED, 'portico.dev/verify-tls': 'false' }) + printSecret({ client: alice }),
  )
  t.equal(await ask(running), 'alice')
  await running.change(printWeb(port, { ...SECURED, 'portico.dev/sni': 'other.test' }) + printSecret(BOTH))
  t.equal(await ask(running), '502 PORTICO_UP_TLS', 'the name is verified too')
})

t.test('active checks show the certificate as well', async (t) => {
  const port = await startEndpoint(t, true)
  const checked = { ...SECURED, 'portico.dev/health-check': 'http', 'portico.dev/health-interval': '50ms' }
  const running = await runGateway(t, printWeb(port, checked) + printSecret(BOTH))
  await new Promise((resolve) => setTimeout(resolve, 300))
  t.equal(await ask(running), 'alice')
  await running.change(printWeb(port, checked) + printSecret({ authorities: ours.certificate }))
  await until(async () => (await ask(running)).startsWith('503'))
})

t.test('S14 protocol goes before appProtocol, of a Service, of its RoutePolicy, and of all Services', async (t) => {
  const port = await startEndpoint(t, false)
  const plain = { 'portico.dev/verify-tls': 'false' }
  const policy = (options: string) => `---
apiVersion: portico.dev/v1alpha1
kind: RoutePolicy
metadata: {name: p}
spec: {targetRefs: [{kind: Service, name: web}], ${options}}
`
  const settings = (text: string) => `---
apiVersion: portico.dev/v1alpha1
kind: GatewayConfiguration
${text}
`
  const https = { ...plain, 'portico.dev/protocol': 'https' }
  for (const [text, answer] of [
    [printWeb(port, https), 'nobody'],
    [printWeb(port, https, ', appProtocol: http'), 'nobody'],
    [printWeb(port, { ...plain, 'portico.dev/protocol': 'http' }, ', appProtocol: https'), '502 PORTICO_UP_RESET'],
    [printWeb(port, { ...plain, 'portico.dev/protocol': 'auto' }, ', appProtocol: https'), 'nobody'],
    [printWeb(port, plain) + policy('protocol: https'), 'nobody'],
    [settings('upstream: {protocol: https}') + printWeb(port, plain), 'nobody'],
    [
      settings('services: {default/web: {protocol: https}}') +
        printWeb(port, { ...plain, 'portico.dev/protocol': 'http' }),
      'nobody',
    ],
  ] as const) {
    const running = await runGateway(t, text)
    t.equal(await ask(running), answer, text)
  }
})

const LONG_AGO = { notBefore: new Date('2020-01-01'), notAfter: new Date('2021-01-01') }

const said = (text: string) =>
  translateText(text).diagnostics.map(({ code, message, help, position }) => ({
    code,
    message,
    help,
    line: position?.line,
  }))

t.test(
  'TLS-21 a Secret that cannot be used closes the way to the endpoints, and is reported where it is named',
  async (t) => {
    const until = 'until then nothing is sent to the endpoints'
    const web = printWeb(1, SECURED)
    t.match(said(web), [
      {
        code: 'PORTICO_REF_SECRET_NOT_FOUND',
        message: 'portico.dev/tls-secret: Secret "mesh" not found in namespace "default"',
        help: `add it to the manifests; ${until}`,
        line: 4,
      },
    ])
    t.match(said(web + printSecret(BOTH, 'mash')), [{ help: `did you mean "mash"? ${until}` }])
    t.match(said(web + printSecret(BOTH, 'mesh', 'other')), [{ help: /only objects of that namespace reach it/ }])
    t.match(said(web + printSecret({})), [
      { code: 'PORTICO_TLS_CERTIFICATE_INVALID', message: /secret "default\/mesh" has no ca\.crt, and no tls\.crt/ },
    ])
    t.match(said(web + printSecret({ authorities: 'nothing' })), [{ message: /ca\.crt holds no certificate/ }])
    t.match(said(web + printSecret({ client: { ...alice, key: bob.key } })), [
      { code: 'PORTICO_TLS_KEY_MISMATCH', help: /; nothing is sent to the endpoints$/ },
    ])
    t.match(said(web + printSecret({ client: { ...alice, key: 'a key' } })), [
      { message: /tls\.key .* is not a PEM private key/ },
    ])
    const expired = await makeCertificate({ names: ['old'], issuer: ours, ...LONG_AGO })
    t.match(said(web + printSecret({ client: expired })), [
      { code: 'PORTICO_TLS_EXPIRED', help: /it is used all the same/ },
    ])
    t.match(said(printWeb(1, { ...SECURED, 'portico.dev/tls-secret': 'other/mesh' })), [
      { code: 'PORTICO_ANN_VALUE', help: /write the name of a Secret in the namespace of the Service/ },
    ])
    t.same(
      said(printWeb(1, { 'portico.dev/tls-secret': 'mesh' })),
      [],
      'endpoints that are spoken to in HTTP need none',
    )
    t.match(
      said(`${printWeb(1, { 'portico.dev/protocol': 'https' })}---
apiVersion: portico.dev/v1alpha1
kind: RoutePolicy
metadata: {name: p}
spec: {targetRefs: [{kind: Service, name: web}], tlsSecret: mesh}
`),
      [{ message: 'spec.tlsSecret: Secret "mesh" not found in namespace "default"', line: 15 }],
    )
  },
)

t.test('no command prints the key', async (t) => {
  const text = printWeb(1, SECURED) + printSecret(BOTH)
  const broken = printWeb(1, SECURED) + printSecret({ client: { ...alice, key: bob.key } })
  const line = (pem: string) => pem.split('\n')[1]!
  for (const words of [
    ['check', '-f', '-'],
    ['check', '-f', '-', '-o', 'json'],
    ['explain', 'http://a.test/', '-f', '-'],
    ['explain', 'http://a.test/', '-f', '-', '-o', 'json'],
    ['get', 'endpoints', '-f', '-', '-o', 'yaml'],
    ['get', 'services', '-f', '-', '-o', 'json'],
    ['get', 'routes', '-f', '-', '-o', 'json'],
  ]) {
    for (const stdin of [text, broken]) {
      const { stdout, stderr } = await runPortico(words, { stdin })
      for (const key of [alice.key, bob.key]) t.notMatch(stdout + stderr, line(key), words.join(' '))
      t.notMatch(stdout + stderr, 'PRIVATE KEY', words.join(' '))
    }
  }
})
