/** Annotations of ingress-nginx as Portico's own: the model stays the same. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { printIngresses, printService, type WrittenIngress } from '../ingress/nginx/nginx-ingress.ts'
import { rewriteText } from './rewrite-text.ts'

const FIXTURES = 'test/fixtures/translate'

t.test('every fixture of translate comes to the same model', async (t) => {
  let changed = 0
  for (const name of readdirSync(FIXTURES)) {
    const text = readFileSync(join(FIXTURES, name, 'in.yaml'), 'utf8')
    t.doesNotThrow(() => {
      changed += rewriteText(text).changes.length
    }, name)
  }
  t.ok(changed > 15, `${changed} objects were written anew`)
})

function rewriteOne(nginx: WrittenIngress['nginx'], more: string = printService('web')) {
  const { text, kept, changes } = rewriteText(`${printIngresses({ a: { nginx } })}---\n${more}`)
  const [ingress = '', service = ''] = text.split('---\n')
  const written = [...ingress.matchAll(/"portico\.dev\/([\w-]+)"/g)].map(([, name]) => name)
  const ofService = [...service.matchAll(/portico\.dev\/([\w-]+): /g)].map(([, name]) => name)
  return { text, changes, written, ofService, stays: kept.map(({ annotation }) => annotation.split('/')[1]), kept }
}

t.test('an annotation goes for the options that it comes to, one that comes to nothing goes', async (t) => {
  const { written, stays, text } = rewriteOne({
    'proxy-read-timeout': '30',
    'limit-rps': '5',
    'limit-burst-multiplier': '2',
    'proxy-buffer-size': '8k',
    'ssl-redirect': 'true',
  })
  t.same(written.sort(), [
    'rate-limit',
    'rate-limit-burst',
    'rate-limit-status',
    'timeouts-response-headers',
    'timeouts-response-idle',
    'timeouts-tunnel-idle',
  ])
  t.same(stays, [])
  t.notMatch(text, 'nginx.ingress')
})

t.test('what is not done stays, and with it all that acts with it', async (t) => {
  const snippet = rewriteOne({ 'configuration-snippet': 'deny all;', 'proxy-body-size': '1m' })
  t.same([snippet.stays, snippet.written], [['configuration-snippet'], ['body-limit']])
  const closed = rewriteOne({ 'auth-type': 'digest', 'auth-secret': 'users', 'proxy-body-size': '1m' })
  t.same(closed.stays, ['auth-type', 'auth-secret'])
  t.same(closed.written, ['body-limit'])
  const lost = rewriteOne({ 'permanent-redirect': 'https://b.test', 'app-root': '/app' })
  t.same(lost.stays, ['permanent-redirect', 'app-root'], 'alone, app-root would act')
  const settings = rewriteOne({ 'proxy-send-timeout': '30', 'proxy-read-timeout': '30' })
  t.same(settings.stays, ['proxy-send-timeout'], 'no annotation says it')
  const wrong = rewriteOne({ 'proxy-body-size': '8 MB', 'proxy-read-timeout': '30' })
  t.same(wrong.stays, ['proxy-body-size'])
})

t.test('what holds for a Service stands on the Service, if it is among the files', async (t) => {
  const nginx = { affinity: 'cookie', 'session-cookie-name': 'r', 'backend-protocol': 'HTTPS', 'proxy-body-size': '1m' }
  const { ofService, written, stays } = rewriteOne(nginx)
  t.ok(['affinity-type', 'affinity-cookie-name', 'protocol'].every((name) => ofService.includes(name)))
  t.same(written, ['body-limit'])
  t.same(stays, [])
  const alone = rewriteOne(nginx, '')
  t.same(alone.stays, ['affinity', 'session-cookie-name', 'backend-protocol'])
  t.match(alone.kept[0], { reason: 'it holds for the Service "web", which is not among the files' })
})

t.test('options of a Service that does not say them for all its ports stay', async (t) => {
  const two = printService('web').replace('[{port: 80}]', '[{name: a, port: 80}, {name: b, port: 81}]')
  const { stays, kept } = rewriteOne({ affinity: 'cookie' }, two)
  t.same(stays, ['affinity'])
  t.match(kept[0], { reason: 'it holds for one port of the Service default/web alone' })
  const own = printService('web').replace(
    '{portico.dev/endpoints',
    '{portico.dev/affinity-type: none, portico.dev/endpoints',
  )
  t.match(rewriteOne({ affinity: 'cookie' }, own).kept[0], { reason: 'the Service default/web says it itself' })
})

t.test('options stay where a RoutePolicy of the Service goes before them', async (t) => {
  const policy = `apiVersion: portico.dev/v1alpha1
kind: RoutePolicy
metadata: {name: p}
spec: {targetRefs: [{kind: Service, name: web}], affinityType: none}
`
  const { kept } = rewriteOne({ affinity: 'cookie' }, `${printService('web')}---\n${policy}`)
  t.match(kept[0], { reason: /RoutePolicy default\/p would no longer go before/ })
})

t.test('Ingresses that say different things of a Service keep them, those that say the same do not', async (t) => {
  const rewrite = (one: string, other: string) =>
    rewriteText(
      `${printIngresses({ a: { nginx: { 'load-balance': one } }, b: { nginx: { 'load-balance': other } } })}---\n${printService('web')}`,
    )
  t.equal(rewrite('ewma', 'round_robin').kept.length, 2)
  t.equal(rewrite('ewma', 'ewma').kept.length, 0)
})

t.test('certificates that compatibility does not verify are not verified afterwards either', async (t) => {
  const settings = 'apiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\ncompatibility: ingress-nginx\n'
  const { text } = rewriteText(
    `${printIngresses({ a: { nginx: { 'backend-protocol': 'HTTPS' } } })}---\n${printService('web')}---\n${settings}`,
  )
  t.match(text, 'portico.dev/verify-tls: "false"')
})

t.test('a canary stays, and so does the cookie that it goes by', async (t) => {
  const { kept } = rewriteText(
    `${printIngresses({
      main: { nginx: { affinity: 'cookie', 'proxy-body-size': '1m' }, host: 'a.test' },
      canary: { nginx: { canary: 'true', 'canary-weight': '10' }, host: 'a.test', paths: [['/', 'Prefix', 'next']] },
    })}---\n${printService('web')}---\n${printService('next')}`,
  )
  t.same(kept.map(({ annotation }) => annotation.split('/')[1]).sort(), ['affinity', 'canary', 'canary-weight'])
})

t.test('an Ingress that is not served, or has errors, stays', async (t) => {
  const { changes, kept } = rewriteText(
    `${printIngresses({
      other: { nginx: { 'proxy-body-size': '1m' }, more: 'ingressClassName: other' },
      wrong: { nginx: { 'proxy-body-size': '1m' }, host: 'no host' },
    })}---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: other}
spec: {controller: example.com/other}
---
${printService('web')}`,
  )
  t.same(changes, [])
  t.same(new Set(kept.map(({ reason }) => reason)), new Set(['the Ingress is not served']))
})
