/** Filters of Services act on all routes to them, beside those of Ingresses. */
import t from 'tap'
import type { Diagnostic } from '../../lib/base/diagnostics.ts'
import { printFilters } from '../../lib/filters/registry.ts'
import { listShares, type Route } from '../../lib/model/route.ts'
import { findIngressTable } from '../../lib/model/route-table.ts'
import { startDoors } from '../doors/request-doors.ts'
import { findAll } from '../helpers/raw-client.ts'
import { translateText } from '../translate/manifests.ts'

type Annotations = Readonly<Record<string, string>>

function printAnnotations(annotations: Annotations): string {
  return JSON.stringify(
    Object.fromEntries(Object.entries(annotations).map(([name, value]) => [`portico.dev/${name}`, value])),
  )
}

function printService(name: string, annotations: Annotations = {}): string {
  return `---\napiVersion: v1\nkind: Service\nmetadata: {name: ${name}, annotations: ${printAnnotations(annotations)}}\nspec: {ports: [{port: 80}]}\n`
}

/** An Ingress of the host `NAME.test`. */
function printIngress(name: string, service: string, annotations: Annotations = {}): string {
  return `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: ${name}, annotations: ${printAnnotations(annotations)}}
spec: {rules: [{host: ${name}.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: ${service}, port: {number: 80}}}}]}}]}
`
}

/** The route of the first host, and what is said. */
function translate(text: string): { route: Route; diagnostics: readonly Diagnostic[] } {
  const { model, diagnostics } = translateText(text)
  const route = findIngressTable(model).hosts[0]?.routes[0]
  if (route === undefined) throw new Error('there is no route')
  return { route, diagnostics: diagnostics.filter(({ code }) => code !== 'PORTICO_REF_NO_ENDPOINTS') }
}

t.test('at every door they act on the routes of all Ingresses, and those of an Ingress go before them', async (t) => {
  const more = [
    printService('own', { 'response-headers-set': 'X-By: service', 'rewrite-prefix': '/base' }),
    printService('down', { maintenance: 'true' }),
    printIngress('plain', 'own'),
    printIngress('mixed', 'own', { 'request-headers-set': 'X-By: ingress' }),
    printIngress('closed', 'down'),
    printIngress('open', 'down', { maintenance: 'false' }),
    '---\n',
  ]
  const doors = await startDoors(t, {}, more.join(''), {}, ['own', 'down'])
  for (const door of doors.names) {
    const ask = async (host: string) => {
      const { status, headers = [], upstream } = await doors.ask(door, { host, target: '/a' })
      return [status, findAll(headers, 'x-by'), upstream]
    }
    t.same(await ask('plain.test'), [200, ['service'], ['GET /base/a HTTP/1.1']], door)
    t.same(
      await ask('mixed.test'),
      [200, [], ['GET /base/a HTTP/1.1', 'x-by: ingress']],
      'headers is the Ingress’s alone',
    )
    t.same(await ask('closed.test'), [503, [], []], 'maintenance of a Service')
    t.same(await ask('open.test'), [200, [], ['GET /a HTTP/1.1']], 'an Ingress is kept out of it')
  }
})

t.test('a limit of a Service counts the requests of all Ingresses to it, one of an Ingress its own', async (t) => {
  const limit = { 'rate-limit': '1/h' }
  const more = [
    printService('limited', limit),
    printIngress('a', 'limited'),
    printIngress('b', 'limited'),
    printIngress('c', 'web', limit),
    printIngress('d', 'web', limit),
    '---\n',
  ]
  const doors = await startDoors(t, {}, more.join(''), {}, ['limited'])
  const ask = async (host: string) => (await doors.ask('lane', { host })).status
  t.same([await ask('a.test'), await ask('b.test'), await ask('a.test')], [200, 429, 429])
  t.same([await ask('c.test'), await ask('d.test'), await ask('c.test')], [200, 200, 429])
})

t.test('a guard of a Service that cannot be used closes the routes to it at every door', async (t) => {
  const guard = printService('guarded', { 'rate-limit': '10' })
  const more = `${guard}${printIngress('a', 'guarded', { 'rate-limit': '10/s' })}${printIngress('b', 'web')}---\n`
  const doors = await startDoors(t, {}, more, {}, ['guarded'])
  for (const door of doors.names) {
    t.match(await doors.play(door, { host: 'a.test' }), { answer: 503, code: 'PORTICO_GW_GUARD_INVALID', upstream: [] })
    t.match(await doors.play(door, { host: 'b.test' }), { answer: 200 }, door)
  }
  const { diagnostics } = translate(guard + printIngress('a', 'guarded'))
  t.match(diagnostics, [
    {
      code: 'PORTICO_ANN_VALUE',
      resource: 'Service default/guarded',
      help: /until then the routes to this Service answer 503$/,
    },
  ])
})

t.test('where both have the same filter, the one of the Service is told as overridden, with both places', async (t) => {
  const text =
    printService('web', { 'rate-limit': '1/s', compress: 'gzip', maintenance: 'false' }) +
    printIngress('a', 'web', { 'rate-limit': '100/s', compress: 'gzip', maintenance: 'true' })
  const { route, diagnostics } = translate(text)
  t.same(printFilters(route), [
    'rate-limit: 100/s a client, 100 at once',
    'maintenance: 503 "This service is under maintenance."',
    'compress: gzip from 1Ki',
  ])
  const [told, ...rest] = diagnostics
  t.match(told, {
    code: 'PORTICO_ROUTE_FILTER_OVERRIDDEN',
    severity: 'info',
    message:
      'rate-limit of Service default/web does not act on routes of Ingress default/a: Ingress default/a is more specific, and has its own',
    position: { line: 9 },
    notes: [{ message: 'the other one is here', position: { line: 4 } }],
  })
  t.same(rest, [], 'where both are alike nothing is lost')
})

t.test('a guard of a Service whose own ports are open is told', async (t) => {
  const exposed = (annotations: Annotations) =>
    printService('web', annotations).replace('spec: {', 'spec: {type: NodePort, ') + printIngress('a', 'web')
  const told = (text: string) => translate(text).diagnostics.map(({ code, message }) => `${code} ${message}`)
  const why =
    'PORTICO_SVC_UNGUARDED rate-limit does not guard the ports of Service default/web itself: it acts on routes to it'
  t.same(told(exposed({ 'rate-limit': '1/s' })), [why])
  t.same(told(exposed({ compress: 'true' })), [], 'other filters promise nothing')
  t.same(told(printService('web', { 'rate-limit': '1/s' }) + printIngress('a', 'web')), [], 'a ClusterIP')
  const policy =
    '---\napiVersion: portico.dev/v1alpha1\nkind: RoutePolicy\nmetadata: {name: p}\nspec: {targetRefs: [{kind: Service, name: web}], rateLimit: 1/s}\n'
  t.same(told(exposed({}) + policy), [why])
})

t.test('reports name the Service that a filter comes from', async (t) => {
  const { route } = translate(
    printService('web', { compress: 'gzip' }) + printIngress('a', 'web', { 'rate-limit': '1/s' }),
  )
  t.same(printFilters(route), ['rate-limit: 1/s a client, 1 at once', 'compress: gzip from 1Ki (Service default/web)'])
})

t.test('where requests are divided, a filter acts on all of them or on none', async (t) => {
  const split = (one: Annotations, two: Annotations, own: Annotations = {}, weights = 'one=1, two=1') => {
    const services =
      printService('one', { endpoints: '127.0.0.1:1', ...one }) +
      printService('two', { endpoints: '127.0.0.1:1', ...two })
    const { route, diagnostics } = translate(services + printIngress('a', 'one', { split: weights, ...own }))
    const { action } = route
    const state = action.type === 'unavailable' ? action.code : String(listShares(action).length)
    return [
      state,
      ...printFilters(route),
      ...diagnostics.map(({ severity, message, help }) => `${severity}: ${message} | ${help}`),
    ]
  }
  const help = 'write it on the Ingress, or the same on each Service'
  const limit = { 'rate-limit': '1/s' }
  const printed = 'rate-limit: 1/s a client, 1 at once'
  t.same(split(limit, limit), ['2', `${printed} (Service default/one)`], 'both alike')
  t.same(split(limit, {}), [
    '2',
    `${printed} (Service default/one)`,
    `info: portico.dev/split: Service default/one has rate-limit, and other Services of these requests do not | ${help}; it acts on the requests to all of them`,
  ])
  t.same(split(limit, { 'rate-limit': '2/s' }), [
    'PORTICO_GW_GUARD_INVALID',
    `error: portico.dev/split: Service default/one and Service default/two have different rate-limit, and requests are divided among them | ${help}; until then the routes answer 503`,
  ])
  t.same(split({}, { compress: 'true' }), [
    '2',
    `warning: portico.dev/split: Service default/two has compress, and other Services of these requests do not | ${help}; until then it acts on none of these requests`,
  ])
  t.same(split(limit, { 'rate-limit': '2/s' }, { 'rate-limit': '3/s' }).slice(0, 2), [
    '2',
    'rate-limit: 3/s a client, 3 at once',
  ])
  t.same(split({}, { compress: 'true' }, {}, 'one=1, two=0'), ['2'], 'a Service that gets no requests has no say')
  t.equal(split(limit, { 'rate-limit': '1' })[0], 'PORTICO_GW_GUARD_INVALID', 'a guard that cannot be used')
})

t.test('a filter of a Service may refer to a ConfigMap', async (t) => {
  const pages = '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: pages}\ndata: {off.html: later}\n'
  const service = printService('web', { maintenance: 'true', 'maintenance-message-from': 'pages/off.html' })
  const { route, diagnostics } = translate(service + printIngress('a', 'web') + pages)
  t.same(diagnostics, [])
  t.match(printFilters(route), [/^maintenance: 503 5 bytes of pages\/off.html .* \(Service default\/web\)$/])
  const missing = translate(service + printIngress('a', 'web'))
  t.match(missing.diagnostics, [{ code: 'PORTICO_REF_CONFIG_MAP_NOT_FOUND', resource: 'Service default/web' }])
  t.same(printFilters(missing.route), [])
})
