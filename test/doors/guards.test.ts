/** What promises to guard and is not honoured: no request passes, whichever door it comes through. */
import t from 'tap'
import { startDoors } from './request-doors.ts'

const CLOSED = { answer: 503, code: 'PORTICO_GW_GUARD_UNSUPPORTED', upstream: [] }

function printIngress(name: string, host: string, paths: readonly string[], annotation = '', service = 'web'): string {
  const items = paths.map(
    (path) =>
      `{path: "${path}", pathType: ${/[(*]/.test(path) ? 'ImplementationSpecific' : 'Prefix'}, backend: {service: {name: ${service}, port: {number: 80}}}}`,
  )
  return `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: ${name}, annotations: {${annotation}}}
spec: {rules: [{host: ${host}, http: {paths: [${items.join(', ')}]}}]}
`
}

const MANIFESTS = `${printIngress('open', 'gw.test', ['/'])}\
${printIngress('zz-guarded', 'gw.test', ['/admin', '/re(/|$)(.*)'], 'nginx.ingress.kubernetes.io/enable-modsecurity: "true"')}\
${printIngress('to-service', 'gw.test', ['/plugged'], '', 'plugged')}\
${printIngress('of-host', 'mtls.test', ['/tls'], 'nginx.ingress.kubernetes.io/auth-tls-secret: default/ca')}\
${printIngress('beside', 'mtls.test', ['/'])}\
${printIngress('aaa-canary', 'gw.test', ['/'], 'nginx.ingress.kubernetes.io/canary: "true", nginx.ingress.kubernetes.io/canary-weight: "10"', 'nowhere')}\
---
apiVersion: v1
kind: Service
metadata: {name: plugged, annotations: {konghq.com/plugins: key-auth, portico.dev/endpoints: "127.0.0.1:1"}}
spec: {ports: [{port: 80}]}
---
`

t.test('a guard that is not honoured closes its routes at every door, and all the rest is served', async (t) => {
  const { names, play } = await startDoors(t, {}, MANIFESTS)
  for (const door of names) {
    for (const target of ['/admin', '/admin/x?y=1', '/x/../admin', '/%61dmin', '/re', '/re/x', '/plugged']) {
      t.match(await play(door, { target }), CLOSED, `${door} ${target}`)
    }
    for (const target of ['/', '/administration', '/regular']) {
      t.match(await play(door, { target }), { answer: 200, upstream: [`GET ${target} HTTP/1.1`] }, `${door} ${target}`)
    }
    for (const target of ['/', '/tls', '/else']) {
      t.match(await play(door, { target, host: 'mtls.test' }), CLOSED, `${door} mtls.test${target}: guarded as a host`)
    }
    t.match(await play(door, { method: 'POST', target: '/admin', body: 'b' }), CLOSED, `${door} POST`)
  }
})

t.test('with unsupportedGuards: serve they pass', async (t) => {
  const { names, play } = await startDoors(t, { unsupportedGuards: 'serve' }, MANIFESTS)
  for (const door of names) {
    t.match(await play(door, { target: '/admin' }), { answer: 200, upstream: ['GET /admin HTTP/1.1'] }, door)
    t.match(await play(door, { target: '/tls', host: 'mtls.test' }), { answer: 200 }, door)
  }
})

t.test('a canary gets nothing of the requests of the Ingress it stands beside', async (t) => {
  const { names, play } = await startDoors(t, {}, MANIFESTS)
  for (const door of names) {
    for (let turn = 0; turn < 10; turn++) t.match(await play(door, { target: '/' }), { answer: 200 }, door)
  }
})
