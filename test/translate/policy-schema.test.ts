/** config/route-policy.schema.json: editors refuse what the gateway refuses in a RoutePolicy, as far as a schema can say, and nothing else. */
import { readFileSync, writeFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import t from 'tap'
import { parseAllDocuments } from 'yaml'
import { findOptionName, listOptions } from '../../lib/translate/route-policy/option.ts'
import { createRoutePolicySchema } from '../../lib/translate/route-policy/policy-schema.ts'
import { translateText } from './manifests.ts'

const FILE = 'config/route-policy.schema.json'

const validate = new Ajv2020({ strict: false }).compile(createRoutePolicySchema())

const printPolicy = (options: object, kind: string = 'Service') => ({
  apiVersion: 'portico.dev/v1alpha1',
  kind: 'RoutePolicy',
  metadata: { name: 'p' },
  spec: { targetRefs: [{ kind, name: 'web' }], ...options },
})

/** True if the gateway takes the policy of a Service, or an Ingress, that is there. */
function isTaken(policy: object): boolean {
  const services = ['web', 'next'].map(
    (name) =>
      `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, annotations: {portico.dev/endpoints: "127.0.0.1:1"}}\nspec: {ports: [{port: 80}]}\n`,
  )
  const ingress =
    'apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web}\nspec: {rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}\n'
  const pages = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: pages}\ndata: {a.html: x}\n'
  const { diagnostics } = translateText([...services, ingress, pages, JSON.stringify(policy)].join('---\n'))
  return diagnostics.length === 0
}

t.test(`${FILE} is the schema of the options that there are`, async (t) => {
  const expected = `${JSON.stringify(createRoutePolicySchema(), undefined, 2)}\n`
  if (process.env.UPDATE === '1') writeFileSync(FILE, expected)
  t.equal(readFileSync(FILE, 'utf8'), expected, 'UPDATE=1 writes it anew')
})

t.test('the policies of the example and of the documentation pass', async (t) => {
  const [, documented = ''] = /^```yaml\n([\s\S]*?)^```/m.exec(readFileSync('docs/route-policies.md', 'utf8')) ?? []
  const texts = [readFileSync('examples/route-policies/policies.yaml', 'utf8'), documented]
  let count = 0
  for (const value of texts.flatMap((text) => parseAllDocuments(text).map((document) => document.toJS()))) {
    if (value.kind === 'RoutePolicy') count++
    t.ok(validate(value), JSON.stringify(validate.errors))
  }
  t.equal(count, 6)
})

const good: readonly object[] = [
  { maintenance: true },
  { maintenance: 'true', maintenanceMessage: 'Later.' },
  { rateLimit: '10/s', rateLimitBurst: 20 },
  { redirectCode: 301, redirectHost: 'x.test', redirectPort: 8080 },
  { redirectCode: '301', redirectHost: 'x.test' },
  { compress: ['br', 'gzip'], compressMinSize: '1Ki' },
  { compress: false },
  { requestHeadersSet: { 'X-A': 'b', 'X-C': 1, Link: ['a', 'b'] }, requestHeadersRemove: ['X-D'] },
  { requestHeadersSet: 'X-A: b\nX-C: d', requestHeadersRemove: 'X-D, X-E' },
  { responseHeadersAdd: ['Link: a', 'Link: b'] },
  { respondStatus: 403, respondBody: 12, respondHeaders: { 'Cache-Control': 'no-store' } },
  { respondBodyFrom: 'pages/a.html' },
  { maintenance: null },
]
const bad: readonly object[] = [
  { maintenance: 'yes' },
  { maintenance: [true] },
  { rateLimit: 10 },
  { rateLimit: ['10/s'] },
  { rateLimti: '10/s' },
  { 'rate-limit': '10/s' },
  { redirectCode: 200, redirectHost: 'x.test' },
  { redirectPath: { a: 1 } },
  { respondBody: ['a'] },
  { compress: { br: true } },
  { priority: [5] },
  { split: 'web' },
  { timeoutsRequest: ['5s'] },
  { rateLimit: null },
]
/** Of an Ingress. */
const goodOfRoutes: readonly object[] = [
  { priority: 5 },
  { matchMethods: 'GET' },
  { matchHeaders: { 'X-A': 'b', 'X-C': null, 'X-D': 1 } },
  { matchHeaders: ['X-A: b', { 'X-C': null }] },
  { split: { web: 90, next: 10 }, tries: 2, timeoutsRequest: '5s' },
]

t.test('what the gateway takes passes, and what it refuses does not', async (t) => {
  for (const options of good) {
    t.ok(validate(printPolicy(options)), `${JSON.stringify(options)}: ${JSON.stringify(validate.errors)}`)
    t.ok(isTaken(printPolicy(options)), JSON.stringify(options))
  }
  for (const options of goodOfRoutes) {
    const policy = printPolicy(options, 'Ingress')
    t.ok(validate(policy), `${JSON.stringify(options)}: ${JSON.stringify(validate.errors)}`)
    t.ok(isTaken(policy), JSON.stringify(options))
  }
  for (const options of bad) {
    t.notOk(validate(printPolicy(options)), JSON.stringify(options))
    t.notOk(isTaken(printPolicy(options)), JSON.stringify(options))
  }
})

t.test('targets are checked, and other kinds pass', async (t) => {
  const isValid = (targetRefs: unknown) => validate({ ...printPolicy({}), spec: { targetRefs } })
  t.ok(isValid([{ group: 'networking.k8s.io', kind: 'Ingress', name: 'shop', sectionName: 'a.test/b' }]))
  t.notOk(isValid([]))
  t.notOk(isValid([{ kind: 'Gateway', name: 'x' }]))
  t.notOk(isValid([{ kind: 'Ingress' }]))
  t.notOk(isValid([{ kind: 'Ingress', name: 'x', namespace: 'y' }]))
  t.notOk(validate({ ...printPolicy({}), rateLimit: '1/s' }), 'an option beside spec')
  t.ok(validate({ kind: 'Ingress', spec: { anything: 1 } }))
})

t.test('what the schema refuses of an option is refused by the gateway too', async (t) => {
  const values = [
    true,
    1,
    301,
    1.5,
    '',
    'x',
    '10/s',
    '/a',
    'a.test',
    ['a'],
    ['a', 'b'],
    [],
    { a: 'b' },
    { a: ['b'] },
    [{}],
  ]
  let refused = 0
  for (const option of listOptions('RoutePolicy').keys()) {
    for (const value of values) {
      const policy = printPolicy({ [option]: value })
      if (validate(policy)) continue
      refused++
      t.notOk(isTaken(policy), `${option}: ${JSON.stringify(value)}`)
    }
  }
  t.ok(refused > 100, `${refused} refused`)
  t.ok(listOptions('RoutePolicy').has(findOptionName('rate-limit')))
})
