/** Auth servers that auth-url names as a cluster knows them: by Services of the manifests. */
import t from 'tap'
import { connectRaw } from '../helpers/raw-client.ts'
import { endpointsOf, runGateway, startEchoes } from '../helpers/running-gateway.ts'
import { until } from '../helpers/until.ts'
import { translateText } from '../translate/manifests.ts'
import { startAuth } from './auth-server.ts'
import { ask, printFiltered, startFiltered } from './filtered.ts'

function printService(urls: readonly string[], namespace = 'default', port = '{port: 9091}'): string {
  const endpoints = urls.map((url) => new URL(url).host).join(',')
  return `apiVersion: v1
kind: Service
metadata: {name: auth, namespace: ${namespace}, annotations: {portico.dev/endpoints: "${endpoints}"}}
spec: {ports: [${port}]}
`
}

t.test('the endpoints of a Service are asked in turn, by each of its names and through all doors', async (t) => {
  const servers = [
    await startAuth(t, (_request, response) => response.end()),
    await startAuth(t, (_request, response) => response.end()),
  ]
  const urls = servers.map(({ url }) => url)
  for (const [host, namespace] of [
    ['auth', 'default'],
    ['auth.default', 'default'],
    ['auth.sso', 'sso'],
    ['auth.sso.svc', 'sso'],
    ['auth.sso.svc.cluster.local', 'sso'],
  ] as const) {
    const url = `http://${host}:9091/verify?app=1`
    const doors = await startFiltered(t, { 'auth-url': url }, '/', printService(urls, namespace))
    for (const door of doors.names) {
      const before = servers.map(({ asked }) => asked.length)
      for (let count = 0; count < 4; count++) t.equal((await ask(doors, door, {})).status, 200, `${host} ${door}`)
      t.same(
        servers.map(({ asked }, at) => asked.length - before[at]!),
        [2, 2],
      )
    }
    t.match(servers[0]!.asked.at(-1), { url: '/verify?app=1', headers: { host: `${host}:9091` } })
  }
})

t.test('an endpoint that is down is passed over, and a reload goes to the endpoints of then', async (t) => {
  const one = await startAuth(t, (_request, response) => response.end())
  const two = await startAuth(t, (_request, response) => response.writeHead(403).end())
  const down = 'http://127.0.0.1:1/'
  const print = (urls: readonly string[]) =>
    `${printFiltered({ 'auth-url': 'http://auth:9091/' })}---\n${printService(urls)}`
  const running = await runGateway(t, print([down, one.url]), { endpoints: endpointsOf(await startEchoes(t, 'web')) })
  const visit = async () => {
    const client = await connectRaw(running.http)
    const { status } = await client.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n').response()
    client.destroy()
    return status
  }
  for (let count = 0; count < 4; count++) t.equal(await visit(), 200)
  t.equal(one.asked.length, 4)
  await running.change(print([two.url]))
  t.equal(await visit(), 403)
  await running.change(print([down]))
  t.equal(await visit(), 503)
  await running.change(print([one.url]))
  t.equal(await visit(), 200)
})

t.test('a Service that cannot be asked closes the routes, and nothing of the URL is shown', (t) => {
  const cases: readonly (readonly [url: string, service: string, code: string, message: RegExp])[] = [
    [
      'http://auth.default.svc:9091/?key=hushed',
      '',
      'PORTICO_REF_SERVICE_NOT_FOUND',
      /Service "auth" not found in namespace "default"/,
    ],
    [
      'http://auth.sso.svc.cluster.local/?key=hushed',
      printService([]),
      'PORTICO_REF_SERVICE_NOT_FOUND',
      /not found in namespace "sso"/,
    ],
    ['http://auth/?key=hushed', printService([]), 'PORTICO_REF_PORT_NOT_FOUND', /Service "auth" has no port 80/],
    [
      'https://auth:9091/?key=hushed',
      printService([]),
      'PORTICO_REF_PORT_PROTOCOL',
      /is asked over https, and its port 9091 speaks http/,
    ],
    [
      'http://auth:9091/?key=hushed',
      printService([], 'default', '{port: 9091, appProtocol: https}'),
      'PORTICO_REF_PORT_PROTOCOL',
      /is asked over http, and its port 9091 speaks https/,
    ],
  ]
  for (const [url, service, code, message] of cases) {
    const { model, diagnostics } = translateText(`${printFiltered({ 'auth-url': url })}---\n${service}`)
    const found = diagnostics.find((one) => one.code === code)
    t.match(found, { severity: 'error', message }, url)
    t.match(found?.help, 'until then the routes of this Ingress answer 503')
    t.notMatch(JSON.stringify(diagnostics), 'hushed')
    t.match(model.tables[0]?.hosts[0]?.routes[0]?.action, { type: 'unavailable', code: 'PORTICO_GW_GUARD_INVALID' })
  }
  t.end()
})

t.test('a host that seems to mean a Service and is the name of none is told of', (t) => {
  const services = ['', 'sso', 'one'].map((namespace) => printService([], namespace || 'default')).join('---\n')
  const said = (url: string, service: string) =>
    translateText(`${printFiltered({ 'auth-url': url })}---\n${service}`).diagnostics.find(({ message }) =>
      message.includes('auth-url'),
    )
  for (const [host, service, help] of [
    ['aut', services, 'did you mean "auth"?'],
    ['auht.sso', services, 'did you mean "auth"?'],
    ['auth.ss', printService([], 'sso'), 'it is in namespace "sso": write auth.sso.svc'],
    ['auth', printService([], 'sso'), 'it is in namespace "sso": write auth.sso.svc'],
  ] as const) {
    const found = said(`http://${host}:9091/?key=hushed`, service)
    t.match(found, {
      code: 'PORTICO_REF_SERVICE_NOT_FOUND',
      severity: 'warning',
      resource: 'Ingress default/web',
      help,
    })
    t.match(found?.message, /^portico\.dev\/auth-url: .* so the host is looked up by DNS$/)
    t.match(found?.notes, [{ message: 'Service "auth" is here' }])
    t.notMatch(JSON.stringify(found), 'hushed')
  }
  for (const host of ['login', 'localhost', 'login.example', 'aut.example.com', '127.0.0.1']) {
    t.notOk(said(`http://${host}:9091/`, services), host)
  }
  t.end()
})

t.test('a Service without endpoints is told of where a filter asks it, once', (t) => {
  const said = (text: string) =>
    translateText(text).diagnostics.filter(({ message }) => message.includes('default/auth:9091'))
  const empty = `---\n${printService([]).replace(/, annotations: {.*?}/, '')}`
  for (const [annotations, name, outcome] of [
    [{ 'auth-url': 'http://auth:9091/?key=hushed' }, 'auth-url', 'the requests that it is asked about answer 503'],
    [{ 'auth-url': 'http://auth:9091/', 'auth-failure': 'open' }, 'auth-url', 'requests go on unasked'],
    [{ mirror: 'auth' }, 'mirror', 'no copies are made'],
    [{ 'error-pages': '404', 'error-pages-service': 'auth' }, 'error-pages-service', 'errors have no page of it'],
  ] as const) {
    const found = said(printFiltered(annotations) + empty)
    t.match(found, [
      {
        code: 'PORTICO_REF_NO_ENDPOINTS',
        severity: 'warning',
        message: `portico.dev/${name}: service "default/auth:9091" has no endpoints`,
        help: `--endpoints default/auth=`,
        resource: 'Ingress default/web',
        position: { line: 8 },
        notes: [{ message: 'the Service is here' }],
      },
    ])
    t.equal(found.length, 1)
    t.match(found[0]?.help, `; until then ${outcome}`)
    t.notMatch(JSON.stringify(found), 'hushed')
  }
  const one = printFiltered({ 'auth-url': 'http://auth:9091/' })
  t.same(said(`${one}---\n${printService(['http://127.0.0.1:1/'])}`), [])
  const two = one.slice(one.indexOf('---')).replace('name: web, annotations', 'name: two, annotations')
  const both = said(`${one}${two}${empty}`)
  t.equal(both.length, 1)
  t.match(both[0]?.help, /and the same holds for Ingress default\/(?:two|web)$/)
  const other = `---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: other}
spec: {controller: example.com/other}
`
  const foreign = one.replace('spec: {rules', 'spec: {ingressClassName: other, rules') + empty + other
  t.same(said(foreign), [], 'an Ingress that is not served asks nothing')
  const policy = `---
apiVersion: portico.dev/v1alpha1
kind: RoutePolicy
metadata: {name: login}
spec: {targetRefs: [{kind: Ingress, name: web}], authUrl: "http://auth:9091/"}
`
  t.match(said(printFiltered({}) + empty + policy), [
    { message: /^spec\.authUrl: /, resource: 'RoutePolicy default/login' },
  ])
  const external = empty.replace('spec: {', 'spec: {type: ExternalName, externalName: 10.0.0.1, ')
  t.match(said(one + external), [{ code: 'PORTICO_REF_EXTERNAL_NAME_DENIED', severity: 'error' }])
  t.end()
})

t.test('any other host is an upstream of its own, of which all that name it have the same', (t) => {
  const [first, second] = ['one', 'two'].map((name) =>
    printFiltered({ 'auth-url': 'https://auth.example.com/verify?key=hushed' }).replaceAll(
      'name: web, annotations',
      `name: ${name}, annotations`,
    ),
  )
  const { model, diagnostics } = translateText(`${first}---\n${second?.split('---')[1]}`)
  t.notOk(diagnostics.find(({ severity }) => severity === 'error'))
  const upstream = model.upstreams.get('https://auth.example.com:443')
  t.match(upstream, {
    protocol: 'https',
    endpoints: [{ host: 'auth.example.com', port: 443, source: 'URL' }],
    policy: { verifyTls: true },
  })
  t.notMatch(JSON.stringify([...model.upstreams.keys()]), 'hushed')
  t.end()
})

t.test(
  'auth-failure: open lets nothing go on where the gateway does not ask: a circuit opens, no place is free',
  async (t) => {
    const failing = await startAuth(t, (_request, response) => response.writeHead(500).end())
    const slow = await startAuth(t, () => {})
    const open = { 'auth-url': 'http://auth:9091/', 'auth-failure': 'open', 'auth-timeout': '60s' }
    const circuit = await startFiltered(
      t,
      open,
      '/',
      printService([failing.url]).replace(
        '{portico',
        '{portico.dev/circuit-error-rate: "50", portico.dev/circuit-minimum-requests: "3", portico',
      ),
    )
    for (const door of circuit.names) {
      const statuses: number[] = []
      for (let count = 0; count < 5; count++) statuses.push((await ask(circuit, door, {})).status)
      t.notOk(statuses.includes(200), `${door}: ${statuses}`)
    }
    t.ok(failing.asked.length < 5 * circuit.names.length, 'the circuit was open')
    const full = await runGateway(
      t,
      `${printFiltered(open)}---\n${printService([slow.url]).replace(
        '{portico',
        '{portico.dev/max-connections: "1", portico.dev/queue-timeout: 100ms, portico',
      )}`,
      { endpoints: endpointsOf(await startEchoes(t, 'web')) },
    )
    const visit = async () =>
      (await (await connectRaw(full.http)).send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n').response()).status
    const waiting = visit()
    await until(() => slow.asked.length > 0)
    t.equal(await visit(), 503)
    await slow.close()
    t.equal(await waiting, 200, 'the server was asked, and cut the connection')
  },
)

t.test('an address of IPv6 and a name of this machine are reached', async (t) => {
  const auth = await startAuth(t, (_request, response) => response.writeHead(204).end())
  const url = auth.url.replace('127.0.0.1', 'localhost')
  const doors = await startFiltered(t, { 'auth-url': url })
  for (const door of doors.names) t.equal((await ask(doors, door, {})).status, 200, door)
  t.match(auth.asked[0]?.headers.host, /^localhost:\d+$/)
})

t.test('an auth server that authenticates connections gets none for a client alone', async (t) => {
  const auth = await startAuth(t, (request, response) => {
    if (request.headers.authorization === undefined) response.writeHead(401, { 'WWW-Authenticate': 'NTLM' }).end()
    else response.end()
  })
  const running = await runGateway(t, printFiltered({ 'auth-url': auth.url }), {
    endpoints: endpointsOf(await startEchoes(t, 'web')),
  })
  const clients = await Promise.all(Array.from({ length: 3 }, () => connectRaw(running.http)))
  for (const client of clients) {
    const visit = async (more: string) =>
      (await client.send(`GET / HTTP/1.1\r\nHost: a.test\r\n${more}\r\n`).response()).status
    t.equal(await visit(''), 401)
    t.equal(await visit('Authorization: NTLM TlRMTVNTUAAB\r\n'), 200)
    t.equal(await visit(''), 401, 'the next question is not taken for one of the same user')
  }
  t.equal(auth.sockets.size, 1, 'one connection for all of them')
  for (const client of clients) client.destroy()
})
