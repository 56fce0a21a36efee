/** A guard that cannot be kept closes its routes, whatever else is wrong. */
import fc from 'fast-check'
import t from 'tap'
import { FILTERS } from '../../lib/filters/registry.ts'
import { findIngressTable } from '../../lib/model/route-table.ts'
import { findMeantRestriction } from '../../lib/translate/annotation.ts'
import { findOptionName } from '../../lib/translate/route-policy/option.ts'
import { type DoorRequest, startDoors } from '../doors/request-doors.ts'
import { translateText } from '../translate/manifests.ts'
import { ask, startFiltered } from './filtered.ts'

function printIngress(name: string, host: string, path: string, annotations: string): string {
  return `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: ${name}, annotations: {${annotations}}}
spec: {rules: [{host: ${host}, http: {paths: [{path: ${path}, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
`
}

t.test('an Ingress that is refused for an error and has a guard keeps its paths, closed', async (t) => {
  const guards = {
    'a.test': 'portico.dev/auth-url: "http://127.0.0.1:1/", foo/bar: 1',
    'b.test': 'portico.dev/rate-limit: 10',
    'c.test': 'portico.dev/auth-url: "http://127.0.0.1:1/", portico.dev/auth-timeout: 5',
  }
  const manifests = Object.entries(guards).map(
    ([host, annotations], at) =>
      printIngress(`guarded-${at}`, host, '/admin', annotations) + printIngress(`zz-open-${at}`, host, '/', ''),
  )
  const doors = await startDoors(t, { unsupportedGuards: 'serve' }, `${manifests.join('')}---\n`)
  for (const door of doors.names) {
    for (const host of Object.keys(guards)) {
      const play = (request: DoorRequest) => doors.play(door, { host, ...request })
      t.match(await play({ target: '/admin/x' }), { answer: 503, upstream: [] }, `${door} ${host}`)
      t.match(await play({ target: '/else' }), { answer: 200 }, `${door} ${host}`)
    }
  }
})

t.test('every annotation of every guard closes the routes where it cannot be used, at every door', async (t) => {
  const guards = FILTERS.filter(({ isGuard }) => isGuard)
  const names = guards.flatMap(({ annotations }) => Object.keys(annotations))
  for (const name of ['rate-limit', 'forward-auth', 'source-range', 'basic-auth', 'satisfy']) {
    t.ok(
      guards.some((guard) => guard.name === name),
      `${name} is a guard`,
    )
  }
  const manifests = names.map((name, at) => printIngress(`g${at}`, `${name}.test`, '/', `portico.dev/${name}: "?!"`))
  const doors = await startDoors(t, {}, `${manifests.join('')}---\n`)
  for (const door of doors.names) {
    for (const name of names) {
      const outcome = await doors.play(door, { host: `${name}.test` })
      t.match(outcome, { answer: 503, code: 'PORTICO_GW_GUARD_INVALID', upstream: [] }, `${door} ${name}`)
    }
  }
})

t.test('a guarded path that another Ingress has already is an error that names the guard', async (t) => {
  const service =
    'apiVersion: v1\nkind: Service\nmetadata: {name: web, annotations: {portico.dev/endpoints: "127.0.0.1:1"}}\nspec: {ports: [{port: 80}]}\n'
  const guard = 'portico.dev/rate-limit: "1/s"'
  const find = (first: string, second: string) =>
    translateText(service + printIngress('a', 'x.test', '/', first) + printIngress('b', 'x.test', '/', second))
      .diagnostics
  const [lost] = find('', guard)
  t.match(lost, { code: 'PORTICO_ROUTE_CONFLICT', severity: 'error', help: /its rate-limit guards nothing/ })
  t.match(find(guard, guard)[0], { code: 'PORTICO_ROUTE_CONFLICT', severity: 'info' })
})

t.test('a question to an auth server that comes back to a route that asks is answered 503 at once', async (t) => {
  const doors = await startFiltered(t, { 'auth-url': 'http://127.0.0.1:1/' })
  for (const door of doors.names) {
    const { status, body, upstream } = await ask(doors, door, { fields: [['x-portico-auth-question', '1']] })
    t.match({ status, body, upstream }, { status: 503, body: /PORTICO_GW_AUTH_UNAVAILABLE/, upstream: [] }, door)
  }
})

const GUARDED = 'portico.dev/auth-ulr: "http://127.0.0.1:1/"'

t.test('a misspelt guard closes the routes of its Ingress at every door, and is an error', async (t) => {
  const manifests =
    printIngress('a', 'a.test', '/', GUARDED) + printIngress('b', 'b.test', '/', 'portico.dev/redirect-hots: c')
  const doors = await startDoors(t, {}, `${manifests}---\n`)
  for (const door of doors.names) {
    t.match(await doors.play(door, { host: 'a.test' }), { answer: 503, upstream: [] }, door)
    t.match(await doors.play(door, { host: 'b.test' }), { answer: 200 }, 'that of another filter is left out')
  }
  const { diagnostics } = translateText(printIngress('a', 'a.test', '/', GUARDED))
  t.match(diagnostics[0], {
    code: 'PORTICO_ANN_UNKNOWN',
    severity: 'error',
    message: 'unknown annotation "portico.dev/auth-ulr"',
    help: 'did you mean "portico.dev/auth-url"? until then the routes of this Ingress answer 503',
  })
})

t.test('one wrong letter, or words around it, do not open what a guard closes', async (t) => {
  const guards = FILTERS.filter(({ isGuard }) => isGuard).flatMap(({ annotations }) => Object.keys(annotations))
  const known = new Set(FILTERS.flatMap(({ annotations }) => Object.keys(annotations)))
  const edit = fc
    .tuple(fc.constantFrom(...guards), fc.nat(), fc.constantFrom('', 'x', '-'), fc.nat(1))
    .map(([name, at, letter, cut]) => {
      const index = at % name.length
      return name.slice(0, index) + letter + name.slice(index + cut)
    })
    .filter((name) => !known.has(name))
  fc.assert(fc.property(edit, (name) => findMeantRestriction(`portico.dev/${name}`) === 'guard'))
  for (const name of [
    'forward-auht-url',
    'forward-auth',
    'basic-auth',
    'auth-basic',
    'RateLimit',
    'rate-limit-per-client',
  ]) {
    t.equal(findMeantRestriction(`portico.dev/${name}`), 'guard', name)
  }
  for (const name of [
    'redirect-hots',
    'maintenence',
    'request-header-set',
    'timeout',
    'max-queues',
    'foo',
    'respond-statuss',
  ]) {
    t.notOk(findMeantRestriction(`portico.dev/${name}`), name)
  }
  for (const name of known) t.notOk(findMeantRestriction(`portico.dev/${name}`), name)
  t.notOk(findMeantRestriction('nginx.ingress.kubernetes.io/auth-ulr'), 'another domain')
})

t.test('a refused Ingress with a misspelt guard keeps its paths, closed', async (t) => {
  const manifests =
    printIngress('a', 'a.test', '/admin', `${GUARDED}, foo/bar: 1`) + printIngress('b', 'a.test', '/', '')
  const { model } = translateText(manifests)
  const [admin] = findIngressTable(model).hosts.find(({ host }) => host === 'a.test')?.routes ?? []
  t.match(admin, { path: '/admin', action: { code: 'PORTICO_GW_GUARD_INVALID' } })
  const domain = printIngress('a', 'a.test', '/admin', 'portco.dev/auth-url: "http://a.test/", foo/bar: 1')
  const [closed] =
    findIngressTable(translateText(domain).model).hosts.find(({ host }) => host === 'a.test')?.routes ?? []
  t.match(closed, { action: { code: 'PORTICO_GW_GUARD_INVALID' } }, 'its domain is misspelt')
})

t.test('every guard that has a value it cannot use closes its routes, wherever it is written', async (t) => {
  const wrong = '\u00a7 wrong'
  const guards = FILTERS.filter(({ isGuard }) => isGuard).flatMap(({ annotations }) =>
    Object.entries(annotations).flatMap(([name, { form }]) =>
      form === undefined || form.pattern.test(wrong) ? [] : [name],
    ),
  )
  t.ok(guards.length > 3)
  const service = (annotations: string) =>
    `---\napiVersion: v1\nkind: Service\nmetadata: {name: web, annotations: {${annotations}}}\nspec: {ports: [{port: 80}]}\n`
  const policy = (target: string, option: string) =>
    `---\napiVersion: portico.dev/v1alpha1\nkind: RoutePolicy\nmetadata: {name: p}\nspec: {targetRefs: [${target}], ${option}}\n`
  const ingress = '{group: networking.k8s.io, kind: Ingress, name: a}'
  for (const name of guards) {
    const annotation = `portico.dev/${name}: "${wrong}"`
    const option = `${findOptionName(name)}: "${wrong}"`
    const open = printIngress('a', 'a.test', '/', '')
    const places = [
      service('') + printIngress('a', 'a.test', '/', annotation),
      service(annotation) + open,
      service('') + open + policy(ingress, option),
      service('') + open + policy(ingress.replace('}', ', sectionName: a.test/}'), option),
      service('') + open + policy('{kind: Service, name: web}', option),
    ]
    for (const text of places) {
      const action = findIngressTable(translateText(text).model).hosts[0]?.routes[0]?.action
      t.match(action, { type: 'unavailable', code: 'PORTICO_GW_GUARD_INVALID' }, text)
    }
  }
})

t.test('a misspelt guard, or a condition, on a Service closes the routes to it', async (t) => {
  const service = (name: string, annotations: string) =>
    `---\napiVersion: v1\nkind: Service\nmetadata: {name: ${name}, annotations: {portico.dev/endpoints: "127.0.0.1:1"${annotations}}}\nspec: {ports: [{port: 80}]}\n`
  const route = (name: string, annotations: string) => {
    const ingress = printIngress(name, `${name}.test`, '/', '').replace('name: web', `name: ${name}`)
    const { model, diagnostics } = translateText(ingress + service(name, annotations))
    const action = findIngressTable(model).hosts[0]?.routes[0]?.action
    return [
      action?.type === 'unavailable' && action.code,
      ...diagnostics.map(({ severity, help }) => `${severity}: ${help}`),
    ]
  }
  const outcome = 'until then the routes to this Service answer 503'
  t.same(route('known', ', portico.dev/rate-limit: "1/s"'), [false])
  t.same(route('misspelt', ', portico.dev/rate-limti: "1/s"'), [
    'PORTICO_GW_GUARD_INVALID',
    `error: did you mean "portico.dev/rate-limit"? ${outcome}`,
  ])
  t.same(route('condition', ', portico.dev/match-methods: GET'), [
    'PORTICO_GW_GUARD_INVALID',
    `error: it belongs on Ingress; ${outcome}`,
  ])
  t.same(route('other', ', portico.dev/priority: "1"'), [false, 'warning: it belongs on Ingress'])
})

t.test('a name that can only mean a guard or a condition closes the routes, whatever it is called', async (t) => {
  const service = (annotations: string) =>
    `---\napiVersion: v1\nkind: Service\nmetadata: {name: web, annotations: {portico.dev/endpoints: "127.0.0.1:1", ${annotations}}}\nspec: {ports: [{port: 80}]}\n`
  const isClosed = (manifests: string): boolean => {
    const action = findIngressTable(translateText(manifests).model).hosts[0]?.routes[0]?.action
    return action?.type === 'unavailable' && action.code === 'PORTICO_GW_GUARD_INVALID'
  }
  const wrong = [
    'portico.dev/match-client-ip',
    'portico.dev/match-ip',
    'portico.dev/match-source-range',
    'portico.dev/match-host',
    'portico.dev/match-path',
    'portico.dev/matchHeaders',
    'portico.dev/mach-methods',
    'portico.dev/client-addresses',
    'portico.dev/clientIPs',
    'portico.dev/allow-source-ranges',
    'portico.dev/ip-allowlist',
    'portico.dev/whitelist-source-range',
    'portico.dev/denylist-source-range',
    'portico.dev/denylist',
    'portico.dev/limit-rps',
    'portico.dev/limit-connections',
    'portico.dev/auth-type',
    'portico.dev/auth-tls-secret',
    'portico.dev/auth-secret',
    'portico.dev/jwt-key',
    'portico.deb/auth-url',
    'Portico.dev/rate-limit',
    'portico.io/match-client-addresses',
  ]
  for (const name of wrong) {
    t.ok(isClosed(service('') + printIngress('a', 'a.test', '/', `${name}: x`)), `${name} on an Ingress`)
    t.ok(isClosed(service(`${name}: x`) + printIngress('a', 'a.test', '/', '')), `${name} on a Service`)
  }
  for (const name of ['match-client-addresses', 'match-headers', 'match-methods', 'auth-url', 'allow-source-range']) {
    const text = service(`portico.dev/${name}: x`) + printIngress('a', 'a.test', '/', '')
    t.ok(isClosed(text), `${name} on a Service, where it is not read, or no URL`)
  }
  for (const name of [
    'portico.dev/foo',
    'portico.deb/maintenance',
    'portico.dev/adaptive-limits',
    'acme.test/match-x',
  ]) {
    t.notOk(isClosed(service(`${name}: x`) + printIngress('a', 'a.test', '/', `${name}: x`)), name)
  }
})

t.test('the help of an unknown annotation names what its kind takes', async (t) => {
  const help = (name: string) =>
    translateText(printIngress('a', 'a.test', '/', `${name}: x`)).diagnostics.find(
      ({ code }) => code === 'PORTICO_ANN_UNKNOWN',
    )?.help
  const outcome = ' until then the routes of this Ingress answer 503'
  t.match(help('portico.dev/unlike'), /^an Ingress takes filters.*docs\/filters\.md.*docs\/routing\.md/)
  t.equal(help('portico.dev/redirect-hots'), 'did you mean "portico.dev/redirect-host"?')
  t.equal(help('portico.dev/balancr'), 'did you mean "portico.dev/balancer"? It belongs on Service')
  t.equal(help('portico.deb/compress'), 'did you mean "portico.dev/compress"?')
  t.equal(help('portico.dev/limit-rps'), `did you mean "portico.dev/rate-limit"?${outcome}`)
  for (const name of ['auth-type', 'auth-secret', 'basic-auth', 'basic-auth-sercet']) {
    t.equal(help(`portico.dev/${name}`), `did you mean "portico.dev/basic-auth-secret"?${outcome}`)
  }
  const meant = {
    'match-client-addresses': ['match-ip', 'match-source-range'],
    'allow-source-range': ['client-addresses', 'whitelist-source-range', 'allow-ips', 'ip-whitelist', 'clientIPs'],
    'deny-source-range': ['denylist', 'blacklist-source-range', 'block-cidrs', 'deny-from', 'ban-ips'],
  }
  for (const [name, others] of Object.entries(meant)) {
    for (const other of others) t.equal(help(`portico.dev/${other}`), `did you mean "portico.dev/${name}"?${outcome}`)
  }
})

t.test(
  'annotations that stand in the wrong place are an error, and a guard among them closes the routes',
  async (t) => {
    const print = (metadata: string, rest: string, spec: string) => `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: a${metadata}}
${rest}
spec: {${spec}rules: [{host: a.test, http: {paths: [{path: /admin, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
`
    const play = (text: string) => {
      const { model, diagnostics } = translateText(text + printIngress('b', 'a.test', '/', ''))
      const [first] = findIngressTable(model).hosts[0]?.routes ?? []
      const found = diagnostics.filter(({ code }) => code === 'PORTICO_RES_FIELD_UNKNOWN')
      return { path: first?.path, action: first?.action.type, found }
    }
    const guards = [
      'portico.dev/auth-url: "http://127.0.0.1:1/"',
      'portico.dev/match-client-addresses: 10.0.0.0/8',
      'nginx.ingress.kubernetes.io/limit-rps: "1"',
      'portico.dev/rate-limti: 1',
    ]
    for (const guard of guards) {
      const places: readonly (readonly [text: string, help: RegExp])[] = [
        [
          print(`, anotations: {${guard}}`, '', ''),
          /^did you mean "annotations"\? until then the Ingress is not served/,
        ],
        [print(`, annotation: {${guard}}`, '', ''), /^did you mean "annotations"\?/],
        [print(`, Annotations: {${guard}}`, '', ''), /^did you mean "annotations"\?/],
        [print(`, ${guard}`, '', ''), /^an annotation belongs under metadata.annotations;/],
        [print('', `annotations: {${guard}}`, ''), /^annotations belongs under metadata;/],
        [print('', '', `annotations: {${guard}}, `), /^annotations belongs under metadata;/],
      ]
      for (const [text, help] of places) {
        const { path, action, found } = play(text)
        t.match({ path, action }, { path: '/admin', action: 'unavailable' }, text)
        t.match(found, [{ severity: 'error', help }], text)
      }
    }
    const other = play(print(', anotations: {team: x}', '', ''))
    t.match(other, { path: '/admin', action: 'unavailable', found: [{ severity: 'warning' }] })
    t.match(other.found, [{ help: 'did you mean "annotations"?' }], 'nobody reads it: the Ingress is served')
    const unguarded = play(print(', anotations: {portico.dev/tries: "2"}', '', ''))
    t.match(unguarded, { path: '/', found: [{ severity: 'error' }] }, 'without a guard its paths are free')
  },
)

t.test('a Service with annotations in the wrong place gets no requests', async (t) => {
  const service =
    '---\napiVersion: v1\nkind: Service\nmetadata: {name: web, annotations: {portico.dev/endpoints: "127.0.0.1:1"}}\nannotations: {portico.dev/auth-url: x}\nspec: {ports: [{port: 80}]}\n'
  const { model } = translateText(service + printIngress('a', 'a.test', '/', ''))
  t.match(findIngressTable(model).hosts[0]?.routes, [{ action: { type: 'unavailable' } }])
})
