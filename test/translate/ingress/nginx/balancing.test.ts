/** Settings of Services that Ingresses of ingress-nginx say for them (AF, HB, BP), over real sockets. */
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { DiagnosticList } from '../../../../lib/base/diagnostics.ts'
import { decodeDocuments } from '../../../../lib/kubernetes/decode.ts'
import { ResourceStore } from '../../../../lib/kubernetes/store.ts'
import { sourceFromText } from '../../../../lib/source/read-source.ts'
import { Translator } from '../../../../lib/translate/translate.ts'
import { makeCertificate } from '../../../helpers/certificates.ts'
import { parseDocuments } from '../../../helpers/documents.ts'
import { findAll } from '../../../helpers/raw-client.ts'
import { type RunningGateway, runGateway, startEchoes, visit } from '../../../helpers/running-gateway.ts'
import { makeSettings } from '../../../helpers/settings.ts'
import { fixedClock, translateText } from '../../manifests.ts'

const { a, b, c, d } = await startEchoes(t, 'a', 'b', 'c', 'd')
const ALL = [a, b, c, d].map(({ port }) => `127.0.0.1:${port}`).join(', ')

/** By their names without the domain. */
type Annotations = Readonly<Record<string, string>>

type Words = Readonly<{
  nginx?: Annotations
  name?: string
  service?: string
  created?: string
  port?: string
  more?: string
}>

function printIngress({ nginx = {}, name = 'web', service = 'web', created, port, more = '' }: Words = {}): string {
  const annotations = Object.fromEntries(
    Object.entries(nginx).map(([key, value]) => [`nginx.ingress.kubernetes.io/${key}`, value]),
  )
  const meta = { name, annotations, ...(created && { creationTimestamp: created }) }
  const backend = `{service: {name: ${service}, port: ${port ?? '{number: 80}'}}}`
  return `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: ${JSON.stringify(meta)}
spec: {${more}rules: [{host: ${name}.test, http: {paths: [{path: /, pathType: Prefix, backend: ${backend}}]}}]}
`
}

function printService(
  annotations: object = {},
  endpoints: string = ALL,
  name: string = 'web',
  ports: string = '{port: 80, name: http}',
): string {
  const all = { 'portico.dev/endpoints': endpoints, ...annotations }
  return `---
apiVersion: v1
kind: Service
metadata: {name: ${name}, annotations: ${JSON.stringify(all)}}
spec: {ports: [${ports}]}
`
}

const start = (t: Test, nginx: Annotations, service: string = printService()) =>
  runGateway(t, printIngress({ nginx }) + service)

async function askMany(
  running: RunningGateway,
  count: number,
  fields: string = '',
  path: string = '/',
): Promise<string[]> {
  const answers: string[] = []
  for (let at = 0; at < count; at++) {
    answers.push(String((await visit(running, `http://web.test${path}`, { fields })).answeredBy))
  }
  return answers
}

const cookieOf = (headers: readonly string[]) => findAll(headers, 'set-cookie')[0] ?? ''

const said = (text: string) =>
  translateText(text).diagnostics.map(({ code, message, help, position }) => {
    return { code, message, help, line: position?.line }
  })

/** What the upstream has otherwise than all. */
const policyOf = (text: string, key: string = 'default/web:80') => ({
  ...translateText(text).model.upstreams.get(key)?.policy,
})

t.test(
  'AF1 AF2 affinity, session-cookie-name: a client is kept by INGRESSCOOKIE, or as the Ingress says',
  async (t) => {
    for (const [nginx, name] of [
      [{ affinity: 'cookie' }, 'INGRESSCOOKIE'],
      [{ affinity: 'cookie', 'session-cookie-name': 'route' }, 'route'],
    ] as const) {
      const running = await start(t, nginx)
      const first = await visit(running, 'http://web.test/')
      const line = cookieOf(first.response.headers)
      t.match(line, new RegExp(`^${name}=[^;]+; Path=/; HttpOnly$`))
      const fields = `Cookie: ${line.split(';')[0]}\r\n`
      t.same(new Set(await askMany(running, 8, fields)), new Set([first.answeredBy]))
      const again = await visit(running, 'http://web.test/', { fields })
      t.equal(cookieOf(again.response.headers), '', 'it is set only once')
      t.equal(new Set(await askMany(running, 4)).size, 4, 'clients without it spread')
    }
    t.match(said(printIngress({ nginx: { affinity: 'ip' } }) + printService()), [{ message: /"ip" is not cookie/ }])
    t.same(policyOf(printIngress({ nginx: { 'session-cookie-name': 'route' } }) + printService()), {})
  },
)

t.test('AF1 session-cookie-path, -domain, -samesite, -secure, -max-age and -expires', async (t) => {
  const attributes = async (nginx: Annotations, scheme: string = 'http') => {
    const running = await start(t, { affinity: 'cookie', ...nginx })
    return cookieOf((await visit(running, `${scheme}://web.test/`)).response.headers).replace(/^[^;]*; /, '')
  }
  t.equal(await attributes({ 'session-cookie-path': '/shop' }), 'Path=/shop; HttpOnly')
  t.equal(await attributes({ 'session-cookie-domain': '.example.com' }), 'Path=/; Domain=example.com; HttpOnly')
  t.equal(await attributes({ 'session-cookie-samesite': 'Strict' }), 'Path=/; HttpOnly; SameSite=Strict')
  t.equal(await attributes({ 'session-cookie-samesite': 'None' }, 'https'), 'Path=/; Secure; HttpOnly; SameSite=None')
  t.equal(await attributes({ 'session-cookie-samesite': 'None' }), 'Path=/; HttpOnly', 'a browser would refuse it')
  t.equal(await attributes({ 'session-cookie-secure': 'true' }), 'Path=/; Secure; HttpOnly')
  t.equal(await attributes({ 'session-cookie-secure': 'false' }, 'https'), 'Path=/; Secure; HttpOnly', 'trap 18')
  t.equal(await attributes({ 'session-cookie-max-age': '172800' }), 'Path=/; Max-Age=172800; HttpOnly')
  t.equal(await attributes({ 'session-cookie-max-age': '-1' }), 'Path=/; HttpOnly', 'differs: no Max-Age')
  const longest = await attributes({ 'session-cookie-max-age': '99999999999' })
  t.equal(longest, 'Path=/; Max-Age=34560000; HttpOnly', 'differs: 400 days')
  const [, expires = ''] = /; Expires=([^;]+);/.exec(await attributes({ 'session-cookie-expires': '3600' })) ?? []
  t.ok(Math.abs(Date.parse(expires) - Date.now() - 3_600_000) < 60_000, expires)
  t.equal(await attributes({ 'session-cookie-max-age': '1h' }), 'Path=/; HttpOnly', 'G3: it counts as not written')
})

t.test('AF3 affinity-mode: new endpoints get new clients alone, in both modes', async (t) => {
  for (const mode of ['balanced', 'persistent']) {
    const ingress = printIngress({ nginx: { affinity: 'cookie', 'affinity-mode': mode } })
    const running = await runGateway(t, ingress + printService({}, `127.0.0.1:${a.port}`))
    const cookie = cookieOf((await visit(running, 'http://web.test/')).response.headers).split(';')[0]
    await running.change(ingress + printService())
    t.same(new Set(await askMany(running, 12, `Cookie: ${cookie}\r\n`)), new Set(['a']), mode)
  }
})

t.test('AF4 session-cookie-change-on-failure: false stays with an endpoint that is down, true leaves it', async (t) => {
  const { down } = await startEchoes(t, 'down')
  const endpoints = `127.0.0.1:${a.port}, 127.0.0.1:${down!.port}`
  const cases = [
    ['false', 502],
    ['true', 200],
    ['', 200],
  ] as const
  const tested = []
  for (const [change, status] of cases) {
    const nginx = { affinity: 'cookie', ...(change && { 'session-cookie-change-on-failure': change }) }
    const ingress = printIngress({ nginx })
    const running = await runGateway(
      t,
      ingress + printService({ 'portico.dev/ejection-consecutive-failures': '0' }, endpoints),
    )
    let cookie = ''
    while (cookie === '') {
      const { answeredBy, response } = await visit(running, 'http://web.test/')
      if (answeredBy === 'down') cookie = cookieOf(response.headers).split(';')[0]!
    }
    tested.push({ running, ingress, fields: `Cookie: ${cookie}\r\n`, status, change })
  }
  await down!.close()
  for (const { running, ingress, fields, status, change } of tested) {
    t.equal((await visit(running, 'http://web.test/', { fields })).status, status, `"${change}"`)
    await running.change(ingress + printService({}, `127.0.0.1:${a.port}`))
    t.same(await askMany(running, 1, fields), ['a'], 'once it is gone there is another')
  }
})

t.test('AF5 AF6 the path of the cookie is the path of the rule, / if that is a regular expression', async (t) => {
  const path = async (nginx: Annotations, from: string, to: string) => {
    const ingress = printIngress({ nginx: { affinity: 'cookie', ...nginx } }).replace(
      '{path: /, pathType: Prefix',
      from,
    )
    const running = await runGateway(t, ingress + printService())
    return /; Path=([^;]*);/.exec(cookieOf((await visit(running, `http://web.test${to}`)).response.headers))?.[1]
  }
  t.equal(await path({}, '{path: /shop, pathType: Prefix', '/shop/x'), '/shop')
  t.equal(await path({}, '{path: /shop, pathType: Exact', '/shop'), '/shop')
  const expression = '{path: "/shop(/|$)(.*)", pathType: ImplementationSpecific'
  t.equal(await path({ 'use-regex': 'true' }, expression, '/shop/x'), '/')
  t.equal(await path({ 'use-regex': 'true', 'session-cookie-path': '/shop' }, expression, '/shop/x'), '/shop')
})

t.test('AF7 session-cookie-conditional-samesite-none: SameSite=None goes to all clients', async (t) => {
  const none = { 'session-cookie-samesite': 'None', 'session-cookie-conditional-samesite-none': 'true' }
  const running = await start(t, { affinity: 'cookie', ...none })
  const fields = 'User-Agent: Mozilla/5.0 (iPhone; CPU iPhone OS 12_1 like Mac OS X) AppleWebKit/605.1.15\r\n'
  t.match(cookieOf((await visit(running, 'https://web.test/', { fields })).response.headers), /SameSite=None/)
})

t.test(
  'CA4 affinity-canary-behavior: clients stay with the Service that they were given, unless it is legacy',
  async (t) => {
    const printCanary = (nginx: Annotations) =>
      printIngress({
        name: 'next',
        service: 'next',
        nginx: { canary: 'true', 'canary-weight': '50', ...nginx },
      }).replace('host: next.test', 'host: web.test')
    const services = printService({}, `127.0.0.1:${a.port}`) + printService({}, `127.0.0.1:${b.port}`, 'next')
    const main = printIngress({ nginx: { affinity: 'cookie', 'session-cookie-name': 'route' } })
    for (const [behavior, isKept] of [
      ['', true],
      ['sticky', true],
      ['legacy', false],
    ] as const) {
      const running = await runGateway(
        t,
        main + printCanary(behavior ? { 'affinity-canary-behavior': behavior } : {}) + services,
      )
      const seen = new Set<string>()
      for (let at = 0; at < 12 && seen.size < 2; at++) {
        const first = await visit(running, 'http://web.test/')
        seen.add(String(first.answeredBy))
        const cookies = findAll(first.response.headers, 'set-cookie').map((line) => line.split(';')[0])
        t.equal(
          cookies.some((cookie) => cookie?.startsWith('route_SERVICE=')),
          isKept,
          behavior,
        )
        const later = await askMany(running, 16, `Cookie: ${cookies.join('; ')}\r\n`)
        if (isKept) t.same(new Set(later), new Set([first.answeredBy]), behavior)
        else t.equal(new Set(later).size, 2, behavior)
      }
      t.equal(seen.size, 2, 'both Services have clients')
    }
  },
)

t.test('HB1 upstream-hash-by: variables say which endpoint', async (t) => {
  for (const [by, parts] of [
    ['$request_uri', 'uri'],
    [`\${request_uri}`, 'uri'],
    ['$uri', 'path'],
    ['$host$uri', 'host+path'],
    [`\${http_x_user}`, 'header:x-user'],
    ['$cookie_sid-$arg_user', 'cookie:sid+query:user'],
    ['$binary_remote_addr', 'client-ip'],
    ['$remote_addr', 'client-ip'],
    ['$http_host', 'host'],
  ] as const) {
    t.same(
      policyOf(printIngress({ nginx: { 'upstream-hash-by': by } }) + printService()),
      { balancer: 'hash', 'hash.by': parts, 'hash.boundedLoad': 0 },
      by,
    )
  }
  const running = await start(t, { 'upstream-hash-by': '$request_uri' })
  const owners: string[] = []
  for (let at = 0; at < 12; at++) {
    const answers = new Set(await askMany(running, 4, '', `/x?${at}`))
    t.equal(answers.size, 1)
    owners.push(...answers)
  }
  t.ok(new Set(owners).size > 1)
  const byUser = await start(t, { 'upstream-hash-by': '$http_x_user' })
  t.equal(new Set(await askMany(byUser, 6, 'X-User: ann\r\n')).size, 1)
})

t.test('HB1 upstream-hash-by: what stands for nothing here is told, and load-balance decides', async (t) => {
  for (const [by, message] of [
    ['$request_method', 'nothing is chosen by $request_method here'],
    ['constant', 'it names no variable'],
  ] as const) {
    const text = printIngress({ nginx: { 'upstream-hash-by': by, 'load-balance': 'ewma' } }) + printService()
    t.match(said(text), [
      { code: 'PORTICO_ANN_VALUE', message: `nginx.ingress.kubernetes.io/upstream-hash-by: ${message}`, line: 4 },
    ])
    t.same(policyOf(text), { balancer: 'ewma' })
  }
  const running = await start(t, { 'upstream-hash-by': '$uri;evil' })
  t.equal((await visit(running, 'http://web.test/')).status, 503, 'G3: ingress-nginx refuses the Ingress')
})

t.test('HB1 upstream-hash-by-subset, upstream-hash-by-subset-size: a key has several endpoints', async (t) => {
  const by = { 'upstream-hash-by': '$uri', 'upstream-hash-by-subset': 'true' }
  const running = await start(t, { ...by, 'upstream-hash-by-subset-size': '2' })
  t.equal(new Set(await askMany(running, 20)).size, 2)
  const subset = (nginx: Annotations) => policyOf(printIngress({ nginx }) + printService())['hash.subset']
  t.equal(subset(by), 3)
  t.equal(subset({ ...by, 'upstream-hash-by-subset': 'false', 'upstream-hash-by-subset-size': '2' }), undefined)
})

t.test('HB2 HB3 load-balance: round_robin and ewma, behind upstream-hash-by', async (t) => {
  const policy = (nginx: Annotations) => policyOf(printIngress({ nginx }) + printService())
  t.same(policy({ 'load-balance': 'ewma' }), { balancer: 'ewma' })
  t.same(policy({ 'load-balance': 'round_robin' }), { balancer: 'round-robin' })
  t.match(policy({ 'load-balance': 'ewma', 'upstream-hash-by': '$uri' }), { balancer: 'hash' })
  t.match(said(printIngress({ nginx: { 'load-balance': 'least_conn' } }) + printService()), [
    { message: /"least_conn" is neither round_robin nor ewma/ },
  ])
  const running = await start(t, { 'load-balance': 'round_robin' })
  t.same((await askMany(running, 4)).sort(), ['a', 'b', 'c', 'd'])
})

const authority = await makeCertificate({ names: ['Our CA'], isAuthority: true })
const server = await makeCertificate({ names: ['app.internal'], issuer: authority })
const client = await makeCertificate({
  names: ['gateway'],
  issuer: authority,
  notBefore: new Date('2025-12-01'),
})

async function startTls(t: Test): Promise<string> {
  const keys = { cert: server.certificate, key: server.key, ca: authority.certificate }
  const endpoint = createServer({ ...keys, requestCert: true, rejectUnauthorized: false }, ({ socket }, response) => {
    const { subject } = (socket as TLSSocket).getPeerCertificate()
    response.end(String(subject?.CN ?? 'nobody'))
  })
  await new Promise<void>((resolve) => endpoint.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    endpoint.close()
    endpoint.closeAllConnections()
  })
  return `127.0.0.1:${(endpoint.address() as AddressInfo).port}`
}

function printSecret(namespace: string = 'default'): string {
  const data = { 'tls.crt': client.certificate, 'tls.key': client.key, 'ca.crt': authority.certificate }
  return `---
apiVersion: v1
kind: Secret
metadata: {name: mesh, namespace: ${namespace}}
stringData: ${JSON.stringify(data)}
`
}

async function askTls(t: Test, nginx: Annotations, more: string = ''): Promise<string> {
  const running = await start(t, nginx, printService({}, await startTls(t)) + more)
  const { status, response } = await visit(running, 'http://web.test/')
  const body = response.body.toString()
  return status === 200 ? body : `${status} ${JSON.parse(body).code}`
}

t.test('BP1 BP3 backend-protocol: HTTPS is spoken and verified; what cannot be spoken is told', async (t) => {
  t.equal(await askTls(t, { 'backend-protocol': 'HTTPS' }), '502 PORTICO_UP_TLS', 'differs: it is verified')
  t.equal(await askTls(t, { 'backend-protocol': 'https', 'proxy-ssl-verify': 'off' }), 'nobody')
  const service = printService().replace('port: 80,', 'port: 80, appProtocol: https,')
  const running = await start(t, { 'backend-protocol': 'HTTP' }, service)
  t.equal((await visit(running, 'http://web.test/')).status, 200, 'BP3: it goes before appProtocol')
  const protocol = (value: string, text: string) =>
    translateText(printIngress({ nginx: { 'backend-protocol': value } }) + text).model.upstreams.get('default/web:80')
      ?.protocol
  t.equal(protocol('AUTO_HTTP', printService()), 'http')
  t.equal(protocol('AUTO_HTTP', service), 'https', 'differs: as appProtocol says')
  t.equal(protocol('nonsense', printService()), 'http')
  for (const value of ['GRPC', 'grpcs', 'FCGI']) {
    t.match(said(printIngress({ nginx: { 'backend-protocol': value } }) + printService()), [
      { code: 'PORTICO_ANN_VALUE', message: new RegExp(`${value.toUpperCase()} is not spoken`), line: 4 },
    ])
  }
})

t.test('BP2 proxy-ssl-secret, proxy-ssl-verify, proxy-ssl-name, and the others of proxy-ssl', async (t) => {
  const https = { 'backend-protocol': 'HTTPS' }
  const secret = { 'proxy-ssl-secret': 'default/mesh', 'proxy-ssl-verify': 'on', 'proxy-ssl-name': 'app.internal' }
  const whole = { ...https, ...secret }
  t.equal(await askTls(t, whole, printSecret()), 'gateway')
  const other = { ...whole, 'proxy-ssl-name': 'other.internal' }
  t.equal(await askTls(t, other, printSecret()), '502 PORTICO_UP_TLS')
  t.equal(await askTls(t, { ...other, 'proxy-ssl-verify': 'off' }, printSecret()), 'gateway')
  t.equal(await askTls(t, whole), '503 PORTICO_UP_NO_SERVICE', 'G3: the Secret is missing')
  t.match(said(printIngress({ nginx: whole }) + printService()), [
    { code: 'PORTICO_REF_SECRET_NOT_FOUND', message: /^nginx\.ingress\.kubernetes\.io\/proxy-ssl-secret: /, line: 4 },
  ])
  t.match(await askTls(t, { ...whole, 'proxy-ssl-secret': 'other/mesh' }, printSecret('other')), /^503 /)
  t.match(await askTls(t, { ...whole, 'proxy-ssl-secret': '../mesh' }, printSecret()), /^503 /)
  const warned = (nginx: Annotations) => said(printIngress({ nginx: { ...https, ...nginx } }) + printService())
  t.match(warned({ 'proxy-ssl-name': 'app.internal' }), [{ message: /does nothing without proxy-ssl-secret/ }])
  t.match(warned({ 'proxy-ssl-verify': 'off' }), [{ message: /are not verified/ }])
  const idle = {
    'proxy-ssl-server-name': 'on',
    'proxy-ssl-verify-depth': '2',
    'proxy-ssl-ciphers': 'HIGH',
    'proxy-ssl-protocols': 'TLSv1.2',
  }
  t.same(said(printIngress({ nginx: { ...whole, ...idle } }) + printService() + printSecret()), [])
})

t.test('HB4 the first Ingress that speaks of a noun decides for the Service port', async (t) => {
  const ewma = { 'load-balance': 'ewma' }
  const hash = { 'upstream-hash-by': '$uri' }
  const both = (one: Words, other: Words) =>
    printIngress({ ...one, name: 'one' }) + printIngress({ ...other, name: 'two' }) + printService()
  const byName = both({ nginx: ewma }, { nginx: hash })
  t.match(policyOf(byName), { balancer: 'ewma' }, 'the first by name')
  t.match(said(byName), [
    {
      code: 'PORTICO_SVC_OVERRULED',
      message:
        'nginx.ingress.kubernetes.io/upstream-hash-by does nothing for Service default/web: Ingress default/one decides for its port 80',
      line: 9,
    },
  ])
  const old = { nginx: ewma, created: '2020-01-01T00:00:00Z' }
  t.same(policyOf(both({ nginx: hash, created: '2021-01-01T00:00:00Z' }, old)), { balancer: 'ewma' }, 'the older')
  t.same(policyOf(both({ nginx: hash }, old)), { balancer: 'ewma' }, 'one that says its age is older')
  t.same(said(both({ nginx: ewma }, { nginx: ewma })), [], 'the same twice is fine')
  t.match(policyOf(both({ nginx: { affinity: 'cookie' } }, { nginx: ewma })), {
    balancer: 'ewma',
    'affinity.type': 'cookie',
  })
  t.same(policyOf(both({}, { nginx: ewma })), { balancer: 'ewma' }, 'one that says nothing decides nothing')
})

t.test('an Ingress speaks for the ports that it leads to, by number or name, and if it is served', async (t) => {
  const nginx = { 'load-balance': 'ewma' }
  const service = printService({}, ALL, 'web', '{port: 80, name: http}, {port: 81, name: other}')
  const byName = printIngress({ nginx, port: '{name: other}' }) + service
  t.same(policyOf(byName, 'default/web:81'), { balancer: 'ewma' })
  t.same(policyOf(byName), {})
  const foreign = `---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: foreign}
spec: {controller: example.com/other}
`
  t.same(policyOf(printIngress({ nginx, more: 'ingressClassName: foreign, ' }) + service + foreign), {})
})

t.test(
  'the Service itself, its RoutePolicies and the settings go before Ingresses, and these before its spec',
  async (t) => {
    const policy = `---
apiVersion: portico.dev/v1alpha1
kind: RoutePolicy
metadata: {name: p}
spec: {targetRefs: [{kind: Service, name: web}], affinityType: none}
`
    const settings = `---
apiVersion: portico.dev/v1alpha1
kind: GatewayConfiguration
services: {default/web: {affinity: {type: none}}}
`
    const type = (text: string) => policyOf(text)['affinity.type']
    const ingress = printIngress({ nginx: { affinity: 'cookie' } })
    t.equal(type(ingress + printService().replace('spec: {', 'spec: {sessionAffinity: ClientIP, ')), 'cookie')
    const own = ingress + printService({ 'portico.dev/affinity-type': 'none' })
    t.equal(type(own), 'none')
    t.match(
      said(own).filter(({ code }) => code === 'PORTICO_SVC_OVERRULED'),
      [
        {
          message:
            'nginx.ingress.kubernetes.io/affinity does nothing for Service default/web: portico.dev/affinity-type goes before',
        },
      ],
    )
    t.equal(type(ingress + printService() + policy), 'none')
    t.equal(type(settings + ingress + printService()), 'none')
  },
)

t.test('a change of what one Ingress says leaves the upstreams of all other Services alone', async (t) => {
  const list = new DiagnosticList()
  const decode = (text: string) =>
    decodeDocuments(parseDocuments(sourceFromText(`${text.length}.yaml`, text), list).documents, list).resources
  const names = ['o1', 'o2', 'o3']
  const others = decode(
    names
      .map(
        (name) =>
          printIngress({ name, service: name, nginx: { 'load-balance': 'ewma' } }) + printService({}, ALL, name),
      )
      .join('') + printService(),
  )
  const store = new ResourceStore()
  const translator = new Translator()
  let round = 0
  const translate = (nginx: Annotations) => {
    const resources = store.update([...decode(printIngress({ nginx })), ...others], ++round, list, [])
    return translator.translate(resources, { settings: makeSettings(), clock: fixedClock }, list).upstreams
  }
  const before = translate({ 'load-balance': 'ewma' })
  const after = translate({ 'upstream-hash-by': '$uri' })
  t.match(after.get('default/web:80')?.policy, { balancer: 'hash' })
  for (const name of names) t.equal(after.get(`default/${name}:80`), before.get(`default/${name}:80`), name)
  const same = translate({ 'upstream-hash-by': '$uri', 'load-balance': 'round_robin' })
  t.equal(same.get('default/web:80'), after.get('default/web:80'), 'what comes to the same stays the same object')
})
