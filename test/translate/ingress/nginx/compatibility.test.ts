/** The setting compatibility: defaults of ingress-nginx, its IngressClasses, and endpoints whose certificates nobody verifies. */
import t from 'tap'
import { DiagnosticList } from '../../../../lib/base/diagnostics.ts'
import type { Controller } from '../../../../lib/settings/compatibility.ts'
import { resolveSettings } from '../../../../lib/settings/resolve.ts'
import { runPortico } from '../../../bin/process.ts'
import { translateText } from '../../manifests.ts'
import { printIngresses, printService } from './nginx-ingress.ts'

const CLASS = `apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx}
spec: {controller: k8s.io/ingress-nginx}
`
const STAND_IN: Controller = { isServed: () => true, readFlags: () => undefined, readConfig: () => undefined }

const resolve = (flags: Readonly<Record<string, unknown>>, isDropIn = false) =>
  resolveSettings({ environment: {}, flags, controller: isDropIn ? STAND_IN : undefined }, new DiagnosticList())

const settingsText = (more: string): string =>
  `apiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\n${more}\n---\n`

t.test('settings that are not written have the defaults of ingress-nginx, and written ones stay', async (t) => {
  const { settings, provenance } = resolve({ compatibility: 'ingress-nginx', 'upstream.tries': '2' })
  t.equal(settings.limits.bodyBytes, 1024 ** 2)
  t.equal(settings.timeouts.responseIdle, 60_000)
  t.equal(settings.upstream.requestBuffering, 'all')
  t.match(settings.routes, { hsts: 'max-age=31536000; includeSubDomains' })
  t.equal(settings.upstream.tries, 2)
  t.equal(provenance.get('upstream.tries'), 'flag')
  t.equal(provenance.get('limits.bodyBytes'), 'compatibility')
  for (const { settings: own } of [resolve({}), resolve({ compatibility: 'off' }, true)]) {
    t.equal(own.limits.bodyBytes, 0)
    t.equal(own.upstream.tries, 2)
  }
  const auto = resolve({}, true).settings
  t.equal(auto.compatibility, 'ingress-nginx')
  t.equal(auto.limits.bodyBytes, 1024 ** 2)
})

t.test('auto is on where ingressClasses names a class of ingress-nginx', async (t) => {
  const stdin = `${CLASS}---\n${printIngresses({ a: { nginx: {}, more: 'ingressClassName: nginx' } })}---\n${printService('web')}`
  const show = async (...words: readonly string[]) => {
    const { stdout } = await runPortico(['get', 'settings', '-f', '-', '-o', 'json', ...words], { stdin })
    return stdout
  }
  t.match(await show('--ingress-classes', 'nginx'), '"ingress-nginx"')
  t.notMatch(await show('--ingress-classes', 'other'), '"ingress-nginx"')
  t.notMatch(await show(), '"ingress-nginx"')
  t.notMatch(await show('--ingress-classes', 'nginx', '--compatibility', 'off'), '"ingress-nginx"')
})

t.test('IngressClasses of ingress-nginx are served', async (t) => {
  const text = `${CLASS}---\n${printIngresses({ a: { nginx: {}, more: 'ingressClassName: nginx' } })}---\n${printService('web')}`
  t.equal(translateText(settingsText('compatibility: ingress-nginx') + text).model.counts.ingresses, 1)
  const { model, diagnostics } = translateText(text)
  t.equal(model.counts.ingresses, 0)
  t.match(diagnostics, [{ code: 'PORTICO_REF_CLASS_FOREIGN', help: /compatibility: ingress-nginx$/ }])
})

t.test('BP1 backend-protocol: HTTPS verifies certificates, unless compatibility is on', async (t) => {
  const translate = (more: string, nginx: Readonly<Record<string, string>> = {}) =>
    translateText(
      `${settingsText(more)}${printIngresses({ a: { nginx: { 'backend-protocol': 'HTTPS', ...nginx } } })}---\n${printService('web')}`,
    )
  const verifies = ({ model }: ReturnType<typeof translate>) =>
    [...model.upstreams.values()][0]?.policy?.verifyTls !== false
  t.equal(verifies(translate('compatibility: "off"')), true)
  const trusting = translate('compatibility: ingress-nginx')
  t.equal(verifies(trusting), false)
  t.match(trusting.diagnostics, [{ severity: 'warning', message: /certificates of endpoints are not verified/ }])
})
