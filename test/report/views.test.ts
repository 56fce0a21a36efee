/** The views over a small model: order, states, and what is left out. */
import t from 'tap'
import { DiagnosticList } from '../../lib/base/diagnostics.ts'
import type { SourcePosition } from '../../lib/base/position.ts'
import type { CertificateBinding } from '../../lib/model/certificate.ts'
import type { ServiceListener } from '../../lib/model/listener.ts'
import type { Model } from '../../lib/model/model.ts'
import type { Locate, ResourceRef } from '../../lib/model/resource-ref.ts'
import type { Route } from '../../lib/model/route.ts'
import { INGRESS_TABLE, type RouteTable } from '../../lib/model/route-table.ts'
import type { Endpoint, UnresolvedEndpoint, Upstream } from '../../lib/model/upstream.ts'
import { certificatesView } from '../../lib/report/certificate-view.ts'
import { endpointsView } from '../../lib/report/endpoint-view.ts'
import { diagnosticsView, listenersView, routesView, servicesView, settingsView } from '../../lib/report/views.ts'
import type { EndpointFigures } from '../../lib/telemetry/endpoint-metrics.ts'
import { makeModelCertificate } from '../helpers/certificates.ts'
import { makeSettings } from '../helpers/settings.ts'
import { makeGatewayListener } from '../helpers/snapshot.ts'

const DAY = 86_400_000

const INGRESS: ResourceRef = { kind: 'Ingress', namespace: 'default', name: 'shop' }

function at(line: number): SourcePosition {
  return { file: 'shop.yaml', line, column: 5, length: 1, excerpt: '' }
}

/** The last index of a field is its line; where there is none, a Service is asked for. */
const locate: Locate = ({ name }, field) =>
  at(field.findLast((step) => typeof step === 'number') ?? (name === 'old' ? 30 : 31))

function endpoint(host: string, changes: Partial<Endpoint> = {}): Endpoint {
  return {
    host,
    port: 80,
    weight: 1,
    ready: true,
    serving: true,
    terminating: false,
    source: 'EndpointSlice',
    sourceName: 'EndpointSlice default/api-x',
    ...changes,
  }
}

function upstream(name: string, endpoints: readonly Endpoint[]): Upstream {
  return {
    key: `default/${name}:80`,
    service: { kind: 'Service', namespace: 'default', name, type: 'ClusterIP' },
    port: { number: 80, name: 'http', targetPort: 'http' },
    protocol: 'http',
    endpoints,
    guardAddresses: false,
    policy: undefined,
  }
}

const backend = 'default/api:http'

function forward({ key }: Pick<Upstream, 'key'>): Route['action'] {
  return { type: 'forward', upstream: key, backend }
}

function route(host: string, path: string, action: Route['action'], line: number): Route {
  return {
    owner: INGRESS,
    rule: 0,
    item: line,
    host,
    match: { type: 'prefix', path },
    pathType: 'Prefix',
    path,
    action,
  }
}

const api = upstream('api', [endpoint('10.0.0.2'), endpoint('10.0.0.1'), endpoint('2001:db8::1', { weight: 0 })])
const old = upstream('old', [
  endpoint('10.0.1.1', { ready: false, terminating: true }),
  endpoint('10.0.1.2', { ready: false, serving: false, terminating: true }),
  endpoint('10.0.1.3', { ready: false, serving: false }),
])
const winner = route('shop.test', '/api', forward(api), 10)
const table: RouteTable = {
  name: INGRESS_TABLE,
  hosts: [
    {
      host: 'shop.test',
      routes: [
        winner,
        route(
          'shop.test',
          '/cart',
          { type: 'unavailable', code: 'PORTICO_UP_NO_SERVICE', reason: 'no such Service', backend },
          11,
        ),
      ],
      filters: [{ name: 'https-redirect', options: { port: undefined } }],
      owner: INGRESS,
      rule: 9,
    },
    {
      host: '',
      routes: [route('', '/', forward(old), 12)],
      owner: INGRESS,
      rule: 9,
    },
  ],
  defaultRoute: undefined,
  shadowed: [{ route: route('shop.test', '/api', forward(old), 20), winner }],
}
const model: Model = {
  tables: [table],
  upstreams: new Map([old, api].map((each) => [each.key, each])),
  services: [
    {
      namespace: 'default',
      name: 'old',
      type: 'NodePort',
      clusterIP: '10.96.0.2',
      clusterIPs: ['10.96.0.2'],
      headless: false,
      externalName: '',
      publishNotReadyAddresses: false,
      portless: [],
      externalIP: '',
      ports: [{ name: 'http', port: 80, protocol: 'TCP', targetPort: 'http', nodePort: 30080 }],
      selector: { app: 'old', tier: 'web' },
      upstreams: [old.key],
    },
    {
      namespace: 'default',
      name: 'api',
      type: 'ClusterIP',
      clusterIP: '10.96.0.1',
      clusterIPs: ['10.96.0.1'],
      headless: false,
      externalName: '',
      publishNotReadyAddresses: false,
      portless: [],
      externalIP: '',
      ports: [{ name: 'http', port: 80, protocol: 'TCP', targetPort: 'http', nodePort: undefined }],
      selector: {},
      upstreams: [api.key],
    },
  ],
  certificates: [],
  listeners: [],
  counts: { resources: 4, ingresses: 2, routes: 3 },
}

t.test('addresses of a name show it, and names that lead nowhere have rows of their own', async (t) => {
  const name = 'api.test'
  const lost = (host: string, code: UnresolvedEndpoint['code'], reason: string) => ({
    endpoint: endpoint(host, { weight: 3 }),
    code,
    reason,
  })
  const named: Upstream = {
    ...upstream('api', [endpoint('10.0.0.2', { name }), endpoint('10.0.0.2'), endpoint('10.0.0.1', { name })]),
    unresolved: [
      lost('gone.test', 'PORTICO_UP_NAME_UNRESOLVED', 'gone.test: NXDOMAIN'),
      lost('in.test', 'PORTICO_UP_ADDRESS_DENIED', 'in.test: 10.0.0.1 is private'),
    ],
  }
  const figures = (host: string, requests: number, name: string) => ({
    identity: { upstream: named.key, protocol: 'http' as const, host, port: 80, name },
    inFlight: 0,
    requests,
    failures: 0,
    failuresInRow: 0,
    lastFailure: undefined,
  })
  const rows = endpointsView({ ...model, upstreams: new Map([[named.key, named]]) }, locate, [
    figures('10.0.0.2', 5, name),
    figures('10.0.0.2', 7, ''),
  ])
  t.match(rows, [
    { address: '10.0.0.1:80', name, state: 'ready', live: { requests: 0 } },
    { address: '10.0.0.2:80', name, live: { requests: 5 } },
    { address: '10.0.0.2:80', name: undefined, live: { requests: 7 } },
    { address: 'gone.test:80', name: 'gone.test', state: 'unresolved', reason: 'gone.test: NXDOMAIN', weight: 3 },
    { address: 'in.test:80', name: 'in.test', state: 'denied', reason: 'in.test: 10.0.0.1 is private' },
  ])
  const none: Upstream = { ...named, endpoints: [] }
  t.match(routesView({ ...model, upstreams: new Map([[none.key, none]]) }, locate)[0], {
    state: 'no endpoints',
    reason: '503: gone.test: NXDOMAIN',
  })
})

t.test('routes come in match order, those that lost at the end', async (t) => {
  const rows = routesView(model, locate)
  t.match(rows, [
    {
      host: 'shop.test',
      path: '/api',
      state: 'served',
      endpoints: ['10.0.0.2:80', '10.0.0.1:80'],
      redirectToHttps: true,
    },
    { host: 'shop.test', path: '/cart', state: 'unavailable', reason: '503: no such Service', endpoints: [] },
    { host: '*', path: '/', state: 'served', endpoints: ['10.0.1.1:80'], redirectToHttps: false },
    {
      path: '/api',
      state: 'shadowed',
      reason: 'taken by Ingress default/shop at shop.yaml:10:5',
      source: 'shop.yaml:20:5',
    },
  ])
  t.equal(rows.length, 4)
})

t.test('a route whose Service has no usable endpoint is not called served', async (t) => {
  const none = upstream('none', [])
  const waiting = upstream('waiting', [endpoint('10.0.2.1', { ready: false, serving: false })])
  const routes = [none, waiting].map(({ key }) => route('shop.test', '/', forward({ key }), 10))
  const host = { host: 'shop.test', routes, owner: INGRESS, rule: 9 }
  const upstreams = new Map([none, waiting].map((each) => [each.key, each]))
  t.match(routesView({ ...model, tables: [{ ...table, hosts: [host], shadowed: [] }], upstreams }, locate), [
    { state: 'no endpoints', reason: '503: the service has no endpoints', endpoints: [] },
    { state: 'no endpoints', reason: '503: none of its 1 endpoints is ready', endpoints: [] },
  ])
})

t.test('endpoints that are not in good health say why, and are not among those of routes and Services', async (t) => {
  const bad = (state: 'unhealthy' | 'ejected') => ({ health: { state, reason: 'GET /: 503', since: 0 } })
  const one = upstream('one', [endpoint('10.0.3.1', bad('unhealthy')), endpoint('10.0.3.2', bad('ejected'))])
  const two = upstream('two', [endpoint('10.0.3.1', bad('unhealthy')), endpoint('10.0.3.3')])
  const routes = [one, two].map(({ key }) => route('shop.test', '/', forward({ key }), 10))
  const host = { host: 'shop.test', routes, owner: INGRESS, rule: 9 }
  const show = (...all: (typeof one)[]) => ({
    ...model,
    tables: [{ name: INGRESS_TABLE, hosts: [host], defaultRoute: undefined, shadowed: [] }],
    upstreams: new Map(all.map((each) => [each.key, each])),
  })
  t.match(endpointsView(show(one), locate), [
    { state: 'unhealthy', reason: 'GET /: 503', healthSince: '1970-01-01T00:00:00.000Z' },
    { state: 'ejected', reason: 'GET /: 503' },
  ])
  t.match(routesView(show(one, two), locate), [
    {
      state: 'no endpoints',
      reason: '503: none of its 2 ready endpoints is in good health (10.0.3.1:80: GET /: 503)',
      endpoints: [],
    },
    { state: 'served', endpoints: ['10.0.3.3:80'] },
  ])
  t.match(routesView(show({ ...one, inPanic: true }, two), locate), [{ state: 'served', endpoints: { length: 2 } }, {}])
})

t.test('an endpoint that the settings deny is listed as such, and not among those of its Service', async (t) => {
  const denied = {
    ...upstream('old', [endpoint('127.0.0.1', { source: 'ExternalName' })]),
    denied: 'externalName "127.0.0.1" is a loopback address: not allowed',
  }
  const upstreams = new Map([[denied.key, denied]])
  t.match(endpointsView({ ...model, upstreams }, locate), [
    { state: 'denied', reason: 'externalName "127.0.0.1" is a loopback address: not allowed' },
  ])
  t.same(servicesView({ ...model, upstreams }, locate).find(({ name }) => name === 'old')?.endpoints, [])
})

t.test('distant endpoints and backups say what they wait for, and stand behind the others', async (t) => {
  const near = endpoint('10.0.0.1')
  const distant = endpoint('10.0.0.2', { distant: true })
  const backup = endpoint('10.0.0.3', { backup: true })
  const show = (endpoints: Parameters<typeof upstream>[1]) => {
    const web = upstream('api', endpoints)
    const shown = { ...model, upstreams: new Map([[web.key, web]]) }
    return {
      reasons: endpointsView(shown, locate).map(({ state, reason }) => `${state}: ${reason}`),
      usable: servicesView(shown, locate).find(({ name }) => name === 'api')?.endpoints,
    }
  }
  t.same(show([near, distant, backup]), {
    reasons: [
      'ready: ',
      'ready: of another zone or node: for when none of this one can be had',
      'ready: backup: for when no other can be had',
    ],
    usable: ['10.0.0.1:80'],
  })
  t.same(show([{ ...near, ready: false, serving: false }, distant, backup]).usable, ['10.0.0.2:80'])
  t.same(show([backup]).usable, ['10.0.0.3:80'])
})

t.test('the default backend stands behind all hosts', async (t) => {
  const fallback = { ...route('', '', forward(api), 40), pathType: 'default' as const }
  t.match(routesView({ ...model, tables: [{ ...table, defaultRoute: fallback }] }, locate)[3], {
    host: '*',
    pathType: 'default',
    state: 'served',
  })
})

t.test('services come by name, with ports as kubectl prints them', async (t) => {
  t.match(servicesView(model, locate), [
    { name: 'api', ports: ['80/TCP'], endpoints: ['10.0.0.2:80', '10.0.0.1:80'], selector: '' },
    { name: 'old', ports: ['80:30080/TCP'], endpoints: ['10.0.1.1:80'], selector: 'app=old,tier=web' },
  ])
})

t.test('endpoints tell their state and why, and live figures where there are some', async (t) => {
  const figures: EndpointFigures = {
    identity: { upstream: 'default/api:80', host: '10.0.0.1', port: 80 },
    inFlight: 2,
    requests: 9,
    failures: 1,
    failuresInRow: 0,
    lastFailure: { error: { code: 'PORTICO_UP_RESET' }, at: 0 },
  }
  t.match(endpointsView(model, locate, [figures]), [
    { service: 'api', address: '10.0.0.1:80', state: 'ready', live: { requests: 9, lastFailure: 'PORTICO_UP_RESET' } },
    {
      service: 'api',
      address: '10.0.0.2:80',
      state: 'ready',
      live: { requests: 0, inFlight: 0, lastFailure: undefined },
    },
    { service: 'api', address: '[2001:db8::1]:80', state: 'not ready', reason: 'weight 0' },
    { service: 'old', address: '10.0.1.1:80', state: 'draining' },
    { service: 'old', address: '10.0.1.2:80', state: 'not ready', reason: 'terminating' },
    { service: 'old', address: '10.0.1.3:80', state: 'not ready', reason: 'not ready' },
  ])
})

t.test('an endpoint whose last requests failed is failing, and an address its name has no more is stale', async (t) => {
  const name = 'api.test'
  const own = { name, host: '10.0.0.1' }
  const named = upstream('api', [
    endpoint('10.0.0.1', { name }),
    endpoint('10.0.0.2', { backup: true }),
    endpoint('10.0.0.3'),
  ])
  const figures = (identity: Readonly<{ host: string; name?: string }>, failuresInRow: number): EndpointFigures => ({
    identity: { upstream: named.key, port: 80, ...identity },
    inFlight: 0,
    requests: 9,
    failures: 8,
    failuresInRow,
    lastFailure: { error: { code: 'PORTICO_UP_RESET' }, at: 0 },
  })
  const show = (live: readonly EndpointFigures[], whyStale: string | undefined) =>
    endpointsView({ ...model, upstreams: new Map([[named.key, named]]) }, locate, live, (asked, address) =>
      asked === name && address === own.host ? whyStale : undefined,
    ).map(({ state, reason }) => `${state}: ${reason.replace(/\d\d:\d\d:\d\d/, 'TIME')}`)
  t.same(show([figures(own, 8), figures({ host: '10.0.0.2' }, 1), figures({ host: '10.0.0.3' }, 0)], undefined), [
    'failing: 8 failures in a row, the last PORTICO_UP_RESET at TIME',
    'failing: PORTICO_UP_RESET at TIME; backup: for when no other can be had',
    'ready: ',
  ])
  t.equal(show([], 'NXDOMAIN')[0], 'stale: api.test: NXDOMAIN; this is what it had before')
  t.match(show([figures(own, 1)], 'NXDOMAIN')[0], /^failing: PORTICO_UP_RESET at TIME; api.test: NXDOMAIN/)
})

t.test('certificates stand once with all their hosts; their keys do not', async (t) => {
  const now = Date.now()
  const shop = await makeModelCertificate({ names: ['shop.test', '*.shop.test'], notAfter: new Date(now + 90 * DAY) })
  const short = await makeModelCertificate({ names: ['short.test'], notAfter: new Date(now + 10 * DAY) })
  const expired = await makeModelCertificate({
    names: ['expired.test'],
    notBefore: new Date(now - 9 * DAY),
    notAfter: new Date(now - DAY),
  })
  const future = await makeModelCertificate({
    names: ['future.test'],
    notBefore: new Date(now + DAY),
    notAfter: new Date(now + 99 * DAY),
  })
  const fallback = await makeModelCertificate({ names: ['default'] }, 'default')
  const bind = (
    host: string,
    certificate: CertificateBinding['certificate'],
    reason = 'named',
  ): CertificateBinding => ({
    host,
    certificate,
    reason,
    owner: INGRESS,
    field: ['spec', 'tls', 50],
  })
  const bindings = [
    bind('shop.test', shop),
    bind('*.shop.test', shop),
    bind('short.test', short),
    bind('expired.test', expired),
    bind('future.test', future),
    bind('lost.test', undefined, 'Secret default/lost does not exist'),
  ]
  const rows = certificatesView({ ...model, certificates: bindings }, locate, now, fallback)
  t.match(rows, [
    { name: 'default', state: 'valid', hosts: ['lost.test'], reason: 'Secret default/lost does not exist' },
    { name: 'default/expired.test', state: 'expired', daysLeft: -1 },
    { name: 'default/future.test', state: 'not yet valid' },
    {
      name: 'default/shop.test',
      state: 'valid',
      daysLeft: 89,
      hosts: ['*.shop.test', 'shop.test'],
      ingress: 'default/shop',
    },
    { name: 'default/short.test', state: 'expires soon' },
    { name: 'default', hosts: ['*'] },
  ])
  t.equal(rows.length, 6)
  t.notMatch(JSON.stringify(rows), /PRIVATE KEY/)
  t.match(certificatesView({ ...model, certificates: bindings }, locate, now)[0], {
    name: 'default',
    notAfter: '',
    state: 'unknown',
    hosts: ['lost.test'],
  })
})

t.test("listeners of Services stand behind the gateway's own, with what is known of their state", async (t) => {
  const listener = (changes: Partial<ServiceListener>): ServiceListener => ({
    id: 'NodePort default/api:80/TCP [::]:30080',
    kind: 'NodePort',
    transport: 'TCP',
    layer: 'L4',
    tls: false,
    address: '::',
    port: 30_080,
    upstream: 'default/api:80',
    sendsProxyHeader: false,
    sourceRanges: [],
    proxyProtocol: false,
    paths: undefined,
    owner: { kind: 'Service', namespace: 'default', name: 'api' },
    field: ['spec', 'ports', 40, 'port'],
    ...changes,
  })
  const udp = listener({ id: 'LoadBalancer default/api:53/UDP 127.0.0.1:53', kind: 'LoadBalancer', transport: 'UDP' })
  const listeners = [
    listener({}),
    udp,
    listener({
      id: 'x default/api:81/TCP y',
      layer: 'L7',
      sourceRanges: ['10.0.0.0/8'],
      proxyProtocol: true,
      paths: { encodedSlash: 'decode', mergeSlashes: 'always' },
    }),
    listener({ id: 'x default/api:82/TCP y', layer: 'L7', tls: true }),
  ]
  const states = new Map([[udp.id, 'address already in use']])
  t.match(listenersView(makeSettings(), { listeners }, locate, {}, states).slice(4), [
    {
      name: 'default/api:80/TCP',
      kind: 'NodePort',
      address: '::',
      port: 30_080,
      protocol: 'TCP',
      layer: 'L4',
      service: 'default/api',
      upstream: 'default/api:80',
      state: '',
      source: 'shop.yaml:40:5',
    },
    { name: 'default/api:53/UDP', kind: 'LoadBalancer', protocol: 'UDP', state: 'address already in use' },
    {
      protocol: 'HTTP',
      layer: 'L7',
      sourceRanges: ['10.0.0.0/8'],
      proxyProtocol: true,
      paths: { encodedSlash: 'decode' },
    },
    { protocol: 'HTTPS', layer: 'L7' },
  ])
})

t.test('of an upstream for traffic from outside only those endpoints are shown that the other lacks', async (t) => {
  const outside: Upstream = {
    ...api,
    key: `${api.key} (external)`,
    scope: 'external',
    endpoints: [endpoint('10.0.0.1'), endpoint('10.0.0.9')],
  }
  const udp: Upstream = { ...api, key: `${api.key}/UDP`, transport: 'UDP', endpoints: [endpoint('10.0.0.1')] }
  const upstreams = new Map([api, outside, udp].map((each) => [each.key, each]))
  const figures: EndpointFigures = {
    identity: { upstream: api.key, host: '10.0.0.1', port: 80 },
    inFlight: 0,
    requests: 5,
    failures: 0,
    failuresInRow: 0,
    lastFailure: undefined,
  }
  const others = { ...figures, identity: { ...figures.identity, upstream: outside.key }, requests: 2 }
  const rows = endpointsView({ ...model, upstreams }, locate, [figures, others])
  t.same(
    rows.map(({ transport, address, live }) => [transport, address, live?.requests]),
    [
      ['TCP', '10.0.0.1:80', 7],
      ['TCP', '10.0.0.2:80', 0],
      ['TCP', '10.0.0.9:80', 0],
      ['TCP', '[2001:db8::1]:80', 0],
      ['UDP', '10.0.0.1:80', 0],
    ],
  )
})

t.test('listeners show the bound port, settings hide the token, diagnostics are flat', async (t) => {
  const settings = makeSettings({ 'admin.token': 'open sesame', 'https.http2': false })
  t.match(listenersView(settings, model, locate, { http: 1234 }), [
    { name: 'http', kind: 'Gateway', port: 1234, enabled: true, state: 'open' },
    { name: 'https', port: 8443, protocol: 'HTTP/1.1', state: '' },
    { name: 'admin', address: '127.0.0.1', port: 9901 },
    { name: 'dns', protocol: 'DNS', address: '127.0.0.1', port: 8053, enabled: false },
  ])
  t.match(listenersView(makeSettings({ 'https.enabled': false }), model, locate)[1], { enabled: false, state: 'off' })
  const paths = { encodedSlash: 'reject', mergeSlashes: 'never' } as const
  const http = makeGatewayListener('http', { proxyProtocol: true, paths })
  t.match(listenersView(settings, { listeners: [http] }, locate), [
    { name: 'http', proxyProtocol: true, paths },
    { name: 'https', proxyProtocol: false, paths: undefined },
    { name: 'admin', paths: undefined },
    { name: 'dns' },
  ])
  t.equal(settingsView(settings).admin.token, '[redacted]')
  t.equal(settingsView(makeSettings()).admin.token, '')
  const list = new DiagnosticList()
  list.add('PORTICO_FILE_EMPTY', 'nothing', {
    position: at(3),
    help: 'add some',
    notes: [{ message: 'here', position: at(4) }, { message: 'so' }],
  })
  list.add('PORTICO_FILE_BINARY', 'no text')
  t.same(diagnosticsView(list.items)[0]?.notes, [
    { message: 'here', file: 'shop.yaml', line: 4, column: 5 },
    { message: 'so', file: undefined, line: undefined, column: undefined },
  ])
  t.match(diagnosticsView(list.items), [
    { severity: 'warning', code: 'PORTICO_FILE_EMPTY', file: 'shop.yaml', line: 3, column: 5, help: 'add some' },
    { severity: 'error', message: 'no text', file: undefined, notes: [] },
  ])
})
