/** A guard that cannot be kept closes its routes, whatever else is wrong. */
import fc from 'fast-check'
import t from 'tap'
import { FILTERS } from '../../lib/filters/registry.ts'
import { findIngressTable } from '../../lib/model/route-table.ts'
import { findMeantGuard } from '../../lib/translate/annotation.ts'
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
  fc.assert(fc.property(edit, (name) => findMeantGuard(`portico.dev/${name}`) !== undefined))
  for (const name of [
    'forward-auht-url',
    'forward-auth',
    'basic-auth',
    'auth-basic',
    'RateLimit',
    'rate-limit-per-client',
  ]) {
    t.ok(findMeantGuard(`portico.dev/${name}`), name)
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
    t.notOk(findMeantGuard(`portico.dev/${name}`), name)
  }
  for (const name of known) t.notOk(findMeantGuard(`portico.dev/${name}`), name)
  t.notOk(findMeantGuard('nginx.ingress.kubernetes.io/auth-ulr'), 'another domain')
})

t.test('a refused Ingress with a misspelt guard keeps its paths, closed', async (t) => {
  const manifests =
    printIngress('a', 'a.test', '/admin', `${GUARDED}, foo/bar: 1`) + printIngress('b', 'a.test', '/', '')
  const { model } = translateText(manifests)
  const [admin] = findIngressTable(model).hosts.find(({ host }) => host === 'a.test')?.routes ?? []
  t.match(admin, { path: '/admin', action: { code: 'PORTICO_GW_GUARD_INVALID' } })
})

t.test('a guard on a Service, where no filter is read, closes the routes to it', async (t) => {
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
  t.same(route('known', ', portico.dev/rate-limit: "1/s"'), [
    'PORTICO_GW_GUARD_INVALID',
    `error: it belongs on Ingress; ${outcome}`,
  ])
  t.same(route('misspelt', ', portico.dev/rate-limti: "1/s"'), [
    'PORTICO_GW_GUARD_INVALID',
    `error: did you mean "portico.dev/rate-limit"? ${outcome}`,
  ])
  t.same(route('other', ', portico.dev/maintenance: "true"'), [false, 'warning: it belongs on Ingress'])
})
