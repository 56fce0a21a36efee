/** Objects, files and folders. */
import { join } from 'node:path'
import t from 'tap'
import { loadConfiguration } from '../../../lib/control/configuration.ts'
import { planMigration } from '../../../lib/translate/migrate/migration.ts'
import { printIngresses, printService } from '../ingress/nginx/nginx-ingress.ts'
import { planText } from './plan-text.ts'

t.test('files and the folders that have several of them add up', async (t) => {
  const one = (name: string, nginx: Readonly<Record<string, string>>) => printIngresses({ [name]: { nginx } })
  const folder = t.testdir({
    a: {
      'one.yaml': one('one', { 'proxy-body-size': '8m' }),
      'two.yaml': one('two', { 'enable-cors': 'true' }),
      b: { 'three.yaml': one('three', { 'server-snippet': 'deny all;' }) },
    },
    'service.yaml': printService('web'),
  })
  const input = { sources: [folder], flags: {}, environment: {} }
  const { resources, settings, diagnostics } = await loadConfiguration(input)
  const { places, total, isIngressAlone } = planMigration(resources, settings, diagnostics)
  t.notOk(isIngressAlone)
  t.match(total, { exact: 1, differs: 1, refused: 1, errors: 0, warnings: 0 })
  const ends = places.map(({ place, isFolder, ingresses }) => [place.slice(place.indexOf('a/')), isFolder, ingresses])
  t.same(ends.slice(-4), [
    ['a/', true, 3],
    [join('a/b/three.yaml'), false, 1],
    ['a/one.yaml', false, 1],
    ['a/two.yaml', false, 1],
  ])
  t.equal(places.length, 4, 'no folder above the common one')
})

t.test('an Ingress of a class that is not served is told', async (t) => {
  const text = `${printIngresses({ a: { nginx: {}, more: 'ingressClassName: nginx' } })}---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: nginx}
spec: {controller: k8s.io/ingress-nginx}
---
${printService('web')}`
  const { objects, total } = await planText(text)
  t.match(objects, [{ problems: [{ code: 'PORTICO_REF_CLASS_FOREIGN' }] }])
  t.equal(total.warnings, 1)
  t.equal((await planText(text, { ingressClasses: ['nginx'] })).total.warnings, 0)
})

t.test('an Ingress that is refused is told with its errors', async (t) => {
  const { objects, total } = await planText(
    printIngresses({ a: { nginx: { 'enable-cors': 'true' }, host: 'no host' } }),
  )
  t.match(objects, [{ annotations: [{ support: 'differs' }], problems: [{ severity: 'error' }] }])
  t.equal(total.errors, 1)
})

t.test('what ingress-nginx does as well is no difference, nor is a Service without endpoints', async (t) => {
  const { objects, total } = await planText(`${printIngresses({
    a: { nginx: { 'use-regex': 'true' }, host: 'a.test' },
    b: { nginx: {}, host: 'a.test', paths: [['/b']] },
  })}---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
`)
  t.match(objects, [{ problems: [] }, { problems: [] }])
  t.match(total, { differs: 1, warnings: 0 })
})
