/** RoutePolicies: what targets they may have, and that no field is passed over. */
import t from 'tap'
import { decodeOne, decodeText } from './decode-text.ts'

const HEAD = 'apiVersion: portico.dev/v1alpha1\nkind: RoutePolicy\nmetadata: {name: p}\n'
const INGRESS = '{group: networking.k8s.io, kind: Ingress, name: shop}'

/** Problems of a policy whose targets, on line 4, and other fields are given. */
function check(targets: string, more: string = ''): readonly string[] {
  return decodeText(`${HEAD}spec: {targetRefs: [${targets}]}\n${more}`).printed
}

t.test('targets and options are decoded', async (t) => {
  const { targets, options, meta } = decodeOne(
    'RoutePolicy',
    `${HEAD}spec:
  targetRefs:
    - {group: networking.k8s.io, kind: Ingress, name: shop, sectionName: shop.test/api}
    - {kind: Service, name: web}
    - {group: "", kind: Service, name: api}
  rateLimit: 10/s
  redirectCode: 301
  responseHeadersSet: {X-A: b}
  maintenance:
`,
  )
  t.equal(meta.namespace, 'default')
  t.same(targets, [
    { kind: 'Ingress', name: 'shop', section: 'shop.test/api', index: 0 },
    { kind: 'Service', name: 'web', section: undefined, index: 1 },
    { kind: 'Service', name: 'api', section: undefined, index: 2 },
  ])
  t.same(options, { rateLimit: '10/s', redirectCode: 301, responseHeadersSet: { 'X-A': 'b' }, maintenance: null })
})

const cases: readonly (readonly [targets: string, problem: string])[] = [
  ['', '4:20 spec.targetRefs: Required value'],
  ['{kind: Ingress}', '4:21 spec.targetRefs[0].name: Required value'],
  ['{name: shop}', '4:21 spec.targetRefs[0].kind: Required value'],
  [
    '{kind: Gateway, name: shop}',
    '4:28 spec.targetRefs[0].kind: Unsupported value: "Gateway": supported values: "Ingress", "Service"',
  ],
  [
    '{group: apps, kind: Ingress, name: shop}',
    '4:29 spec.targetRefs[0].group: Unsupported value: "apps": supported values: "networking.k8s.io"',
  ],
  [
    '{kind: Service, name: web, sectionName: http}',
    '4:48 spec.targetRefs[0].sectionName: Forbidden: a Service has no sections here',
  ],
  [
    '{kind: Ingress, name: shop, sectionName: ""}',
    '4:62 spec.targetRefs[0].sectionName: Invalid value: "": must not be empty',
  ],
  ['{kind: Ingress, name: shop, namespace: other}', '4:49 unknown field "spec.targetRefs[0].namespace"'],
  ['{kind: Ingress, name: shop, sectoinName: a.test}', '4:49 unknown field "spec.targetRefs[0].sectoinName"'],
  [`${INGRESS}, ${INGRESS}`, '4:76 spec.targetRefs[1]: Duplicate value: "shop"'],
]
for (const [targets, problem] of cases) {
  t.test(`refused: ${targets || 'no target'}`, async (t) => t.same(check(targets), [problem]))
}

t.test('a host of a section is a name or a wildcard, and "*" stands for rules without a host', async (t) => {
  const section = (name: string) => check(`{kind: Ingress, name: shop, sectionName: "${name}"}`)
  for (const name of ['*', '/api', '*/api', 'a.test', 'a.test/', '*.a.test/b']) t.same(section(name), [], name)
  for (const name of ['A.test', 'a.test:80/b', 'http://a.test', '*a.test']) t.equal(section(name).length, 1, name)
})

t.test('a field beside spec is an error, and counts among the options', async (t) => {
  const { refused, printed } = decodeText(`${HEAD}spec: {targetRefs: [${INGRESS}]}\nrateLimit: 1/s\nstatus: {any: 1}\n`)
  t.same(printed, ['5:1 unknown field "rateLimit"'])
  t.match(refused, [{ kind: 'RoutePolicy', options: { rateLimit: '1/s' } }])
})

t.test('of a target that is refused for its form, what it means is kept', async (t) => {
  const targets = (spec: string) => {
    const { refused, printed } = decodeText(`${HEAD}spec: {${spec}, rateLimit: 1/s}\n`)
    return [printed.length, refused.flatMap((one) => (one.kind === 'RoutePolicy' ? one.targets : []))]
  }
  const shop = [{ kind: 'Ingress', name: 'shop', section: undefined, index: 0 }]
  t.same(targets('targetRef: {kind: Ingress, name: shop}'), [1, shop])
  t.same(targets('targetRefs: [{kind: ingress, name: shop}]'), [1, shop])
})

t.test('an object with thousands of fields is refused', async (t) => {
  const fields = Array.from({ length: 2000 }, (_, at) => `f${at}: 1`).join(', ')
  const { printed, refused } = decodeText(`${HEAD}spec: {targetRefs: [${INGRESS}], ${fields}}\n`)
  t.same(printed, ['4:1 spec: Too many: 2000: must have at most 1000 items'])
  t.match(refused, [{ kind: 'RoutePolicy' }])
})

t.test('more than 16 targets are refused', async (t) => {
  const targets = Array.from({ length: 17 }, (_, at) => `{kind: Service, name: s${at}}`)
  t.same(check(targets.slice(1).join(', ')), [])
  t.match(check(targets.join(', ')), [/Too many: 17: must have at most 16 items/])
})

t.test('a misspelt kind or version is an error with the right one', async (t) => {
  const help = (apiVersion: string, kind: string) =>
    decodeText(`apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: p}\n`).diagnostics.map(
      ({ severity, help }) => `${severity}: ${help}`,
    )
  t.same(help('portico.dev/v1', 'RoutePolicy'), ['error: write apiVersion: portico.dev/v1alpha1'])
  t.same(help('portico.dev/v1alpha1', 'RoutePolcy'), ['error: did you mean "RoutePolicy"?'])
  t.same(help('portico.dev/v1alpha1', 'Wrong'), ['error: the kinds are GatewayConfiguration, RoutePolicy, RouteTest'])
  t.same(help('portico.deb/v1alpha1', 'RoutePolicy'), ['error: did you mean "portico.dev/v1alpha1"?'])
  t.match(help('alb.networking.azure.io/v1', 'RoutePolicy'), [/^warning/], 'the kind of another controller')
})
