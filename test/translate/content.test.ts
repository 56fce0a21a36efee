/** Contents of ConfigMaps: what a change of one makes again, and what it leaves alone. */
import t from 'tap'
import { DiagnosticList } from '../../lib/base/diagnostics.ts'
import { decodeDocuments } from '../../lib/kubernetes/decode.ts'
import { ResourceStore } from '../../lib/kubernetes/store.ts'
import type { Model } from '../../lib/model/model.ts'
import { findIngressTable } from '../../lib/model/route-table.ts'
import { printModel } from '../../lib/report/print.ts'
import { sourceFromText } from '../../lib/source/read-source.ts'
import { Translator } from '../../lib/translate/translate.ts'
import { parseDocuments } from '../helpers/documents.ts'
import { makeSettings } from '../helpers/settings.ts'
import { fixedClock } from './manifests.ts'

const printConfigMap = (name: string, body: string): string =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}\ndata: {page.html: ${body}}\n`

const printIngress = (name: string, reference: string): string => `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: ${name}, annotations: {portico.dev/respond-body-from: ${reference}}}
spec: {rules: [{host: ${name}.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
`

/** Translates again and again: files that are the same text as before are not decoded again. */
class Session {
  readonly #store = new ResourceStore()
  readonly #translator = new Translator()
  readonly #files = new Map<string, ReturnType<typeof decodeDocuments>>()
  #settings = makeSettings()
  #turn = 0

  translate(files: readonly string[]): { model: Model; codes: readonly string[] } {
    const decoded = files.map((text, index) => {
      const known = this.#files.get(text)
      if (known !== undefined) return known
      const diagnostics = new DiagnosticList()
      const source = sourceFromText(`${index}.yaml`, text)
      const made = decodeDocuments(parseDocuments(source, diagnostics).documents, diagnostics)
      this.#files.set(text, made)
      return made
    })
    const diagnostics = new DiagnosticList()
    const resources = decoded.flatMap((one) => one.resources)
    const refused = decoded.flatMap((one) => one.refused)
    const set = this.#store.update(resources, ++this.#turn, diagnostics, refused)
    const model = this.#translator.translate(set, { settings: this.#settings, clock: fixedClock }, diagnostics)
    const codes = diagnostics.items.map(({ code, message }) => `${code} ${message}`)
    return { model, codes: codes.filter((line) => !line.includes('"web"')) }
  }
}

function findHost(model: Model, host: string) {
  return findIngressTable(model).hosts.find((one) => one.host === host)
}

t.test('a ConfigMap that changes makes the Ingresses again that refer to it, and no other', async (t) => {
  const session = new Session()
  const ingresses = [printIngress('a', 'pages/page.html'), printIngress('b', 'other/page.html')]
  const rest = [printConfigMap('other', 'x'), printConfigMap('unused', 'x')]
  const first = session.translate([...ingresses, printConfigMap('pages', 'one'), ...rest])
  t.same(first.codes, [])
  t.match(printModel(first.model), '{respond: 200 with 3 bytes of pages/page.html (SHA-256 7692c3ad)}')
  const again = session.translate([...ingresses, printConfigMap('pages', 'one'), ...rest])
  t.equal(findIngressTable(again.model), findIngressTable(first.model))
  const second = session.translate([...ingresses, printConfigMap('pages', 'two'), ...rest])
  t.not(findHost(second.model, 'a.test'), findHost(first.model, 'a.test'))
  t.match(printModel(second.model), '3 bytes of pages/page.html (SHA-256 3fc4ccfe)')
  t.equal(findHost(second.model, 'b.test'), findHost(first.model, 'b.test'))
  const unused = session.translate([
    ...ingresses,
    printConfigMap('pages', 'two'),
    rest[0]!,
    printConfigMap('unused', 'y'),
  ])
  t.equal(findIngressTable(unused.model), findIngressTable(second.model), 'one that nobody refers to')
})

t.test('a ConfigMap that goes leaves the filter out, and one that comes is found', async (t) => {
  const session = new Session()
  const ingress = printIngress('a', 'pages/page.html')
  const missing = session.translate([ingress])
  t.same(missing.codes, [
    'PORTICO_REF_CONFIG_MAP_NOT_FOUND portico.dev/respond-body-from: ConfigMap "pages" not found in namespace "default"',
  ])
  t.notMatch(printModel(missing.model), 'respond')
  t.match(printModel(session.translate([ingress, printConfigMap('pages', 'one')]).model), 'respond: 200')
  const refused = session.translate([ingress, printConfigMap('pages', '1')])
  t.match(refused.codes.at(-1), /PORTICO_REF_CONFIG_MAP_NOT_FOUND .* "pages" has errors/)
  t.same(session.translate([ingress]).codes, missing.codes)
})

t.test('a RoutePolicy that changes makes again what it acts on, and nothing else', async (t) => {
  const session = new Session()
  const printPlain = (name: string): string =>
    printIngress(name, '').replace('annotations: {portico.dev/respond-body-from: }', 'labels: {}')
  const printPolicy = (name: string, target: string, rate: string): string =>
    `apiVersion: portico.dev/v1alpha1\nkind: RoutePolicy\nmetadata: {name: ${name}}\nspec: {targetRefs: [{kind: Ingress, name: ${target}}], rateLimit: ${rate}}\n`
  const rest = [printPlain('a'), printPlain('b'), printPlain('c'), printPolicy('pb', 'b', '1/s')]
  const first = session.translate([...rest, printPolicy('pa', 'a', '1/s')])
  t.same(first.codes, [])
  const second = session.translate([...rest, printPolicy('pa', 'a', '2/s')])
  t.not(findHost(second.model, 'a.test'), findHost(first.model, 'a.test'))
  t.match(printModel(second.model), 'rate-limit: 2/s a client')
  for (const host of ['b.test', 'c.test']) t.equal(findHost(second.model, host), findHost(first.model, host), host)
  const third = session.translate(rest)
  t.notMatch(printModel(third.model), 'rate-limit: 2/s')
  t.equal(findHost(third.model, 'b.test'), findHost(first.model, 'b.test'))
  const moved = session.translate([...rest, printPolicy('pa', 'c', '2/s')])
  t.equal(findHost(moved.model, 'a.test'), findHost(third.model, 'a.test'))
  t.not(findHost(moved.model, 'c.test'), findHost(third.model, 'c.test'))
})
