/** A guard that cannot be kept closes its routes, whatever else is wrong. */
import t from 'tap'
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
