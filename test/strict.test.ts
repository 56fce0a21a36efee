/** What is wrong with manifests and what becomes of it: served without, or refused whole where strict is on. */
import t from 'tap'
import { StartError } from '../lib/index.ts'
import { endpointsOf, ONE_ROUTE, runGateway, startEchoes, visit } from './helpers/running-gateway.ts'

const GUARD = 'nginx.ingress.kubernetes.io/enable-modsecurity: "true"'
const EMPTY = '---\napiVersion: v1\nkind: Service\nmetadata: {name: empty}\nspec: {ports: [{port: 80}]}\n'

function printIngress(path: string, annotation: string, service = 'web'): string {
  return `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: more, annotations: {${annotation}}}
spec: {rules: [{http: {paths: [{path: ${path}, pathType: Prefix, backend: {service: {name: ${service}, port: {number: 80}}}}]}}]}
`
}

const WARNED = `${ONE_ROUTE}${printIngress('/empty', '', 'empty')}${EMPTY}`

t.test('a guard that comes with a reload closes its routes, and opens them again when it goes', async (t) => {
  const upstreams = await startEchoes(t, 'web')
  const running = await runGateway(t, ONE_ROUTE + printIngress('/admin', ''), { endpoints: endpointsOf(upstreams) })
  const ask = async (path: string) => (await visit(running, `http://any.test${path}`)).answeredBy
  t.equal(await ask('/admin'), 'web')
  await running.change(ONE_ROUTE + printIngress('/admin', GUARD))
  t.same([await ask('/admin'), await ask('/admin/x'), await ask('/')], [503, 503, 'web'])
  await running.change(ONE_ROUTE + printIngress('/admin', ''))
  t.equal(await ask('/admin'), 'web')
})

t.test('settings that a reload changes let a guarded route pass', async (t) => {
  const upstreams = await startEchoes(t, 'web')
  const guarded = ONE_ROUTE + printIngress('/admin', GUARD)
  const running = await runGateway(t, guarded, { endpoints: endpointsOf(upstreams) })
  t.equal((await visit(running, 'http://any.test/admin')).answeredBy, 503)
  const settings = '---\napiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\nunsupportedGuards: serve\n'
  await running.change(guarded + settings)
  t.equal((await visit(running, 'http://any.test/admin')).answeredBy, 'web')
})

t.test('strict refuses what check --strict does: errors and warnings, but for codes that are ignored', async (t) => {
  const start = (manifests: string, flags: Readonly<Record<string, string>> = {}) =>
    runGateway(t, manifests, { endpoints: { web: [1] }, flags: { strict: 'true', ...flags } })
  await t.rejects(start(ONE_ROUTE + printIngress('/admin', GUARD)), {
    name: StartError.name,
    message: '1 error in the configuration, and strict is on',
    help: /--ignore CODE/,
  })
  await t.rejects(start(WARNED), { message: '1 warning in the configuration, and strict is on' })
  await t.rejects(start(`${WARNED}${printIngress('/lost', '', 'lost').replace('more', 'lost')}`), {
    message: '1 error, 1 warning in the configuration, and strict is on',
  })
  const running = await start(WARNED, { ignore: 'PORTICO_REF_NO_ENDPOINTS' })
  t.same(running.gateway.configuration.diagnostics, [])
})

t.test('in strict, a reload that brings a warning changes nothing', async (t) => {
  const upstreams = await startEchoes(t, 'web')
  const running = await runGateway(t, ONE_ROUTE, { endpoints: endpointsOf(upstreams), flags: { strict: 'true' } })
  const reasons: string[] = []
  running.gateway.on('reload-failed', ({ reason }) => reasons.push(reason))
  await running.change(WARNED)
  t.same(reasons, ['1 warning, and strict is on'])
  t.equal((await visit(running, 'http://any.test/empty')).answeredBy, 'web', 'as before')
})

t.test('a missing Service is an error that leaves the rest served', async (t) => {
  const upstreams = await startEchoes(t, 'web')
  const manifests = ONE_ROUTE + printIngress('/lost', '', 'lost')
  const running = await runGateway(t, manifests, { endpoints: endpointsOf(upstreams) })
  t.match(running.gateway.configuration.diagnostics, [{ code: 'PORTICO_REF_SERVICE_NOT_FOUND', severity: 'error' }])
  t.equal((await visit(running, 'http://any.test/')).answeredBy, 'web')
  t.equal((await visit(running, 'http://any.test/lost')).answeredBy, 503)
})
