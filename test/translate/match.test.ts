/** Conditions that are read, and hardly meant as they are written. */
import t from 'tap'
import { findIngressTable } from '../../lib/model/route-table.ts'
import { translateText } from './manifests.ts'

function translate(annotations: string, pathType: string = 'Prefix', more: string = '') {
  const text = `apiVersion: v1
kind: Service
metadata: {name: web, annotations: {portico.dev/endpoints: "127.0.0.1:1"}}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: a, annotations: {${annotations}}}
spec: {rules: [{host: a.test, http: {paths: [{path: /a, pathType: ${pathType}, backend: {service: {name: web, port: {number: 80}}}}]}}]}
`
  const { model, diagnostics } = translateText(text + more)
  const [route] = findIngressTable(model).hosts[0]?.routes ?? []
  const told = diagnostics.map(({ code, severity, message, help }) => ({ code, severity, message, help }))
  return { conditions: route?.match.conditions, action: route?.action.type, told }
}

t.test('path-type: regex is told where no path can be a regular expression', async (t) => {
  t.match(translate('portico.dev/path-type: regex').told, [
    { code: 'PORTICO_ANN_VALUE', severity: 'warning', message: /no path of this Ingress has pathType Implementation/ },
  ])
  t.same(translate('portico.dev/path-type: regex', 'ImplementationSpecific').told, [])
})

t.test('a list or a pattern in the place of methods closes the routes; an unusual method is told', async (t) => {
  for (const methods of ['GET|POST', '"*"', '"GET, P*"', '"GET;POST"']) {
    const { action, told } = translate(`portico.dev/match-methods: ${methods}`)
    t.equal(action, 'unavailable', methods)
    t.match(told, [{ code: 'PORTICO_ANN_VALUE', severity: 'error', message: /is no method/ }], methods)
  }
  const { action, conditions, told } = translate('portico.dev/match-methods: "gett, POST"')
  t.match({ action, conditions }, { action: 'forward', conditions: { methods: ['GETT', 'POST'] } })
  t.match(told, [{ severity: 'warning', message: /"GETT" is no usual method/, help: 'did you mean "GET"?' }])
  t.same(translate('portico.dev/match-methods: "get, PROPFIND"').told, [])
})

t.test('equal ranges are the same condition, however they are written', async (t) => {
  const written =
    '10.0.0.1/8, 10.9.9.9/8, 10.0.0.7, 10.0.0.7/32, "::ffff:10.0.0.7", FD00::/8, "fd00:0:0::/8"'.replaceAll('"', '')
  const { conditions, told } = translate(`portico.dev/match-client-addresses: "${written}"`)
  t.same(conditions, { clientAddresses: ['10.0.0.0/8', '10.0.0.7', 'fd00::/8'] })
  t.match(told[0], {
    severity: 'warning',
    message: 'portico.dev/match-client-addresses: "10.0.0.1/8" means all of 10.0.0.0/8',
    help: 'write 10.0.0.0/8, or the address alone',
  })
  const other = `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: b, annotations: {portico.dev/match-client-addresses: 10.0.0.0/8}}
spec: {rules: [{host: a.test, http: {paths: [{path: /a, pathType: Prefix, backend: {service: {name: none, port: {number: 80}}}}]}}]}
`
  const codes = translate('portico.dev/match-client-addresses: 10.0.0.1/8', 'Prefix', other).told.map(
    ({ code }) => code,
  )
  t.ok(codes.includes('PORTICO_ROUTE_CONFLICT'), codes.join(' '))
})
