/** A condition on clients' addresses that changes nothing is told, and no other is. */
import t from 'tap'
import { translateText } from './manifests.ts'

type Written = Readonly<{ path: string; annotations?: string; service?: string; pathType?: string }>

const SERVICES = ['web', 'other']
  .map(
    (name) =>
      `---\napiVersion: v1\nkind: Service\nmetadata: {name: ${name}, annotations: {portico.dev/endpoints: "127.0.0.1:1"}}\nspec: {ports: [{port: 80}]}\n`,
  )
  .join('')

function find(...ingresses: readonly Written[]) {
  const manifests = ingresses.map(
    ({ path, annotations = '', service = 'web', pathType = 'Prefix' }, at) => `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: i${at}, annotations: {${annotations}}}
spec: {rules: [{host: a.test, http: {paths: [{path: ${path}, pathType: ${pathType}, backend: {service: {name: ${service}, port: {number: 80}}}}]}}]}
`,
  )
  const { diagnostics } = translateText(SERVICES + manifests.join(''))
  return diagnostics.filter(({ code }) => code === 'PORTICO_ROUTE_ADDRESS_FALLS_THROUGH')
}

const OFFICE = 'portico.dev/match-client-addresses: 10.0.0.0/8'

t.test('other clients get to the same Service by the next route', async (t) => {
  const admin = { path: '/admin', annotations: OFFICE }
  const [found, ...more] = find(admin, { path: '/' })
  t.same(more, [])
  t.match(found, {
    severity: 'warning',
    resource: 'Ingress default/i0',
    message:
      'match-client-addresses keeps nobody away from "/admin": path "/" of Ingress default/i1 serves all other clients the same',
    help: /portico\.dev\/allow-source-range/,
  })
  t.match(find(admin, { path: '/admin' }), [{ severity: 'warning' }], 'the same path')
  t.match(find(admin, { path: '/admin', pathType: 'Exact' }), [{ severity: 'warning' }])
  const both = { path: '/admin', annotations: `${OFFICE}, portico.dev/match-methods: GET` }
  t.match(find(both, { path: '/', annotations: 'portico.dev/match-methods: GET' }), [{ severity: 'warning' }])
})

t.test('nothing is told where the condition changes something, or where that is not certain', async (t) => {
  const admin = { path: '/admin', annotations: OFFICE }
  const cases: Readonly<Record<string, readonly Written[]>> = {
    'no other route': [admin],
    'another path': [admin, { path: '/admin2' }],
    'another Service': [admin, { path: '/', service: 'other' }],
    'a refusal before it': [admin, { path: '/admin', annotations: 'portico.dev/respond-status: "403"' }, { path: '/' }],
    'a limit for the others': [admin, { path: '/', annotations: 'portico.dev/rate-limit: 1/s' }],
    'a setting for the others': [admin, { path: '/', annotations: 'portico.dev/tries: "3"' }],
    'conditions for the others': [admin, { path: '/', annotations: 'portico.dev/match-headers: X-Key' }],
    'addresses for the others': [admin, { path: '/', annotations: 'portico.dev/match-client-addresses: fd00::/8' }],
    'all addresses': [{ path: '/', annotations: 'portico.dev/match-client-addresses: 0.0.0.0/0' }, { path: '/' }],
    'a closed route': [{ path: '/admin', annotations: 'portico.dev/match-client-addresses: x' }, { path: '/' }],
    'a filter that depends on the path': [
      { path: '/admin', annotations: `${OFFICE}, portico.dev/rewrite-prefix: /x` },
      { path: '/', annotations: 'portico.dev/rewrite-prefix: /x' },
    ],
  }
  for (const [name, ingresses] of Object.entries(cases)) t.same(find(...ingresses), [], name)
})
