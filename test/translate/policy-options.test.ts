/** What a RoutePolicy says beside filters: conditions, priority, type of paths, split, and settings of upstreams. */
import t from 'tap'
import { DiagnosticList } from '../../lib/base/diagnostics.ts'
import { decodeDocuments } from '../../lib/kubernetes/decode.ts'
import { ResourceStore } from '../../lib/kubernetes/store.ts'
import { findIngressTable } from '../../lib/model/route-table.ts'
import { printConditions, printPolicies } from '../../lib/report/print.ts'
import { resolveSettings } from '../../lib/settings/resolve.ts'
import { sourceFromText } from '../../lib/source/read-source.ts'
import { ROUTE_OPTIONS } from '../../lib/translate/ingress/route-option.ts'
import { findOptionName, listOptions } from '../../lib/translate/route-policy/option.ts'
import { Translator } from '../../lib/translate/translate.ts'
import { parseDocuments } from '../helpers/documents.ts'
import { fixedClock, translateText } from './manifests.ts'

const GUARD_INVALID = 'PORTICO_GW_GUARD_INVALID'

type Annotations = Readonly<Record<string, string>>

function printService(name: string, annotations: Annotations = {}): string {
  const all = { 'portico.dev/endpoints': '127.0.0.1:1', ...annotations }
  return `---\napiVersion: v1\nkind: Service\nmetadata: {name: ${name}, annotations: ${JSON.stringify(all)}}\nspec: {ports: [{port: 80}]}\n`
}

const BACKEND = 'backend: {service: {name: web, port: {number: 80}}}'

/** Hosts a.test with the paths / and /admin, b.test with /. */
function printIngress(annotations: Annotations = {}, name: string = 'shop', more: string = ''): string {
  return `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: ${name}, annotations: ${JSON.stringify(annotations)}${more}}
spec:
  rules:
    - {host: a.test, http: {paths: [{path: /, pathType: Prefix, ${BACKEND}}, {path: /admin, pathType: Prefix, ${BACKEND}}]}}
    - {host: b.test, http: {paths: [{path: /, pathType: Prefix, ${BACKEND}}]}}
`
}

const SHOP = '{kind: Ingress, name: shop}'
const WEB = '{kind: Service, name: web}'
const section = (name: string): string => `{kind: Ingress, name: shop, sectionName: "${name}"}`

function printPolicy(name: string, targets: string, options: object, meta: string = ''): string {
  const rest = Object.entries(options).map(([key, value]) => `  ${key}: ${JSON.stringify(value)}\n`)
  return `---\napiVersion: portico.dev/v1alpha1\nkind: RoutePolicy\nmetadata: {name: ${name}${meta}}\nspec:\n  targetRefs: [${targets}]\n${rest.join('')}`
}

const SERVICES = printService('web') + printService('next')

/** Of each route, by host and path: its conditions, what it leads to if that is no plain forward, and its settings. */
function play(...manifests: readonly string[]) {
  const { model, diagnostics } = translateText(manifests.join(''))
  const { hosts, shadowed } = findIngressTable(model)
  const routes = hosts.flatMap(({ host, routes: all }) => all.map((route) => ({ host, route })))
  const found = Object.fromEntries(
    routes.map(({ host, route }) => {
      const { action, policy = {}, path } = route
      const target =
        action.type === 'unavailable' ? [action.code] : action.type === 'split' ? [`split ${action.backend}`] : []
      const settings = Object.entries(policy).map(([name, value]) => `${name}=${value}`)
      return [`${host}${path}`, [...printConditions(route), ...target, ...settings].join(' | ')]
    }),
  )
  const said = diagnostics.map(({ code, severity, message, help, position, notes }) => {
    const where = notes.map((note) => ` (${note.position?.line})`).join('')
    return `${position?.line} ${severity} ${code} ${message} | ${help}${where}`
  })
  const policies = Object.fromEntries(routes.map(({ host, route }) => [`${host}${route.path}`, printPolicies(route)]))
  return { routes: found, said, policies, shadowed, model }
}

t.test('conditions and priority of a policy are those of the routes that it targets', async (t) => {
  const options = {
    matchMethods: ['GET', 'head'],
    matchHeaders: { 'X-Env': 'staging', 'X-Beta': '~[0-9]+', 'X-Seen': null, '!X-Stable': null },
    matchQuery: ['debug: 1', { lang: 'de' }],
    matchCookies: 'beta: yes',
    matchClientAddresses: ['10.0.0.0/8', 'fd00::/8'],
    priority: 7,
  }
  const all =
    'client 10.0.0.0/8, fd00::/8 | method GET, HEAD | no header x-stable | header x-beta: ~[0-9]+ | header x-env: staging | header x-seen | query debug: 1 | query lang: de | cookie beta: yes | priority 7'
  const on = (...targets: readonly string[]) =>
    play(SERVICES, printIngress(), printPolicy('p', targets.join(', '), options))
  const sort = (text: string): readonly string[] => text.split(' | ').sort()
  const whole = on(SHOP)
  t.same(whole.said, [])
  t.equal(Object.values(whole.routes).length, 3)
  const asText = play(
    SERVICES,
    printIngress({
      'portico.dev/match-methods': 'GET, HEAD',
      'portico.dev/match-headers': 'X-Env: staging\nX-Beta: ~[0-9]+\nX-Seen\n!X-Stable',
      'portico.dev/match-query': 'debug: 1\nlang: de',
      'portico.dev/match-cookies': 'beta: yes',
      'portico.dev/match-client-addresses': '10.0.0.0/8 fd00::/8',
      'portico.dev/priority': '7',
    }),
  )
  t.same(whole.routes, asText.routes, 'they mean what the annotations do')
  t.equal(sort(whole.routes['a.test/']!).length, sort(all).length)
  t.same(
    Object.entries(on(section('a.test/admin')).routes).filter(([, text]) => text !== ''),
    [['a.test/admin', whole.routes['a.test/admin']]],
  )
  t.same(whole.policies['b.test/'], [
    'RoutePolicy default/p (matchClientAddresses, matchCookies, matchHeaders, matchMethods, matchQuery, priority)',
  ])
})

t.test('option by option the more specific wins, and different conditions hold together', async (t) => {
  const { routes, said } = play(
    SERVICES,
    printIngress({ 'portico.dev/match-headers': 'X-Env: a' }),
    printPolicy('host', section('a.test'), { matchHeaders: 'X-Env: b', priority: 1 }),
    printPolicy('path', section('a.test/admin'), { priority: 2 }),
    printPolicy('whole', SHOP, { matchHeaders: 'X-Env: c', matchMethods: 'POST' }),
  )
  t.same(routes, {
    'a.test/admin': 'method POST | header x-env: b | priority 2',
    'a.test/': 'method POST | header x-env: b | priority 1',
    'b.test/': 'method POST | header x-env: a',
  })
  t.equal(said.length, 3, said.join('\n'))
  t.match(
    said.join('\n'),
    /info PORTICO_ROUTE_FILTER_OVERRIDDEN priority of RoutePolicy default\/host does not act .*default\/path is more specific/,
  )
  t.match(said.join('\n'), /match-headers of Ingress default\/shop does not act/)
  t.match(said.join('\n'), /match-headers of RoutePolicy default\/whole does not act/)
})

t.test('of equal rank the older policy wins, both places are told, and for a condition it is an error', async (t) => {
  const { routes, said } = play(
    SERVICES,
    printIngress(),
    printPolicy('a', SHOP, { matchMethods: 'GET', timeoutsRequest: '5s' }),
    printPolicy('b', SHOP, { matchMethods: 'POST', timeoutsRequest: '6s' }),
  )
  t.equal(routes['b.test/'], 'method GET | timeouts.request=5000')
  t.match(
    said[0],
    /^\d+ error PORTICO_ROUTE_POLICY_CONFLICT match-methods of RoutePolicy default\/b does not act .* \(\d+\)$/,
  )
  t.match(said[1], /^\d+ warning PORTICO_ROUTE_POLICY_CONFLICT timeouts-request of RoutePolicy default\/b/)
  t.equal(said.length, 2)
})

t.test('a policy with conditions lets one path have several sets of them', async (t) => {
  const beta = printIngress({}, 'beta').replaceAll('name: web', 'name: next')
  const target = '{kind: Ingress, name: beta}'
  const { routes, shadowed } = play(
    SERVICES,
    printIngress(),
    beta,
    printPolicy('beta', target, { matchHeaders: ['X-Beta'] }),
  )
  t.equal(shadowed.length, 0)
  t.equal(Object.values(routes).length, 3, 'by host and path')
})

t.test('what cannot be read, or is misspelt, closes the routes and never widens them', async (t) => {
  const broken: readonly (readonly [object, RegExp])[] = [
    [{ matchMethods: 'GET|POST' }, /error PORTICO_RES_FIELD_VALUE spec.matchMethods: .*no method/],
    [{ matchMethods: { GET: true } }, /spec.matchMethods: it cannot be a mapping \| write methods/],
    [{ matchMethods: null }, /spec.matchMethods: nothing stands here/],
    [{ matchHeaders: { 'X-A': ['b', 'c'] } }, /spec.matchHeaders: "X-A" is no name with a value/],
    [{ matchHeaders: { 'X-A': 'b\nX-C: d' } }, /spec.matchHeaders: "X-A" is no name with a value/],
    [{ matchHeaders: [['X-A']] }, /spec.matchHeaders: item 1 is no condition/],
    [{ matchHeaders: {} }, /spec.matchHeaders: it says nothing/],
    [{ matchCookies: 'a: ~(' }, /spec.matchCookies: the expression of a/],
    [{ priority: 'high' }, /spec.priority: "high" is no priority/],
    [{ pathType: 'exact' }, /spec.pathType: "exact" is no type of paths/],
    [{ matchHedaers: 'X-A' }, /unknown field "spec.matchHedaers" \| did you mean "matchHeaders"\? until then/],
    [{ matchHosts: 'x' }, /unknown field "spec.matchHosts"/],
    [{ conditions: { matchHeaders: 'X-A' } }, /unknown field "spec.conditions"/],
  ]
  for (const [options, expected] of broken) {
    const { routes, said } = play(SERVICES, printIngress(), printPolicy('p', SHOP, options))
    for (const text of Object.values(routes)) t.match(text, GUARD_INVALID, JSON.stringify(options))
    t.match(said.join('\n'), expected)
    t.equal(said.length, 1, said.join('\n'))
    const other = play(SERVICES, printIngress({}, 'other'), printIngress(), printPolicy('p', SHOP, options))
    const open = findIngressTable(other.model).hosts.map(({ routes: [first] }) => first?.action.type)
    t.same(open, ['forward', 'forward'], `other routes of the paths go first: ${JSON.stringify(options)}`)
  }
})

t.test('addresses that cannot be read close the routes before all others', async (t) => {
  const forms = [
    { matchClientAddresses: '10.0.0.0/33' },
    { matchClientAddresses: null },
    { matchClientIps: '10.0.0.1' },
  ]
  for (const options of forms) {
    const { model } = play(SERVICES, printIngress({}, 'other'), printIngress(), printPolicy('p', SHOP, options))
    const first = findIngressTable(model).hosts.map(({ routes }) => routes[0]?.action.type)
    t.same(first, ['unavailable', 'unavailable'], JSON.stringify(options))
  }
})

t.test(
  'a policy with conditions that is refused, or whose section is not there, closes what it may mean',
  async (t) => {
    const closed = (...manifests: readonly string[]): readonly string[] =>
      Object.entries(play(SERVICES, printIngress(), ...manifests).routes)
        .filter(([, text]) => text.includes(GUARD_INVALID))
        .map(([path]) => path)
        .sort()
    const all = ['a.test/', 'a.test/admin', 'b.test/']
    const options = { matchMethods: 'GET' }
    t.same(closed(printPolicy('p', SHOP, options).replace('v1alpha1', 'v1')), all, 'another version')
    t.same(closed(printPolicy('p', SHOP, options).replace(`[${SHOP}]`, 'shop')), all, 'a text')
    t.same(closed(printPolicy('p', SHOP, options).replace(`[${SHOP}]`, '[ingress/shop]')), all, 'texts')
    t.same(closed(printPolicy('p', section('a.test/adimn'), options)), ['a.test/', 'a.test/admin'])
    t.same(closed(printPolicy('p', section('c.test'), options)), all)
    t.same(closed(printPolicy('p', SHOP, { tries: 2 }).replace('v1alpha1', 'v1')), [], 'a setting restricts nobody')
    t.same(closed(printPolicy('p', SHOP, { rateLimit: null })), all, 'a guard without a value')
    t.same(closed(printPolicy('p', SHOP, { maintenance: null, tries: null })), [])
  },
)

t.test('split divides the requests of the routes that a policy targets', async (t) => {
  const on = (target: string, split: unknown, annotations: Annotations = {}) =>
    play(SERVICES, printIngress(annotations), printPolicy('p', target, { split }))
  const divided = 'split default/web:80=90, default/next:80=10'
  for (const form of ['web=90, next=10', ['web=90', 'next=10'], { web: 90, next: 10 }]) {
    const { routes, said } = on(section('a.test/admin'), form)
    t.same(said, [])
    t.same(routes, { 'a.test/admin': divided, 'a.test/': '', 'b.test/': '' }, JSON.stringify(form))
  }
  t.same(on(SHOP, 'web=1', { 'portico.dev/split': 'web=90, next=10' }).routes['b.test/'], divided)
  t.same(on(section('b.test'), 'web=90, next=10', { 'portico.dev/split': 'web=1' }).routes, {
    'a.test/admin': 'split default/web:80=1',
    'a.test/': 'split default/web:80=1',
    'b.test/': divided,
  })
  const missing = on(SHOP, { web: 1, netx: 1 }).said
  t.match(
    missing[0],
    /^\d+ error PORTICO_REF_SERVICE_NOT_FOUND spec.split: service "netx" not found .* \| did you mean "next"/,
  )
  t.equal(missing.length, 1)
  t.match(
    on(SHOP, { next: 1 }).said.join(),
    /spec.split: none of its Services is the backend of a path of Ingress default\/shop/,
  )
  t.match(on(SHOP, { web: -1 }).said.join(), /spec.split: "web" is no Service with a weight/)
  t.match(on(SHOP, { web: 0 }).said.join(), /spec.split: all its weights are 0/)
  t.same(on(SHOP, 'nonsense').routes['b.test/'], '', 'it divides nothing')
})

t.test('a cookie keeps clients with the Services of a split, whichever object has either', async (t) => {
  const kept = 'split default/web:80=90, default/next:80=10 (kept by the cookie shop)'
  const split = { 'portico.dev/split': 'web=90, next=10' }
  const on = (options: object, annotations: Annotations = {}) =>
    play(SERVICES, printIngress(annotations), printPolicy('p', SHOP, options))
  const whole = on({ split: { web: 90, next: 10 }, splitCookie: 'shop' })
  t.same([whole.routes['b.test/'], whole.said], [kept, []])
  t.same(on({ splitCookie: 'shop' }, split).routes['b.test/'], kept)
  t.match(on({ splitCookie: 'shop' }).said, [
    /error PORTICO_RES_FIELD_VALUE spec.splitCookie: it says nothing without split/,
  ])
  t.match(on({ splitCookie: 'a b' }, split).said, [
    /spec.splitCookie: "a b" is no name of a cookie .*until then no client is kept/,
  ])
  t.match(on({ splitCookie: ['a'] }, split).said, [/spec.splitCookie: it cannot be a list/])
})

t.test('settings of a policy hold for routes of its Ingress, or upstreams of its Service', async (t) => {
  const options = { timeoutsRequest: '5s', tries: 3, retryConditions: ['reset', '503'], bodyLimit: '1Mi' }
  const route = 'timeouts.request=5000'
  const { routes, said } = play(SERVICES, printIngress({ 'portico.dev/tries': '4' }), printPolicy('p', SHOP, options))
  t.match(routes['b.test/'], /tries=4/)
  t.match(routes['b.test/'], route)
  t.match(routes['b.test/'], 'bodyLimit=1048576')
  t.match(routes['b.test/'], 'retry.conditions=reset,503')
  t.match(said.join(), /info PORTICO_ROUTE_FILTER_OVERRIDDEN tries of RoutePolicy default\/p does not act/)
  const web = (...manifests: readonly string[]) =>
    play(...manifests).model.upstreams.get('default/web:80' as never)?.policy
  const service = printPolicy('p', WEB, {
    balancer: 'least-requests',
    healthPath: '/up',
    tries: 3,
    circuitErrorRate: 50,
  })
  t.same(web(SERVICES, printIngress(), service), {
    balancer: 'least-requests',
    'health.path': '/up',
    tries: 3,
    'circuit.errorRate': 50,
  })
  const own = printService('web', { 'portico.dev/balancer': 'random' })
  t.match(web(own, printIngress(), service), { balancer: 'random', tries: 3 }, 'its own annotation goes first')
  t.match(play(own, printIngress(), service).said.join(), /balancer of RoutePolicy default\/p does not act/)
  const settings = `---\napiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\nservices: {default/web: {tries: 7}}\n`
  t.match(web(settings, SERVICES, printIngress(), service), { tries: 7 }, 'services of the settings go before all')
  t.match(
    play(SERVICES, printIngress(), printPolicy('p', WEB, { tries: 'many' })).said.join(),
    /error PORTICO_RES_FIELD_VALUE spec.tries: /,
  )
  t.equal(web(SERVICES, printIngress(), printPolicy('p', WEB, { tries: 'many' })), undefined)
})

t.test(
  'an option that means nothing on a target is told, and a condition of a Service closes the routes to it',
  async (t) => {
    const balancer = play(SERVICES, printIngress(), printPolicy('p', SHOP, { balancer: 'random' }))
    t.match(balancer.said, [
      /^\d+ warning PORTICO_RES_FIELD_VALUE spec.balancer: it means nothing for Ingress shop \| it acts on Service alone/,
    ])
    const both = play(SERVICES, printIngress(), printPolicy('p', `${SHOP}, ${WEB}`, { balancer: 'random', tries: 3 }))
    t.match(both.said, [/write a policy for each kind \(\d+\)$/])
    t.match(both.routes['b.test/'], /tries=3/)
    t.notMatch(both.routes['b.test/'], /balancer/)
    const closed = play(SERVICES, printIngress(), printPolicy('p', WEB, { matchMethods: 'GET' }))
    t.match(closed.said, [
      /error PORTICO_RES_FIELD_VALUE spec.matchMethods: it means nothing for Service web .*until then the routes to this Service answer 503/,
    ])
    for (const text of Object.values(closed.routes)) t.equal(text, GUARD_INVALID)
    t.match(play(SERVICES, printIngress(), printPolicy('p', WEB, { split: 'web=1' })).said, [
      /warning .*spec.split: it means nothing/,
    ])
  },
)

t.test('paths are regular expressions where a policy says so', async (t) => {
  const ingress = printIngress().replaceAll(
    'path: /admin, pathType: Prefix',
    'path: "/v[0-9]+/", pathType: ImplementationSpecific',
  )
  const { routes, said } = play(SERVICES, ingress, printPolicy('p', section('a.test/v[0-9]+/'), { pathType: 'regex' }))
  t.same(said, [])
  t.same(routes['a.test/v[0-9]+/'], 'regular expression')
  t.match(play(SERVICES, printIngress(), printPolicy('p', SHOP, { pathType: 'regex' })).said, [
    /warning PORTICO_RES_FIELD_VALUE spec.pathType: no path of Ingress default\/shop has pathType/,
  ])
})

t.test(
  'an Ingress that is refused keeps its paths, closed, if a policy has conditions on the addresses of clients',
  async (t) => {
    const broken = printIngress({}, 'shop', ', labels: {a: 1}')
    for (const [options, count] of [
      [{ matchClientAddresses: '10.0.0.1' }, 3],
      [{ matchMethods: 'GET' }, 0],
    ] as const) {
      const { routes } = play(SERVICES, broken, printPolicy('p', SHOP, options))
      t.same(
        Object.values(routes).filter((text) => text.includes(GUARD_INVALID)).length,
        count,
        JSON.stringify(options),
      )
      t.equal(Object.keys(routes).length, count)
    }
  },
)

t.test('a policy that changes leaves alone the upstreams whose settings it does not change', async (t) => {
  const translator = new Translator()
  const on = (options: object) => {
    const list = new DiagnosticList()
    const set = store.update([...others, ...decode(printPolicy('p', WEB, options))], ++generation, list, [])
    return translator.translate(set, { settings, clock: fixedClock }, list).upstreams.get('default/web:80' as never)
  }
  const decode = (text: string) => {
    const list = new DiagnosticList()
    return decodeDocuments(parseDocuments(sourceFromText('in.yaml', text), list).documents, list).resources
  }
  const others = decode(SERVICES + printIngress())
  const store = new ResourceStore()
  let generation = 0
  const { settings } = resolveSettings({ environment: {}, flags: {} }, new DiagnosticList())
  const first = on({ tries: 3, rateLimit: '1/s' })
  t.same(first?.policy, { tries: 3 })
  const second = on({ tries: 3, rateLimit: '2/s' })
  t.equal(second, first, 'the same object')
  t.same(on({ tries: 4, rateLimit: '2/s' })?.policy, { tries: 4 })
})

t.test('every annotation of routes has an option, and the settings of all routes have none of them', async (t) => {
  const options = listOptions('RoutePolicy')
  for (const name of ROUTE_OPTIONS.keys()) t.ok(options.has(findOptionName(name)), name)
  t.equal(new Set(options.keys()).size, listOptions('Setting').size + ROUTE_OPTIONS.size, 'no two have one name')
  for (const name of ROUTE_OPTIONS.keys()) t.notOk(listOptions('Setting').has(findOptionName(name)), name)
})

t.test(
  'of several conditions that are lost, one about clients counts: no other route goes before the closed ones',
  (t) => {
    const clients = { matchClientIp: '10.0.0.0/8' }
    const methods = { matchMehods: 'GET' }
    const ofClients = { 'portico.dev/match-client-ip': '10.0.0.0/8' }
    const addresses = { matchClientAddresses: '10.0.0.0/8' }
    const cases: readonly (readonly [name: string, annotations: Annotations, policies: readonly string[]])[] = [
      ['of a section and of the Ingress', ofClients, [printPolicy('p', section('a.test'), methods)]],
      ['of the Ingress and of a policy', { 'portico.dev/match-mehods': 'GET' }, [printPolicy('p', SHOP, clients)]],
      ['of two policies', {}, [printPolicy('p', SHOP, methods), printPolicy('q', SHOP, clients)]],
      [
        'of a policy that is refused',
        {},
        [printPolicy('p', SHOP, methods), printPolicy('q', SHOP, addresses).replace('v1alpha1', 'v9')],
      ],
      [
        'of two sections that are not there',
        {},
        [printPolicy('p', section('x.test'), methods), printPolicy('q', section('y.test'), addresses)],
      ],
    ]
    for (const [name, annotations, policies] of cases) {
      const manifests = [SERVICES, printIngress(annotations), ...policies, printIngress({}, 'zz')]
      const { model } = translateText(manifests.join(''))
      const routes = findIngressTable(model).hosts.find(({ host }) => host === 'a.test')?.routes
      t.same(
        routes?.filter(({ path }) => path === '/').map(({ owner, action }) => `${owner.name} ${action.type}`),
        ['shop unavailable', 'zz forward'],
        name,
      )
    }
    t.end()
  },
)
