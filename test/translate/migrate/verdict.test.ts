/** What becomes of each annotation of ingress-nginx. */
import t from 'tap'
import { NGINX_FEATURES } from '../../../lib/translate/ingress/nginx/features.ts'
import { IDLE, REFUSED } from '../../../lib/translate/ingress/nginx/without-effect.ts'
import { printIngresses, printService } from '../ingress/nginx/nginx-ingress.ts'
import { judgeOne, planText } from './plan-text.ts'

t.test('an annotation is as the table of all annotations says, and names the options that do it', async (t) => {
  const judged = await judgeOne({
    'proxy-body-size': '8m',
    'enable-cors': 'true',
    'limit-rps': '10',
    'limit-burst-multiplier': '3',
  })
  t.match(judged, {
    'proxy-body-size': { support: 'exact', options: ['portico.dev/body-limit'], reasons: [], isClosing: false },
    'enable-cors': { support: 'differs', reasons: [{ message: /^OPTIONS is answered only where it is a preflight/ }] },
    'limit-rps': { support: 'differs' },
    'limit-burst-multiplier': { support: 'exact', options: ['portico.dev/rate-limit-burst'] },
  })
  const named = NGINX_FEATURES.flatMap(({ annotations }) => Object.entries(annotations))
  t.ok(named.length > 80)
  for (const [name, { differs }] of named) {
    // An empty value counts as not written, there and here.
    const { support, isClosing, reasons } = (await judgeOne({ [name]: '' }))[name]!
    t.same([support, isClosing], [differs === undefined ? 'exact' : 'differs', false], name)
    t.notMatch(reasons[0]?.message, '](', name)
  }
})

t.test('an annotation is exact where its value acts as in ingress-nginx', async (t) => {
  const cases: Readonly<Record<string, readonly [alike: string, different: string]>> = {
    'affinity-mode': ['persistent', 'balanced'],
    'cors-max-age': ['600', '1728000'],
    'enable-cors': ['false', 'true'],
    'force-ssl-redirect': ['false', 'true'],
    'from-to-www-redirect': ['false', 'true'],
    'proxy-cookie-path': ['/a /b', '~^/a /b'],
    'proxy-next-upstream': ['error http_502', 'error timeout'],
    'proxy-next-upstream-tries': ['3', '0'],
    'proxy-redirect-from': ['off', 'default'],
    'session-cookie-max-age': ['172800', '0'],
    'session-cookie-samesite': ['Lax', 'None'],
    'ssl-redirect': ['false', 'true'],
    'upstream-vhost': ['shop.internal', '$service_name.svc'],
    'use-regex': ['false', 'true'],
  }
  for (const [name, [alike, different]] of Object.entries(cases)) {
    t.match((await judgeOne({ [name]: alike }))[name], { support: 'exact', reasons: [] }, alike)
    t.not((await judgeOne({ [name]: different }))[name]?.support, 'exact', `${name}: ${different}`)
  }
  for (const name of ['auth-realm', 'proxy-ssl-verify', 'session-cookie-path', 'session-cookie-change-on-failure']) {
    const value = { 'proxy-ssl-verify': 'on', 'session-cookie-path': '/a' }[name] ?? 'true'
    t.match((await judgeOne({ [name]: value }))[name], { support: 'exact' }, name)
  }
})

t.test('what nobody would notice is exact, with the reason', async (t) => {
  const judged = await judgeOne(Object.fromEntries(Object.keys(IDLE).map((name) => [name, '1'])))
  for (const [name, message] of Object.entries(IDLE)) {
    t.match(judged[name], { support: 'exact', reasons: [{ message }], options: [] }, name)
  }
})

t.test('what is not done is refused, with the reason', async (t) => {
  for (const [name, why] of Object.entries(REFUSED)) {
    const { [name]: one } = await judgeOne({ [name]: /snippet/.test(name) ? 'deny all;' : 'true' })
    t.match(one, { support: 'refused', reasons: [{ message: `it is not done: ${why}` }] }, name)
  }
})

t.test('a switch that is off is exact', async (t) => {
  for (const name of ['enable-modsecurity', 'enable-owasp-core-rules']) {
    const { [name]: one } = await judgeOne({ [name]: 'false' })
    t.match(one, { support: 'exact', reasons: [{ message: 'it is off' }], isClosing: false }, name)
  }
})

t.test('a guard that is not done closes the routes, and its details are refused with it', async (t) => {
  const judged = await judgeOne({ 'auth-tls-secret': 'default/ca', 'auth-tls-verify-depth': '1' })
  t.match(judged, {
    'auth-tls-secret': { support: 'refused', isClosing: true },
    'auth-tls-verify-depth': { support: 'refused' },
  })
  const served = await judgeOne({ 'auth-tls-secret': 'default/ca' }, { unsupportedGuards: 'serve' })
  t.match(served['auth-tls-secret'], { support: 'refused', isClosing: false })
})

t.test('a snippet that refuses nothing is refused, and closes nothing', async (t) => {
  const { 'configuration-snippet': one } = await judgeOne({ 'configuration-snippet': 'proxy_buffer_size 8k;' })
  t.match(one, { support: 'refused', isClosing: false })
})

t.test('a wrong value that counts as not written in ingress-nginx too is exact, with the reason', async (t) => {
  const { 'proxy-body-size': one } = await judgeOne({ 'proxy-body-size': '8 MB' })
  t.match(one, { support: 'exact', reasons: [{ message: '"8 MB" is no size', help: /as in ingress-nginx$/ }] })
})

t.test('a wrong value of a guard is refused', async (t) => {
  const judged = await judgeOne({ 'whitelist-source-range': 'nobody', 'limit-rps': 'many' })
  t.match(judged, {
    'whitelist-source-range': { support: 'refused', isClosing: true },
    'limit-rps': { support: 'refused', isClosing: true },
  })
})

t.test('a value of which nothing can be done is refused, one of which a part is done differs', async (t) => {
  const judged = await judgeOne({
    'backend-protocol': 'GRPC',
    'upstream-hash-by': '$geoip_city',
    'server-alias': 'b.test, ~^c',
  })
  t.match(judged, {
    'backend-protocol': { support: 'refused', isClosing: false },
    'upstream-hash-by': { support: 'refused' },
    'server-alias': { support: 'differs', options: ['portico.dev/host-aliases'] },
  })
})

t.test(
  'an object that an annotation names, and that is missing, is told where there are objects of its kind',
  async (t) => {
    const nginx = { 'auth-type': 'basic', 'auth-secret': 'users' }
    const { 'auth-secret': one } = await judgeOne(nginx)
    t.match(one, { support: 'refused', isClosing: true, reasons: [{ message: /"users" not found/ }] })
    const { objects, isIngressAlone } = await planText(`apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: a
  annotations: {nginx.ingress.kubernetes.io/auth-type: basic, nginx.ingress.kubernetes.io/auth-secret: users}
spec:
  tls: [{hosts: [a.test], secretName: missing}]
  defaultBackend: {service: {name: web, port: {number: 80}}}
`)
    t.ok(isIngressAlone)
    t.match(objects, [{ annotations: [{ support: 'differs' }, { support: 'differs' }], problems: [] }])
  },
)

t.test("an annotation of Portico's own beside it is told", async (t) => {
  const { 'proxy-body-size': one } = await judgeOne({ 'proxy-body-size': '8m', 'portico.dev/body-limit': '1Mi' })
  t.match(one, {
    support: 'differs',
    reasons: [{ message: 'it does nothing: portico.dev/body-limit stands beside it' }],
  })
})

t.test('a misspelt name is told, and a misspelt guard is refused', async (t) => {
  const judged = await judgeOne({ 'proxy-body-sise': '8m', 'whitelist-source-rang': '10.0.0.0/8' })
  t.match(judged, {
    'proxy-body-sise': { support: 'exact', reasons: [{ message: /does not know it/ }, { message: /did you mean/ }] },
    'whitelist-source-rang': { support: 'refused', isClosing: true },
  })
})

t.test('CA6 what a canary says beside is ignored, as in ingress-nginx', async (t) => {
  const { objects } = await planText(
    `${printIngresses({
      main: { nginx: {}, host: 'a.test' },
      next: { nginx: { canary: 'true', 'canary-weight': '10', 'enable-cors': 'true' }, host: 'a.test' },
    })}---\n${printService('web')}`,
  )
  const verdicts = objects[1]!.annotations.map(({ annotation, support }) => [annotation.split('/')[1], support])
  t.same(verdicts, [
    ['canary', 'differs'],
    ['canary-weight', 'exact'],
    ['enable-cors', 'exact'],
  ])
})

t.test('CA1 a canary without another Ingress is told', async (t) => {
  const text = printIngresses({ next: { nginx: { canary: 'true', 'canary-weight': '10' } } })
  const { objects, total } = await planText(`${text}---\n${printService('web')}`)
  t.match(objects, [{ problems: [{ code: 'PORTICO_ANN_CANARY' }] }])
  t.equal(total.warnings, 1)
})
