/** RoutePolicies act on requests at every door, and follow a change of the manifests. */
import t from 'tap'
import { startDoors } from '../doors/request-doors.ts'
import { connectRaw, findAll } from '../helpers/raw-client.ts'
import { endpointsOf, ONE_ROUTE, runGateway, startEchoes } from '../helpers/running-gateway.ts'
import { translateText } from '../translate/manifests.ts'

const BACKEND = 'backend: {service: {name: web, port: {number: 80}}}'
const INGRESS = `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  rules:
    - {host: a.test, http: {paths: [{path: /, pathType: Prefix, ${BACKEND}}, {path: /admin, pathType: Prefix, ${BACKEND}}]}}
    - {host: b.test, http: {paths: [{path: /, pathType: Prefix, ${BACKEND}}]}}
`
const printPolicy = (name: string, section: string, options: string) => `---
apiVersion: portico.dev/v1alpha1
kind: RoutePolicy
metadata: {name: ${name}}
spec: {targetRefs: [{group: networking.k8s.io, kind: Ingress, name: shop${section}}], ${options}}
`

t.test('at every door a policy acts on its targets, and on nothing else', async (t) => {
  const more = [
    INGRESS,
    printPolicy('all', '', 'responseHeadersSet: {X-By: all}'),
    printPolicy('host', ', sectionName: a.test', 'rewritePrefix: /base'),
    printPolicy('admin', ', sectionName: a.test/admin', 'respondStatus: 403, respondBody: no'),
    '---\n',
  ]
  const doors = await startDoors(t, {}, more.join(''))
  for (const door of doors.names) {
    const ask = async (host: string, target: string) => {
      const { status, headers = [], upstream } = await doors.ask(door, { host, target })
      return [status, findAll(headers, 'x-by'), upstream]
    }
    t.same(await ask('a.test', '/x'), [200, ['all'], ['GET /base/x HTTP/1.1']], door)
    t.same(await ask('a.test', '/admin/x'), [403, ['all'], []], door)
    t.same(await ask('b.test', '/x'), [200, ['all'], ['GET /x HTTP/1.1']], door)
    t.same(await ask('gw.test', '/x'), [200, [], ['GET /x HTTP/1.1']], door)
  }
})

/** Options of filters, as a policy and as an annotation writes them. */
const WRITTEN: readonly (readonly [options: string, annotations: Readonly<Record<string, string>>])[] = [
  ['rewriteTarget: /$1', { 'rewrite-target': '/$1' }],
  [
    `redirectUrl: "/a\${request.path}", redirectCode: 308`,
    { 'redirect-url': `/a\${request.path}`, 'redirect-code': '308' },
  ],
  ['rateLimit: 1/s, rateLimitStatus: 503', { 'rate-limit': '1/s', 'rate-limit-status': '503' }],
  ['concurrencyLimit: 1, concurrencyLimitStatus: 503', { 'concurrency-limit': '1', 'concurrency-limit-status': '503' }],
  [
    `authUrl: "https://\${request.host}/a", authRequestHeadersSet: {X-A: b}, authRequestRedirect: /c`,
    {
      'auth-url': `https://\${request.host}/a`,
      'auth-request-headers-set': 'X-A: b',
      'auth-request-redirect': '/c',
    },
  ],
  [
    'errorPages: 5xx, errorPagesService: web, errorPagesStatus: page',
    { 'error-pages': '5xx', 'error-pages-service': 'web', 'error-pages-status': 'page' },
  ],
  ['cookieDomain: a b, cookiePath: "/ /shop/"', { 'cookie-domain': 'a b', 'cookie-path': '/ /shop/' }],
  ['locationFrom: "http://a/", locationTo: /b/', { 'location-from': 'http://a/', 'location-to': '/b/' }],
  [
    'mirrorUrl: "http://127.0.0.1:1", mirrorHost: m.test, mirrorBody: false',
    { 'mirror-url': 'http://127.0.0.1:1', 'mirror-host': 'm.test', 'mirror-body': 'false' },
  ],
  ['responseHeadersFrom: fields', { 'response-headers-from': 'fields' }],
  ['accessLog: false', { 'access-log': 'false' }],
  ['bandwidth: 4Ki, bandwidthAfter: 1Mi', { bandwidth: '4Ki', 'bandwidth-after': '1Mi' }],
]

t.test('a policy and annotations make the same filters', (t) => {
  const more = `---
apiVersion: v1
kind: ConfigMap
metadata: {name: fields}
data: {X-A: b}
---
apiVersion: v1
kind: Service
metadata: {name: web, annotations: {portico.dev/endpoints: "127.0.0.1:80"}}
spec: {ports: [{port: 80}]}
`
  for (const [options, annotations] of WRITTEN) {
    const own = Object.entries(annotations).map(([name, value]) => [`portico.dev/${name}`, value])
    const annotated = INGRESS.replace(
      'name: shop',
      `name: shop, annotations: ${JSON.stringify(Object.fromEntries(own))}`,
    )
    const [byPolicy, byAnnotations] = [INGRESS + printPolicy('all', '', options), annotated].map((manifests) => {
      const { model, diagnostics } = translateText(manifests + more)
      t.same(
        diagnostics.filter(({ severity }) => severity === 'error'),
        [],
        options,
      )
      return model.tables[0]!.hosts[0]!.routes[0]!.filters?.map(({ owner: _, ...filter }) => filter)
    })
    t.equal(byPolicy?.length, 1, options)
    t.same(byPolicy, byAnnotations, options)
  }
  t.end()
})

t.test('at every door conditions and a split of a policy decide where a request goes', async (t) => {
  const beta = INGRESS.replace('name: shop', 'name: beta')
  const policy = printPolicy('beta', '', 'matchHeaders: {X-Beta: "~[0-9]+"}, responseHeadersSet: {X-By: beta}')
  const closed = printPolicy('closed', ', sectionName: b.test', 'matchMethods: GET|POST')
  const all = INGRESS + beta + policy.replace('name: shop', 'name: beta') + closed
  const doors = await startDoors(t, {}, `${all}---\n`)
  for (const door of doors.names) {
    const ask = async (host: string, fields: readonly (readonly [string, string])[]) => {
      const { status, headers = [] } = await doors.ask(door, { host, target: '/', fields })
      return [status, findAll(headers, 'x-by')]
    }
    t.same(await ask('a.test', [['x-beta', '12']]), [200, ['beta']], door)
    t.same(await ask('a.test', [['x-beta', 'a']]), [200, []], door)
    t.same(await ask('a.test', []), [200, []], door)
    t.same(await ask('b.test', []), [503, []], `${door}: a condition that cannot be read widens nothing`)
    t.same(await ask('b.test', [['x-beta', '12']]), [200, ['beta']], `${door}: and closes no other route`)
  }
})

t.test('a guard that cannot be used closes its targets at every door', async (t) => {
  const doors = await startDoors(
    t,
    {},
    `${INGRESS}${printPolicy('bad', ', sectionName: a.test/admin', 'rateLimit: 10')}---\n`,
  )
  for (const door of doors.names) {
    const play = (target: string) => doors.play(door, { host: 'a.test', target })
    t.match(await play('/admin'), { answer: 503, code: 'PORTICO_GW_GUARD_INVALID', upstream: [] }, door)
    t.match(await play('/else'), { answer: 200 }, door)
  }
})

t.test('a change of a policy acts on the requests after it, and what its limit has counted stays', async (t) => {
  const echoes = await startEchoes(t, 'web')
  const limit = (options: string) => ONE_ROUTE + INGRESS + printPolicy('limit', '', `rateLimit: 2/h, ${options}`)
  const gateway = await runGateway(t, limit('rateLimitBurst: 2'), { endpoints: endpointsOf(echoes) })
  const ask = async () => {
    const client = await connectRaw(gateway.http)
    const { status, headers } = await client.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n').response()
    client.destroy()
    return [status, ...findAll(headers, 'x-by')]
  }
  t.same(await ask(), [200])
  await gateway.change(limit('rateLimitBurst: 2, responseHeadersSet: {X-By: policy}'))
  t.same(
    [await ask(), await ask()],
    [
      [200, 'policy'],
      [429, 'policy'],
    ],
  )
  await gateway.change(ONE_ROUTE + INGRESS)
  t.same(await ask(), [200], 'without the policy')
})
