/** Guards that a doubled slash gets past are told where a listener never merges slashes, and no others are. */
import t from 'tap'
import { translateText } from './manifests.ts'

type Written = Readonly<{ path: string; annotations?: string; pathType?: string; host?: string; service?: string }>

const NEVER = 'paths: {mergeSlashes: never}'
const SERVICE = `
apiVersion: v1
kind: Service
metadata: {name: web, annotations: {portico.dev/endpoints: "127.0.0.1:1"}}
spec: {ports: [{port: 80}]}
`

function find(settings: string, ...ingresses: readonly Written[]) {
  const manifests = ingresses.map(
    ({ path, annotations = '', pathType = 'Prefix', host = 'a.test', service = 'web' }, at) => `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: i${at}, annotations: {${annotations}}}
spec: {rules: [{host: ${host}, http: {paths: [{path: "${path}", pathType: ${pathType}, backend: {service: {name: ${service}, port: {number: 80}}}}]}}]}
`,
  )
  const configuration = `---\napiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\n${settings}\n`
  const { diagnostics } = translateText(SERVICE + configuration + manifests.join(''))
  return diagnostics.filter(({ code }) => code === 'PORTICO_ROUTE_SLASH_BYPASS')
}

const LIMIT = 'portico.dev/rate-limit: 1/s'
const admin: Written = { path: '/admin', annotations: LIMIT }
const root: Written = { path: '/' }

t.test('P38 a guard of a path is got past where a shorter path is served without it', async (t) => {
  t.match(find(NEVER, admin, root), [
    {
      severity: 'warning',
      resource: 'Ingress default/i0',
      message: 'requests to "//admin" get past the guard of "/admin" on https and http: path "/" takes them',
      help: /mergeSlashes/,
    },
  ])
  t.match(find('https: {paths: {mergeSlashes: never}}', admin, root), [{ message: / on https: / }])
  t.match(find(NEVER, { ...admin, path: '/api/admin/' }, { path: '/api' }), [
    { message: /"\/api\/\/admin".*"\/api" takes/ },
  ])
  t.match(find(NEVER, { ...admin, pathType: 'Exact' }, root), [{}])
  const pattern = { path: '/admin/.*', pathType: 'ImplementationSpecific' }
  t.match(find(NEVER, { ...pattern, annotations: `${LIMIT}, portico.dev/path-type: regex` }, root), [{}])
  t.match(find(NEVER, admin, { ...root, annotations: 'portico.dev/rate-limit: 2/s' }), [{}], 'another limit')
  t.match(find(NEVER, { path: '/admin', annotations: 'portico.dev/rate-limit: much' }, root), [{}], 'a closed route')
  const rest = `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: rest}
spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}
`
  t.match(find(`${NEVER}\n${rest}`, admin), [{ message: /: the default backend takes them$/ }])
})

t.test('nothing is told where no request gets past it', async (t) => {
  const cases: Readonly<Record<string, readonly [settings: string, ...ingresses: Written[]]>> = {
    'slashes are merged for matching': ['paths: {mergeSlashes: match}', admin, root],
    'a listener that is off': ['http: {enabled: false, paths: {mergeSlashes: never}}', admin, root],
    'no other route': [NEVER, admin],
    'the same guard': [NEVER, admin, { ...root, annotations: LIMIT }],
    'a guard of /': [NEVER, { ...admin, path: '/' }],
    'a path beside it': [NEVER, admin, { path: '/shop' }],
    'another host': [NEVER, admin, { ...root, host: 'b.test' }],
    'no guard': [NEVER, { path: '/admin' }, root],
    'a Service that is not there': [NEVER, admin, { ...root, service: 'missing' }],
    'an exact path': [NEVER, admin, { ...root, pathType: 'Exact' }],
  }
  for (const [name, [settings, ...ingresses]] of Object.entries(cases)) t.same(find(settings, ...ingresses), [], name)
})
