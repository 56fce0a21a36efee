/** What is said of annotations that cannot be used: where it stands, and what to write. */
import t from 'tap'
import { translateText } from './manifests.ts'

type Annotations = Readonly<Record<string, string | number | boolean>>

/** All that is said of an Ingress with these annotations; `at` are the words at the position. */
function check(annotations: Annotations, path = '/', pathType = 'Prefix') {
  const lines = Object.entries(annotations).map(([name, value]) => `    portico.dev/${name}: ${JSON.stringify(value)}`)
  const text = `apiVersion: v1
kind: Service
metadata: {name: web, annotations: {portico.dev/endpoints: "127.0.0.1:3000"}}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
${lines.join('\n')}
spec: {rules: [{http: {paths: [{path: "${path}", pathType: ${pathType}, backend: {service: {name: web, port: {number: 80}}}}]}}]}
`
  return translateText(text).diagnostics.map(({ code, message, help, position }) => ({
    code,
    message,
    help: help ?? '',
    at: text.split('\n')[(position?.line ?? 1) - 1] ?? '',
  }))
}

const REGEX = { 'rewrite-regex': '^/a/(.*)$' }
const faults: readonly (readonly [annotations: Annotations, at: string, message: string, help: string])[] = [
  [{ ...REGEX, 'rewrite-replacement': '/$2' }, 'rewrite-replacement', '$2 names no group', 'put parentheses around'],
  [{ 'rewrite-regex': '(', 'rewrite-replacement': '/$2' }, 'rewrite-regex', 'missing closing', 'an expression of RE2'],
  [
    { 'match-headers': 'X-Env: ~(?!dev)' },
    'match-headers',
    'X-Env: it has "(?!", and RE2 has no look-around',
    'one condition',
  ],
  [{ 'match-headers': '!X-Env: staging' }, 'match-headers', '"!X-Env" says that there is none, and takes no value', ''],
  [{ 'match-cookies': '!Beta: 1' }, 'match-cookies', '"!Beta" says that there is none, and takes no value', ''],
  [{ 'match-query': '!beta: 1' }, 'match-query', '"!beta" says that there is none, and takes no value', ''],
  [{ 'match-headers': 'X Env: a' }, 'match-headers', '"X Env" is no name of a field', ''],
  [{ split: 'web=90, default/web-next=10' }, 'split', '"default/web-next"', 'leave the namespace out'],
  [{ split: 'Web=90' }, 'split', '"Web" is no name of a Service', 'write web;'],
  [{ 'split-cookie': 'version' }, 'split-cookie', 'nothing without split', 'add portico.dev/split'],
  [{ split: 'web=1', 'split-cookie': 'a b' }, 'split-cookie', '"a b" is no name of a cookie', 'no client is kept'],
  [{ split: 'web=1', 'split-cookie': '' }, 'split-cookie', '"" is no name of a cookie', 'no client is kept'],
  [{ mirror: 'web', 'mirror-share': '10' }, 'mirror-share', '"10" is no part of the requests', 'as in "10%"'],
  [
    { 'maintenance-message': 'hello' },
    'maintenance-message',
    'nothing without maintenance',
    'add portico.dev/maintenance',
  ],
  [{ 'compress-min-size': '1Ki' }, 'compress-min-size', 'nothing without compress', 'add portico.dev/compress'],
  [{ 'decompress-limit': '1Ki' }, 'decompress-limit', 'nothing without decompress', 'add portico.dev/decompress'],
  [{ 'rate-limit-burst': '5' }, 'rate-limit-burst', 'nothing without rate-limit', 'answer 503'],
  [{ 'auth-timeout': '5s' }, 'auth-timeout', 'nothing without auth-url', 'answer 503'],
  [
    { 'auth-url': 'http://a.test/?h=$host' },
    'auth-url',
    `nothing takes the place of $host; write \${request.host}`,
    'other variables stand behind it; until',
  ],
  [
    { 'response-headers-set': 'Content-Length: 1' },
    'response-headers-set',
    'Content-Length is written',
    'leave it out; until',
  ],
  [
    { 'request-headers-set': 'Content-Length: 1' },
    'request-headers-set',
    'Content-Length is written',
    'leave it out; until',
  ],
  [{ 'request-headers-set': 'Host: a' }, 'request-headers-set', 'Host is written', 'rewrite-host changes the host'],
  [
    { 'request-headers-set': 'X-Client: $remote_addr' },
    'request-headers-set',
    'nothing takes the place of $remote_addr; write $',
    '',
  ],
  [
    { 'request-headers-add': 'X-Forwarded-For: 1.2.3.4' },
    'request-headers-add',
    'X-Forwarded-For is there',
    'request-headers-set',
  ],
  [
    { 'request-headers-add': 'X_Forwarded_For: 1.2.3.4' },
    'request-headers-add',
    'X_Forwarded_For is there',
    'request-headers-set',
  ],
]

for (const [annotations, at, message, help] of faults) {
  t.test(JSON.stringify(annotations), async (t) => {
    const found = check(annotations)
    t.equal(found.length, 1, 'one thing is said')
    t.equal(found[0]?.code, 'PORTICO_ANN_VALUE')
    t.ok(found[0]?.at.startsWith(`    portico.dev/${at}:`), String(found[0]?.at))
    t.ok(found[0]?.message.includes(message), String(found[0]?.message))
    t.ok(found[0]?.help.includes(help), String(found[0]?.help))
    t.notMatch(found[0]?.help, found[0]?.at.includes('Content-Length') ? /rewrite-host/ : /^$/)
  })
}

t.test('nothing is said of what can be used', async (t) => {
  for (const annotations of [
    { split: 'web=90,' },
    { split: ', web=90' },
    { maintenance: 'false', 'maintenance-message': 'hello' },
    { compress: 'false', 'compress-min-size': '1Ki' },
    { decompress: 'false', 'decompress-limit': '1Ki' },
    { 'request-headers-set': 'X-Price: $5, X-Forwarded-Proto: $x' },
    { 'request-headers-set': 'X-Forwarded-Proto: https' },
    { 'match-headers': '!X-Env' },
  ]) {
    t.same(check(annotations), [], JSON.stringify(annotations))
  }
})

t.test('names of other controllers lead to the annotation of the task', async (t) => {
  const names = {
    'strip-prefix': 'rewrite-prefix',
    'strip-path': 'rewrite-prefix',
    'from-to-www-redirect': 'redirect-www',
    'max-body-size': 'body-limit',
    'enable-cors': 'cors-allow-origins',
    'custom-http-errors': 'error-pages',
    'canary-weight': 'split',
  }
  for (const [name, own] of Object.entries(names)) {
    t.match(
      check({ [name]: 'true' }),
      [{ code: 'PORTICO_ANN_UNKNOWN', help: `did you mean "portico.dev/${own}"?` }],
      name,
    )
  }
})

t.test('a value without quotes that is wrong with quotes too says both', async (t) => {
  const told = (annotations: Annotations) => check(annotations).map(({ code, help }) => `${code}: ${help}`)
  const rate = told({ 'rate-limit': 10 })
  t.equal(rate.length, 2)
  t.ok(
    rate.some((each) => each.startsWith('PORTICO_RES_FIELD_TYPE: quote it')),
    rate.join('\n'),
  )
  t.ok(
    rate.some((each) => each.startsWith('PORTICO_ANN_VALUE: write requests a second')),
    rate.join('\n'),
  )
  t.equal(told({ 'redirect-port': 8443 }).length, 1, 'this one is right with quotes')
})

t.test('a regular expression as a path begins with a slash', async (t) => {
  const [found] = check({ 'path-type': 'regex' }, '^/caret', 'ImplementationSpecific')
  t.equal(found?.help, 'leave the "^" out: every path is matched from its beginning')
})

t.test('a setting of a route says what holds meanwhile, and one of the whole gateway where it belongs', async (t) => {
  for (const annotations of [{ 'body-limit': '50MB' }, { 'request-buffering': 'on' }])
    t.match(check(annotations), [{ help: /^write .*; until then it counts as not written$/ }])
  const setting = 'it is a setting of the whole gateway: paths.encodedSlash, or --paths-encoded-slash'
  t.match(check({ 'encoded-slash': 'reject' }), [{ code: 'PORTICO_ANN_UNKNOWN', help: setting }])
  const { diagnostics } = translateText(`apiVersion: portico.dev/v1alpha1
kind: RoutePolicy
metadata: {name: web}
spec: {targetRefs: [], encodedSlash: reject}
`)
  t.match(
    diagnostics.find(({ message }) => message.includes('encodedSlash')),
    { help: setting },
  )
})

t.test('the line of a name that may have been meant for a secret is not shown', async (t) => {
  const ingress = `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
    portico.dev/basic-auth-secrt: alice:hush
    portico.dev/auth-ulr: http://a.test/?key=hush
    portico.dev/rate-limt: 10/s
basicAuthSecret: alice:hush
spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}
---
apiVersion: portico.dev/v1alpha1
kind: RoutePolicy
metadata: {name: p}
authUrll: http://a.test/?key=hush
spec:
  targetRefs: [{kind: Ingress, name: web}]
  basicAuthSecrt: alice:hush
`
  const { diagnostics } = translateText(ingress)
  const unknown = diagnostics.filter(
    ({ code }) => code === 'PORTICO_ANN_UNKNOWN' || code === 'PORTICO_RES_FIELD_UNKNOWN',
  )
  t.equal(unknown.length, 6)
  t.notMatch(JSON.stringify(diagnostics), 'hush')
  const shown = unknown.map(({ position }) => position?.excerpt)
  t.ok(shown.includes('    portico.dev/basic-auth-secrt: ‹hidden›'))
  t.ok(shown.includes('    portico.dev/rate-limt: 10/s'), 'other lines are')
})
