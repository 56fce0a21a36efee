/** RoutePolicies: what they come to on routes, which of several wins, and what is told of those that cannot be used. */
import t from 'tap'
import { FILTERS, printFilters } from '../../lib/filters/registry.ts'
import { findIngressTable } from '../../lib/model/route-table.ts'
import { findOptionName, listOptions } from '../../lib/translate/route-policy/option.ts'
import { translateText } from './manifests.ts'

const GUARD_INVALID = 'PORTICO_GW_GUARD_INVALID'

type Annotations = Readonly<Record<string, string>>

function printService(annotations: Annotations = {}): string {
  const all = { 'portico.dev/endpoints': '127.0.0.1:1', ...annotations }
  return `---\napiVersion: v1\nkind: Service\nmetadata: {name: web, annotations: ${JSON.stringify(all)}}\nspec: {ports: [{port: 80}]}\n`
}

/** Hosts a.test with the paths / and /admin, b.test with /. */
function printIngress(annotations: Annotations = {}, more: string = ''): string {
  const backend = 'backend: {service: {name: web, port: {number: 80}}}'
  return `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, annotations: ${JSON.stringify(annotations)}${more}}
spec:
  rules:
    - {host: a.test, http: {paths: [{path: /, pathType: Prefix, ${backend}}, {path: /admin, pathType: Prefix, ${backend}}]}}
    - {host: b.test, http: {paths: [{path: /, pathType: Prefix, ${backend}}]}}
`
}

const SHOP = '{group: networking.k8s.io, kind: Ingress, name: shop}'
const WEB = '{kind: Service, name: web}'
const section = (name: string) => `{group: networking.k8s.io, kind: Ingress, name: shop, sectionName: "${name}"}`

function printPolicy(name: string, targets: string, options: object, meta: string = ''): string {
  const rest = Object.entries(options).map(([key, value]) => `  ${key}: ${JSON.stringify(value)}\n`)
  return `---\napiVersion: portico.dev/v1alpha1\nkind: RoutePolicy\nmetadata: {name: ${name}${meta}}\nspec:\n  targetRefs: [${targets}]\n${rest.join('')}`
}

/** What is done on each route, by host and path, or the code that it is closed with; and what is said. */
function play(...manifests: readonly string[]) {
  const { model, diagnostics } = translateText(manifests.join(''))
  const routes = Object.fromEntries(
    findIngressTable(model).hosts.flatMap(({ host, routes: all }) =>
      all.map((route) => {
        const { action } = route
        const filters = printFilters(route).join('; ')
        return [`${host}${route.path}`, action.type === 'unavailable' ? action.code : filters]
      }),
    ),
  )
  const said = diagnostics.map(({ code, severity, message, help, position }) => {
    return `${position?.line} ${severity} ${code} ${message} | ${help}`
  })
  return { routes, said, diagnostics }
}

const LIMIT = (rate: string, policy: string = '') =>
  `rate-limit: ${rate} a client, ${Number.parseInt(rate, 10)} at once${policy && ` (${policy})`}`

t.test('a policy acts on all routes of an Ingress, of a section or to a Service', async (t) => {
  const options = { rateLimit: '1/s' }
  const on = (targets: string) => play(printService(), printIngress(), printPolicy('p', targets, options)).routes
  const limit = LIMIT('1/s', 'RoutePolicy default/p')
  const all = { 'a.test/': limit, 'a.test/admin': limit, 'b.test/': limit }
  t.same(on(SHOP), all)
  t.same(on(WEB), all)
  t.same(on(section('a.test')), { ...all, 'b.test/': '' })
  t.same(on(section('a.test/admin')), { 'a.test/': '', 'a.test/admin': limit, 'b.test/': '' })
  t.same(on(`${section('a.test/admin')}, ${section('b.test')}`), { ...all, 'a.test/': '' })
})

t.test('the more specific wins: path, host, annotation, Ingress, and the same of the Service', async (t) => {
  const layers: readonly (readonly [manifest: string, route: Record<string, string>])[] = [
    [printPolicy('w', WEB, { rateLimit: '6/s' }), { 'a.test/admin': LIMIT('6/s', 'RoutePolicy default/w') }],
    [printService({ 'portico.dev/rate-limit': '5/s' }), { 'a.test/admin': LIMIT('5/s', 'Service default/web') }],
    [printPolicy('i', SHOP, { rateLimit: '4/s' }), { 'a.test/admin': LIMIT('4/s', 'RoutePolicy default/i') }],
    [printIngress({ 'portico.dev/rate-limit': '3/s' }), { 'a.test/admin': LIMIT('3/s') }],
    [
      printPolicy('h', section('a.test'), { rateLimit: '2/s' }),
      { 'a.test/admin': LIMIT('2/s', 'RoutePolicy default/h') },
    ],
    [
      printPolicy('p', section('a.test/admin'), { rateLimit: '1/s' }),
      {
        'a.test/admin': LIMIT('1/s', 'RoutePolicy default/p'),
        'a.test/': LIMIT('2/s', 'RoutePolicy default/h'),
        'b.test/': LIMIT('3/s'),
      },
    ],
  ]
  const given = { Service: printService(), Ingress: printIngress() }
  const policies: string[] = []
  for (const [manifest, expected] of layers) {
    if (manifest.includes('kind: RoutePolicy\n')) policies.push(manifest)
    else given[manifest.includes('kind: Ingress\n') ? 'Ingress' : 'Service'] = manifest
    const { routes, diagnostics } = play(given.Service, given.Ingress, ...policies)
    t.match(routes, expected, manifest)
    for (const { code, severity, notes } of diagnostics) {
      t.match({ code, severity, notes }, { code: 'PORTICO_ROUTE_FILTER_OVERRIDDEN', severity: 'info', notes: [{}] })
    }
  }
})

t.test('different filters of several policies act together', async (t) => {
  const { routes, said } = play(
    printService({ 'portico.dev/compress': 'gzip' }),
    printIngress({ 'portico.dev/respond-status': '204' }),
    printPolicy('a', SHOP, { rateLimit: '1/s' }),
    printPolicy('b', SHOP, { requestHeadersSet: { 'X-A': 'b' } }),
  )
  t.same(said, [])
  t.equal(
    routes['b.test/'],
    `${LIMIT('1/s', 'RoutePolicy default/a')}; respond: 204; compress: gzip from 1Ki (Service default/web); headers: request set X-A (RoutePolicy default/b)`,
  )
})

t.test('of equal rank the older wins, then the first by name, and both places are told', async (t) => {
  const slow = printPolicy('b', SHOP, { rateLimit: '1/s' })
  const fast = printPolicy('a', SHOP, { rateLimit: '9/s' })
  const { routes, diagnostics } = play(printService(), printIngress(), slow, fast)
  t.equal(routes['b.test/'], LIMIT('9/s', 'RoutePolicy default/a'))
  t.match(diagnostics, [
    {
      code: 'PORTICO_ROUTE_POLICY_CONFLICT',
      severity: 'error',
      message: 'rate-limit of RoutePolicy default/b does not act on Ingress shop: RoutePolicy default/a has another',
      position: { line: 20 },
      help: 'with equal age the first by name wins: leave it out of one of them',
      notes: [{ message: 'this one wins', position: { line: 27 } }],
    },
  ])
  const old = printPolicy('b', SHOP, { rateLimit: '1/s' }, ', creationTimestamp: "2020-01-01T00:00:00Z"')
  const older = play(printService(), printIngress(), old, fast)
  t.equal(older.routes['b.test/'], LIMIT('1/s', 'RoutePolicy default/b'))
  t.match(older.said, [/the older policy wins/])
  const same = play(printService(), printIngress(), slow, printPolicy('a', SHOP, { rateLimit: '1/s' }))
  t.same(same.said, [], 'nothing is lost where both say the same')
  const other = play(
    printService(),
    printIngress(),
    printPolicy('b', SHOP, { compress: true }),
    printPolicy('a', SHOP, { compress: 'br' }),
  )
  t.match(other.said, [/ warning PORTICO_ROUTE_POLICY_CONFLICT /])
})

t.test('a target that does not exist is told, and another namespace is out of reach', async (t) => {
  const told = (targets: string, more: string = '') =>
    play(printService(), printIngress(), printPolicy('p', targets, { compress: true }), more).said
  t.same(told('{kind: Ingress, name: shpo}'), [
    '19 error PORTICO_REF_TARGET_NOT_FOUND Ingress "shpo" not found in namespace "default" | did you mean "shop"? Until it exists the policy does nothing there',
  ])
  const elsewhere = printService().replace('name: web', 'name: far, namespace: other')
  t.match(told('{kind: Service, name: far}', elsewhere), [
    /it is in namespace "other", but a policy targets objects of its own namespace only$/,
  ])
  t.match(told(section('a.test/amdin')), [
    /Ingress default\/shop has no section "a.test\/amdin" \| did you mean "a.test\/admin"\? Until then the policy does nothing there$/,
  ])
  t.match(told(section('c.test')), [/no section "c.test" \| did you mean "a.test"\?/])
  t.match(told(section('quite.other.example')), [/its hosts are a.test, b.test; until then/])
})

t.test('a guard whose section is not there closes what it may mean', async (t) => {
  const on = (name: string) =>
    play(printService(), printIngress(), printPolicy('p', section(name), { rateLimit: '1/s' }))
  t.same(on('a.test/amdin').routes, { 'a.test/': GUARD_INVALID, 'a.test/admin': GUARD_INVALID, 'b.test/': '' })
  t.match(on('a.test/amdin').said, [/Until then the routes of the host answer 503$/])
  t.same(on('c.test/').routes, { 'a.test/': GUARD_INVALID, 'a.test/admin': GUARD_INVALID, 'b.test/': GUARD_INVALID })
  t.match(on('c.test/').said, [/Until then all routes of the Ingress answer 503$/])
})

t.test(
  'a guard that cannot be used, or that is misspelt, closes the routes of its targets; others do not',
  async (t) => {
    const on = (options: object, targets = section('a.test')) => {
      const { routes, said } = play(printService(), printIngress(), printPolicy('p', targets, options))
      t.not(routes['b.test/'], targets === WEB ? '' : GUARD_INVALID)
      return [routes['a.test/admin'], said.map((text) => text.replace(/^\d+ error PORTICO_RES_FIELD_/, '')).join()]
    }
    const outcome = 'until then the routes of its targets answer 503'
    const rate = 'write requests a second, minute or hour, as in "100/s", "600/m" or "10/h"'
    t.same(on({ rateLimit: 10 }), [GUARD_INVALID, `VALUE spec.rateLimit: "10" is no rate | ${rate}; ${outcome}`])
    t.same(on({ rateLimit: ['1/s'] }), [
      GUARD_INVALID,
      `VALUE spec.rateLimit: it cannot be a list | ${rate}; ${outcome}`,
    ])
    t.equal(on({ rateLimit: 10 }, WEB)[0], GUARD_INVALID)
    t.same(on({ rateLimitBurst: 10 }), [
      GUARD_INVALID,
      `VALUE spec.rateLimitBurst: it says nothing without rateLimit | add rateLimit, or leave it out; ${outcome}`,
    ])
    t.same(on({ rateLimti: '1/s' }), [
      GUARD_INVALID,
      `UNKNOWN unknown field "spec.rateLimti" | did you mean "rateLimit"? ${outcome}`,
    ])
    t.same(on({ limitRps: 1 }), [
      GUARD_INVALID,
      `UNKNOWN unknown field "spec.limitRps" | did you mean "rateLimit"? ${outcome}`,
    ])
    t.same(on({ 'rate-limit': '1/s' }), [
      GUARD_INVALID,
      `UNKNOWN unknown field "spec.rate-limit" | did you mean "rateLimit"? ${outcome}`,
    ])
    t.same(on({ redirectHots: 'a' }), ['', 'UNKNOWN unknown field "spec.redirectHots" | did you mean "redirectHost"?'])
    t.same(on({ endpoints: '127.0.0.1:1' }), [
      '',
      'UNKNOWN unknown field "spec.endpoints" | it belongs on Service, as the annotation portico.dev/endpoints',
    ])
    t.match(on({ redirectCode: 200, redirectHost: 'x.test' }), [
      '',
      /^VALUE spec.redirectCode: .* until then requests pass without redirect$/,
    ])
    t.match(
      on({ redirectPath: '/a', redirectPrefix: '/b' })[1],
      /spec.redirectPrefix: redirectPath says the whole path already/,
    )
  },
)

t.test('a policy that is refused closes its targets if it guards, and is left out alone otherwise', async (t) => {
  const wrong = `${SHOP}, {kind: Gateway, name: x}`
  const on = (...policies: readonly string[]) => play(printService(), printIngress(), ...policies).routes['b.test/']
  t.equal(on(printPolicy('p', wrong, { rateLimit: '1/s' })), GUARD_INVALID)
  t.equal(on(printPolicy('p', wrong, { compress: true })), '')
  const beside = `${printPolicy('p', SHOP, { compress: true })}rateLimit: 1/s\n`
  t.equal(on(beside), GUARD_INVALID, 'a guard beside spec')
  const other = printPolicy('a', SHOP, { rateLimit: '1/s' })
  t.equal(on(printPolicy('p', wrong, { rateLimit: '1/s' }), other), GUARD_INVALID, 'whatever another policy says')
})

t.test('a policy of the older form, with targetRef, closes its target if it guards', async (t) => {
  const policy = printPolicy('p', SHOP, { rateLimit: '1/s' }).replace(/targetRefs: \[(.*)\]/, 'targetRef: $1')
  const { routes, said } = play(printService(), printIngress(), policy)
  t.equal(routes['b.test/'], GUARD_INVALID)
  t.match(said.join('\n'), /unknown field "spec.targetRef" \| did you mean "targetRefs"\?/)
})

t.test('a policy of another kind or version closes its targets if it guards', async (t) => {
  const shut = { 'a.test/': GUARD_INVALID, 'a.test/admin': GUARD_INVALID, 'b.test/': GUARD_INVALID }
  const on = (type: readonly [apiVersion: string, kind: string], options: object) => {
    const policy = printPolicy('p', SHOP, options)
      .replace('portico.dev/v1alpha1', type[0])
      .replace('kind: RoutePolicy', `kind: ${type[1]}`)
    const { routes, said } = play(printService(), printIngress(), policy)
    t.equal(said.length, 1, said.join())
    t.match(said[0], /error PORTICO_RES_(?:KIND_UNKNOWN|NOT_AN_OBJECT)/)
    return routes
  }
  const types = [
    ['portico.dev/v1', 'RoutePolicy'],
    ['portico.deb/v1alpha1', 'RoutePolicy'],
    ['policy.portico.dev/v1alpha1', 'RoutePolicy'],
    ['networking.k8s.io/v1', 'RoutePolicy'],
    ['v1', 'RoutePolicy'],
    ['portico.dev/v1alpha1', 'RoutePolicies'],
    ['portico.dev/v1alpha1', 'TrafficPolicy'],
    ['', 'RoutePolicy'],
    ['portico.dev/v1alpha1', ''],
  ] as const
  for (const type of types) {
    t.same(on(type, { allowSourceRange: '10.0.0.0/8' }), shut, type.join())
    t.same(on(type, { compress: true }), { 'a.test/': '', 'a.test/admin': '', 'b.test/': '' }, type.join())
  }
})

t.test('a policy whose targets cannot be read as written closes what it may mean if it guards', async (t) => {
  const open = { 'a.test/': '', 'a.test/admin': '', 'b.test/': '' }
  const shut = { 'a.test/': GUARD_INVALID, 'a.test/admin': GUARD_INVALID, 'b.test/': GUARD_INVALID }
  const on = (targets: string, options: object) => {
    const policy = printPolicy('p', '', options).replace('  targetRefs: []\n', targets)
    return play(printService(), printIngress(), policy)
  }
  const many = Array.from({ length: 16 }, (_, at) => `{kind: Service, name: s${at}}`).join(', ')
  const forms = [
    '  targetRef: [{kind: Ingress, name: shop}]\n',
    '  targetRefs: {kind: Ingress, name: shop}\n',
    '  targetrefs: [{kind: Ingress, name: shop}]\n',
    '  targets: [{kind: Ingress, name: shop}]\n',
    '  targetRefs: [{kind: Ingres, name: shop}]\n',
    '  targetRefs: [{kind: HTTPRoute, name: shop}]\n',
    '  targetRefs: [{name: web}]\n',
    '  targetRefs: [{kind: Service, name: web, sectionName: http}]\n',
    `  targetRefs: [${many}, {kind: Ingress, name: shop}]\n`,
  ]
  for (const form of forms) {
    t.same(on(form, { allowSourceRange: '10.0.0.0/8' }).routes, shut, form)
    t.same(on(form, { compress: true }).routes, open, form)
    t.notMatch(on(form, { compress: true }).said.join(), /"(?:shop|web)" not found/, form)
  }
  const besideSpec = printPolicy('p', SHOP, { allowSourceRange: '10.0.0.0/8' }).replace('spec:', 'spce:')
  t.same(play(printService(), printIngress(), besideSpec).routes, shut)
  const atRoot = printPolicy('p', '', { allowSourceRange: '10.0.0.0/8' }).replace('  targetRefs: []\n', '')
  t.same(play(printService(), printIngress(), `${atRoot}targetRefs: [${SHOP}]\n`).routes, shut)
})

t.test('of two policies with one name the second closes its targets if it guards and is another', async (t) => {
  const options = { allowSourceRange: '10.0.0.0/8' }
  const first = printPolicy('p', section('b.test'), options)
  const on = (second: string) => play(printService(), printIngress(), first, second)
  const { routes, said } = on(printPolicy('p', section('a.test'), options))
  const admits = 'source-range: admits 10.0.0.0/8 (RoutePolicy default/p)'
  t.same(routes, { 'a.test/': GUARD_INVALID, 'a.test/admin': GUARD_INVALID, 'b.test/': admits })
  t.match(said, [/error PORTICO_RES_DUPLICATE .* \| .* the routes of its targets answer 503 if it guards/])
  const open = { 'a.test/': '', 'a.test/admin': '', 'b.test/': admits }
  t.same(on(first).routes, open, 'the same once more')
  t.same(on(printPolicy('p', section('a.test'), { compress: true })).routes, open)
})

t.test('an Ingress that is refused and has a policy that guards keeps its paths, closed', async (t) => {
  const open = printIngress()
    .replace('name: shop', 'name: open')
    .replace(/, \{path: \/admin.*?\}\}\}\}/, '')
  const refused = printIngress({}, ', annotation: {portico.dev/tries: "2"}')
  const on = (targets: string, options: object) =>
    play(printService(), refused, open, printPolicy('p', targets, options)).routes
  t.same(on(SHOP, { rateLimit: '1/s' }), { 'a.test/': '', 'a.test/admin': GUARD_INVALID, 'b.test/': '' })
  t.equal(on(section('a.test/admin'), { rateLimit: '1/s' })['a.test/admin'], GUARD_INVALID)
  t.same(on(SHOP, { compress: true }), { 'a.test/': '', 'b.test/': '' })
})

t.test('a policy that guards keeps paths and conditions that cannot be read, closed', async (t) => {
  const broken = printIngress({ 'portico.dev/match-headers': 'X A' })
  const open = printIngress().replace('name: shop', 'name: open')
  const on = (options: object) => {
    const { model } = translateText([printService(), broken, open, printPolicy('p', SHOP, options)].join(''))
    return findIngressTable(model).hosts[0]?.routes.map(({ owner, action }) => `${owner.name} ${action.type}`)
  }
  t.equal(on({ rateLimit: '1/s' })?.[0], 'shop unavailable', 'it goes first')
  t.equal(on({ compress: true })?.[0], 'open forward')
})

t.test('values of YAML mean what the text of the annotation does', async (t) => {
  const filters = (options: object) => {
    const { model, diagnostics } = translateText(
      [printService(), printIngress(), printPolicy('p', SHOP, options)].join(''),
    )
    t.same(diagnostics, [], JSON.stringify(options))
    return findIngressTable(model).hosts[0]?.routes[0]?.filters?.map((filter) => filter.options)
  }
  const pairs: readonly (readonly [structured: object, text: object])[] = [
    [{ maintenance: true }, { maintenance: 'true' }],
    [
      { redirectCode: 301, redirectHost: 'x.test', redirectPort: 8080 },
      { redirectCode: '301', redirectHost: 'x.test', redirectPort: '8080' },
    ],
    [{ requestHeadersRemove: ['X-A', 'X-B'] }, { requestHeadersRemove: 'X-A, X-B' }],
    [{ requestHeadersSet: { 'X-A': 'b', 'X-C': 1 } }, { requestHeadersSet: 'X-A: b\nX-C: 1' }],
    [{ responseHeadersAdd: { Link: ['</a>', '</b>'] } }, { responseHeadersAdd: ['Link: </a>', 'Link: </b>'] }],
    [{ compress: ['br', 'gzip'] }, { compress: 'br, gzip' }],
  ]
  for (const [structured, text] of pairs) t.same(filters(structured), filters(text), JSON.stringify(structured))
})

t.test('no value breaks out of its list or line', async (t) => {
  const told = (options: object) => play(printService(), printIngress(), printPolicy('p', SHOP, options)).said.join()
  t.match(told({ requestHeadersRemove: ['X-A, X-B'] }), /item 1 is not one of a list/)
  t.match(told({ requestHeadersRemove: ['X-A', ''] }), /item 2 is not one of a list/)
  t.match(told({ requestHeadersSet: { 'X-A': 'b\nX-C: d' } }), /"X-A" is no field with a value/)
  t.match(told({ requestHeadersSet: { 'X-A: b\nX-C': 'd' } }), /is no field with a value/)
  t.match(told({ requestHeadersSet: { 'X-A': { b: 'c' } } }), /"X-A" is no field with a value/)
  t.match(told({ requestHeadersSet: ['X-A: b\nX-C: d'] }), /item 1 is not one line/)
  t.match(told({ respondBody: { a: 1 } }), /spec.respondBody: it cannot be a mapping \| write a text/)
})

t.test('every annotation of a filter has an option of its own name', async (t) => {
  const names = FILTERS.flatMap(({ annotations }) => Object.keys(annotations)).map(findOptionName)
  t.equal(new Set(names).size, names.length)
  t.same([...listOptions('Setting').keys()], names)
  t.equal(findOptionName('rate-limit-burst'), 'rateLimitBurst')
})

t.test('a guard that stands among annotations, or below a field that is none, closes the targets', async (t) => {
  const on = (options: object, meta: string = '') =>
    play(printService(), printIngress(), printPolicy('p', section('b.test'), options, meta))
  const shut = { 'a.test/': '', 'a.test/admin': '', 'b.test/': GUARD_INVALID }
  const annotated = on({}, ', annotations: {portico.dev/allow-source-range: 10.0.0.0/8}')
  t.same(annotated.routes, shut)
  t.match(annotated.said, [/error PORTICO_ANN_UNKNOWN .*; until then the routes of its targets answer 503/])
  for (const options of [
    { filters: { allowSourceRange: '10.0.0.0/8' } },
    { filters: [{ 'rate-limit': '1/s' }] },
    { default: { filters: { ipAllowList: ['10.0.0.0/8'] } } },
  ]) {
    const { routes, said } = on(options)
    t.same(routes, shut, JSON.stringify(options))
    t.match(said, [/error PORTICO_RES_FIELD_UNKNOWN .*until then the routes of its targets answer 503/])
  }
  t.same(on({ filters: { compress: true } }).routes, { ...shut, 'b.test/': '' })
})

t.test('no diagnostic shows a URL of an auth server that cannot be used', async (t) => {
  const url = 'https://user:word@auth.test/?key=word'
  const ofUrl = { 'auth-url': url }
  const ofSignIn = { 'auth-url': 'https://auth.test/', 'auth-signin': url }
  for (const options of [ofUrl, ofSignIn]) {
    const entries = Object.entries(options)
    const annotations = Object.fromEntries(entries.map(([name, value]) => [`portico.dev/${name}`, value]))
    const fields = Object.fromEntries(entries.map(([name, value]) => [findOptionName(name), value]))
    for (const manifests of [[printIngress(annotations)], [printIngress(), printPolicy('p', SHOP, fields)]]) {
      const { diagnostics } = play(printService(), ...manifests)
      t.match(diagnostics, [{ severity: 'error', position: { excerpt: String } }])
      t.notMatch(JSON.stringify(diagnostics), /word/)
    }
  }
})

t.test('annotations of filters on a policy mean nothing, and are told', async (t) => {
  const { said } = play(
    printService(),
    printIngress(),
    printPolicy('p', SHOP, { compress: true }, ', annotations: {portico.dev/compress: "true"}'),
  )
  t.match(said, [/PORTICO_ANN_UNKNOWN annotation "portico.dev\/compress" means nothing on RoutePolicy/])
})
