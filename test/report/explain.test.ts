import t from 'tap'
import { type Explanation, explainRequest } from '../../lib/report/explain.ts'
import { translateText } from '../translate/manifests.ts'

const SHOP = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  tls: [{hosts: [shop.localhost]}]
  rules:
    - host: shop.localhost
      http:
        paths:
          - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
          - {path: /cart, pathType: Prefix, backend: {service: {name: missing, port: {number: 80}}}}
          - {path: /api, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
          - {path: /Login, pathType: Exact, backend: {service: {name: web, port: {number: 80}}}}
          - {path: /empty, pathType: Exact, backend: {service: {name: empty, port: {number: 80}}}}
    - host: "*.shop.localhost"
      http:
        paths:
          - {path: /only, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: z-late}
spec:
  rules:
    - host: shop.localhost
      http:
        paths:
          - {path: /api, pathType: Prefix, backend: {service: {name: empty, port: {number: 80}}}}
---
apiVersion: v1
kind: Service
metadata: {name: web, annotations: {portico.dev/endpoints: "127.0.0.1:3000"}}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: empty}
spec: {ports: [{port: 80}]}
`
const { model } = translateText(SHOP)

function explain(host: string, path: string, scheme: 'http' | 'https' = 'https'): Explanation {
  return explainRequest(model, { host, path, scheme })
}

/** `verdict type path: reason`, in order. */
function verdicts({ candidates }: Explanation): string[] {
  return candidates.map(({ route, verdict, reason }) => `${verdict} ${route.pathType} ${route.path}: ${reason}`)
}

t.test('the winner comes first, then the nearest misses with the reason', async (t) => {
  const explanation = explain('shop.localhost', '/api/../carts?x=1')
  t.same(verdicts(explanation), [
    'wins Prefix /: longest matching prefix',
    'no Prefix /cart: "/carts" continues the segment: a prefix matches whole path elements',
    'no Exact /Login: path is "/carts"',
    'no Exact /empty: path is "/carts"',
    'no Prefix /api: path does not start with "/api"',
    'no Prefix /api: path does not start with "/api"',
  ])
  t.same(explanation.path, {
    normal: { path: '/carts', matchPath: '/carts' },
    query: '?x=1',
    notes: ['dot segments resolved, as it will be forwarded'],
  })
  t.equal(explanation.host.reason, 'exact')
  t.match(explanation.winner, { owner: { name: 'shop' }, rule: 0, item: 0 })
  t.equal(explanation.upstream?.key, 'default/web:80')
  t.equal(explanation.answer, undefined, 'it is forwarded')
})

t.test('a route that lost against another says so where it would match', async (t) => {
  t.same(verdicts(explain('shop.localhost', '/api/x')).slice(0, 2), [
    'wins Prefix /api: longest matching prefix',
    'shadowed Prefix /api: shadowed by Prefix /api of default/shop',
  ])
})

t.test('a miss says what is different', async (t) => {
  const reason = (path: string, wanted: string): string | undefined =>
    explain('shop.localhost', path).candidates.find(({ route }) => route.path === wanted)?.reason
  t.equal(reason('/login', '/Login'), '"/login" differs by case')
  t.equal(reason('/Login/', '/Login'), '"/Login/" differs by the slash at its end: Exact is exact')
  t.equal(reason('/Login/x', '/Login'), '"/Login/x" goes on after "/Login": Exact is the whole path')
  t.equal(reason('/API/x', '/api'), '"/API" differs by case')
  t.equal(reason('/Login', '/'), 'an Exact path goes before a prefix')
  t.equal(reason('/api/x', '/'), 'a longer prefix matches')
  t.equal(reason('/Login', '/Login'), 'equals the path')
})

t.test('a miss of a route of the same path says which condition fails, or why another goes before it', async (t) => {
  const ingress = (name: string, annotations: string, type = 'Prefix', path = '/'): string => `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: ${name}, annotations: {${annotations}}}
spec: {rules: [{host: a.test, http: {paths: [{path: "${path}", pathType: ${type}, backend: {service: {name: web, port: {number: 80}}}}]}}]}
---`
  const { model } = translateText(
    [
      ingress('plain', ''),
      ingress('beta', 'portico.dev/match-headers: "X-Beta: yes"'),
      ingress('cookie', 'portico.dev/match-cookies: beta'),
      ingress('unread', 'portico.dev/match-headers: "X-Beta: ~("'),
      ingress('urgent', 'portico.dev/priority: "1", portico.dev/match-query: urgent'),
      ingress('same', 'portico.dev/match-query: urgent'),
    ].join(''),
  )
  const ask = (path: string, fields: Readonly<Record<string, string>> = {}) => {
    const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
    const url = { host: 'a.test', path, scheme: 'http', lines: lines.join('') } as const
    return explainRequest(model, url).candidates.map(({ route, reason }) => `${route.owner.name}: ${reason}`)
  }
  t.same(ask('/x'), [
    'plain: longest matching prefix',
    'urgent: does not hold: query urgent (there is none)',
    'beta: does not hold: header x-beta: yes (there is none)',
    'cookie: does not hold: cookie beta (there is none)',
    'unread: its conditions cannot be read: other routes of its path go before it',
    'same: does not hold: query urgent (there is none)',
  ])
  t.same(ask('/x', { 'x-beta': 'yes', cookie: 'a=1; beta=2' }).slice(0, 3), [
    'beta: longest matching prefix; header x-beta: yes',
    'urgent: does not hold: query urgent (there is none)',
    'cookie: the same path with other conditions goes before it',
  ])
  t.same(ask('/x?urgent').slice(0, 2), [
    'urgent: longest matching prefix; query urgent, priority 1',
    'beta: does not hold: header x-beta: yes (there is none)',
  ])
})

t.test('what Portico answers itself is said', async (t) => {
  t.match(explain('shop.localhost', '/', 'http').answer, { status: 308, code: undefined, location: undefined })
  t.match(explain('shop.localhost', '/cart').answer, {
    status: 503,
    code: 'PORTICO_UP_NO_SERVICE',
    reason: 'service "missing" not found',
  })
  t.match(explain('shop.localhost', '/empty').answer, { status: 503, code: 'PORTICO_UP_NO_ENDPOINTS' })
  t.match(explain('x.shop.localhost', '/').answer, {
    status: 404,
    code: 'PORTICO_REQ_NO_ROUTE',
    reason: 'no path of this host matches, and there is no default backend',
  })
  t.match(explain('else.where', '/').answer, {
    status: 404,
    reason: 'no rule has this host, and there is no default backend',
  })
})

t.test('a filter says which Service it asks, and that the Service has no endpoint', async (t) => {
  for (const [service, lack] of [
    ['web', ''],
    ['empty', ' (default/empty:80 cannot be asked: the service has no endpoints)'],
  ] as const) {
    const annotations = `annotations: {portico.dev/auth-url: "http://${service}/verify?key=hidden"}`
    const { model } = translateText(SHOP.replace('metadata: {name: shop}', `metadata: {name: shop, ${annotations}}`))
    const { filters } = explainRequest(model, { host: 'shop.localhost', path: '/', scheme: 'https' })
    const said = `asks http://${service}/verify (Service default/${service}:80) within 5s${lack}`
    t.equal(filters.at(-1), `forward-auth: ${said} (not played: the answer of its auth server decides)`)
  }
})

t.test('a redirect gives its Location, target as sent; without a port that is known, none', async (t) => {
  const location = (host: string, path: string, httpsPort?: number) =>
    explainRequest(model, { host, path, scheme: 'http' }, { ...(httpsPort !== undefined && { httpsPort }) }).answer
      ?.location
  t.equal(location('shop.localhost', '/a/../%61?b', 8443), 'https://shop.localhost:8443/a/../%61?b')
  t.equal(location('SHOP.localhost:8080', '/', 443), 'https://shop.localhost/')
  t.equal(location('shop.localhost', '/', 0), undefined)
})

t.test('the default backend of one Ingress stands once, that of another with its reason', async (t) => {
  const ingress = (name: string, rules: string) => `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: ${name}}
spec:
  defaultBackend: {service: {name: web, port: {number: 80}}}${rules}
---`
  const rules = `
  rules:
    - host: a.localhost
      http:
        paths: [{path: /x, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]`
  const service = `
apiVersion: v1
kind: Service
metadata: {name: web, annotations: {portico.dev/endpoints: "127.0.0.1:3000"}}
spec: {ports: [{port: 80}]}
`
  const play = (text: string, path: string) => {
    const { model } = translateText(text)
    return verdicts(explainRequest(model, { host: 'a.localhost', path, scheme: 'http' }))
  }
  const one = ingress('one', rules) + service
  t.same(play(one, '/x'), ['wins Prefix /x: longest matching prefix', 'no default : a path of this host matches'])
  t.same(play(one, '/y'), [
    'wins default : default backend of this host: no path matches',
    'no Prefix /x: path does not start with "/x"',
  ])
  t.same(play(ingress('all', '') + one, '/x'), [
    'wins Prefix /x: longest matching prefix',
    'no default : a path of this host matches',
    'no default : this host has a default backend of its own',
  ])
})

t.test('a request that is refused says why', async (t) => {
  const bad = {
    x: 'the path does not begin with "/"',
    '/a\\b': 'the path holds a backslash',
    '/a#b': 'the path holds "#": fragments are never sent',
    '/a%00': 'the path holds a space or control character',
    '/a b': 'the path holds a space or control character',
    '/a%zz': 'the path holds a malformed percent-encoding',
    '/..;/a': 'the path holds a dot segment with a parameter',
    '/%c0%ae': 'the path holds overlong UTF-8',
    '/../a': 'the path climbs above the root',
    '/\u2215': 'the path holds a character that must be percent-encoded',
  }
  for (const [path, reason] of Object.entries(bad)) {
    t.match(explain('shop.localhost', path).answer, { status: 400, code: 'PORTICO_REQ_BAD_PATH', reason }, path)
  }
  t.match(explain('a@b', '/').answer, { status: 400, code: 'PORTICO_REQ_BAD_HOST' })
})

t.test('the policy of the listener that the URL leads to says what slashes mean', async (t) => {
  const text = `
apiVersion: portico.dev/v1alpha1
kind: GatewayConfiguration
paths: {encodedSlash: decode}
http: {paths: {mergeSlashes: always}}
https: {paths: {encodedSlash: reject, mergeSlashes: never}}
---
apiVersion: v1
kind: Service
metadata: {name: web, annotations: {portico.dev/endpoints: "127.0.0.1:3000"}}
spec: {type: NodePort, ports: [{port: 80, nodePort: 30080, appProtocol: http}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec: {rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
`
  const { model } = translateText(text)
  const play = (scheme: 'http' | 'https', host: string, path: string) => {
    const { answer, path: found, sent } = explainRequest(model, { host, path, scheme })
    return [answer?.reason ?? sent.target, ...(answer ? [] : found.notes)]
  }
  const forwarded = 'as it will be forwarded'
  for (const host of ['a.test', 'a.test:8080', 'a.test:9999']) {
    const all = `encoded slashes decoded, dot segments resolved, doubled slashes merged, ${forwarded}`
    t.same(play('http', host, '/a%2F../b//c?x=%2F'), ['/b/c?x=%2F', all], host)
  }
  t.same(play('http', 'a.test', '/a//../b'), ['/a/b', `dot segments resolved, ${forwarded}`])
  for (const host of ['a.test', 'a.test:8443']) {
    const kept = 'doubled slashes are kept: an empty element is an element, which no rule has'
    t.same(play('https', host, '/a//b'), ['/a//b', kept], host)
    t.same(play('https', host, '/a%2Fb'), ['the path holds an encoded slash, which the settings refuse'])
    t.same(play('https', host, '/a%5Cb'), ['the path holds an encoded backslash, which the settings refuse'])
  }
  t.same(play('http', 'a.test:30080', '/a%2Fb//c'), [
    '/a/b//c',
    `encoded slashes decoded, ${forwarded}`,
    'doubled slashes are merged for matching and forwarded as sent',
  ])
})

t.test('hosts that nearly match say why not', async (t) => {
  const misses = (host: string): string[] =>
    explain(host, '/').host.misses.map(({ virtualHost, reason }) => `${virtualHost.host}: ${reason}`)
  t.same(misses('a.b.shop.localhost'), ['*.shop.localhost: a wildcard stands for exactly one label'])
  t.same(misses('shop.localhost'), ['*.shop.localhost: *.shop.localhost needs one label more than shop.localhost'])
  t.same(misses('shop.locahost'), ['shop.localhost: did you mean shop.localhost?'])
  t.equal(explain('x.shop.localhost', '/').host.reason, 'wildcard *.shop.localhost')
})

t.test('the certificate and why', async (t) => {
  t.equal(explain('shop.localhost', '/', 'http').certificate, undefined)
  t.equal(
    explain('shop.localhost', '/').certificate?.reason,
    'the default certificate is served: tls of Ingress default/shop names no Secret',
  )
  t.equal(
    explain('x.shop.localhost', '/').certificate?.reason,
    'no tls section names this host: the default certificate is served',
  )
})

t.test('what the match form changes is said', async (t) => {
  t.same(explain('shop.localhost', '//%61pi').path.notes, [
    'doubled slashes are merged for matching and forwarded as sent',
    'matched as /api: encodings of plain characters mean these characters',
  ])
})

t.test('a thousand routes give twenty candidates', async (t) => {
  const paths = Array.from(
    { length: 1000 },
    (_, index) => `
          - {path: /p${index}, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}`,
  )
  const text = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: many}
spec:
  rules:
    - host: a.com
      http:
        paths:${paths.join('')}
`
  const explanation = explainRequest(translateText(text).model, { host: 'a.com', path: '/p500', scheme: 'http' })
  t.equal(explanation.candidates.length, 20)
  t.equal(explanation.omitted, 980)
  t.equal(explanation.candidates[0]?.route.path, '/p500')
  t.match(explanation.candidates[1]?.route.path, /^\/p50\d?$/, 'the nearest misses are next')
})
