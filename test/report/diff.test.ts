import t from 'tap'
import type { Model } from '../../lib/model/model.ts'
import { diffModels, printChange } from '../../lib/report/diff.ts'
import { translateText } from '../translate/manifests.ts'
import { service } from '../translate/service-text.ts'

type Options = { paths?: readonly (readonly [string, string])[]; api?: string; tls?: boolean; fallback?: boolean }

function changes(before: Options, after: Options): string[] {
  return diffModels(translateText(print(before)).model, translateText(print(after)).model).map(printChange)
}

function print({ paths = [['/', 'web']], api = '127.0.0.1:9001, 127.0.0.1:9002', tls, fallback }: Options): string {
  const rules = paths.map(
    ([path, name]) => `{path: ${path}, pathType: Prefix, backend: {service: {name: ${name}, port: {number: 80}}}}`,
  )
  const service = (name: string, endpoints: string): string =>
    `---\napiVersion: v1\nkind: Service\nmetadata: {name: ${name}, annotations: {portico.dev/endpoints: "${endpoints}"}}\nspec: {ports: [{port: 80}]}\n`
  return `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  ${tls ? 'tls: [{hosts: [a.com]}]' : ''}
  ${fallback ? 'defaultBackend: {service: {name: web, port: {number: 80}}}' : ''}
  rules: [{host: a.com, http: {paths: [${rules.join(', ')}]}}]
${service('web', '127.0.0.1:9000')}${service('api', api)}`
}

t.test('nothing changed', async (t) => {
  t.same(changes({}, {}), [])
})

t.test('a route that came and one that went', async (t) => {
  const more = {
    paths: [
      ['/', 'web'],
      ['/cart', 'api'],
    ] as const,
  }
  t.same(changes({}, more), ['+ a.com/cart  Prefix → default/api:80 → 127.0.0.1:9001, 127.0.0.1:9002'])
  t.same(changes(more, {}), ['- a.com/cart  Prefix → default/api:80'])
})

t.test('endpoints that changed', async (t) => {
  const paths = [['/', 'api']] as const
  t.same(changes({ paths }, { paths, api: '127.0.0.1:9001' }), [
    '~ a.com/  Prefix endpoints 127.0.0.1:9001, 127.0.0.1:9002 → 127.0.0.1:9001',
  ])
  t.same(changes({ api: '127.0.0.1:1' }, { api: '127.0.0.1:2' }), [], 'of a Service without a route: nothing')
})

t.test('settings of a Service, or of an Ingress for its routes, that changed', async (t) => {
  const text = print({})
  const balanced = text.replace(
    'endpoints: "127.0.0.1:9000"',
    'endpoints: "127.0.0.1:9000", portico.dev/balancer: ewma',
  )
  const tried = balanced.replace('{name: shop}', '{name: shop, annotations: {portico.dev/tries: "3"}}')
  const compare = (before: string, after: string) =>
    diffModels(translateText(before).model, translateText(after).model).map(printChange)
  t.same(compare(text, balanced), ['~ a.com/  Prefix settings as for all → balancer=ewma'])
  t.same(compare(balanced, tried), ['~ a.com/  Prefix settings balancer=ewma → balancer=ewma, tries=3'])
  t.same(compare(balanced, text), ['~ a.com/  Prefix settings balancer=ewma → as for all'])
})

t.test('weights, conditions and priorities that changed', async (t) => {
  const write = (annotations: Readonly<Record<string, string>>): string =>
    print({}).replace('{name: shop}', `{name: shop, annotations: ${JSON.stringify(annotations)}}`)
  const compare = (before: Readonly<Record<string, string>>, after: Readonly<Record<string, string>>) =>
    diffModels(translateText(write(before)).model, translateText(write(after)).model).map(printChange)
  const split = (text: string) => ({ 'portico.dev/split': text })
  t.same(compare(split('web=90, api=10'), split('web=50, api=50')), [
    '~ a.com/  Prefix default/web:80=90, default/api:80=10 → default/web:80=50, default/api:80=50',
  ])
  t.same(compare({}, split('web=1, gone=1')), [
    '~ a.com/  Prefix default/web:80 → default/web:80=1, default/gone:80=1 (503 service "gone" not found)',
  ])
  const moved = translateText(write(split('web=1, api=1')).replace('127.0.0.1:9002', '127.0.0.1:9003')).model
  t.same(diffModels(translateText(write(split('web=1, api=1'))).model, moved).map(printChange), [
    '~ a.com/  Prefix endpoints 127.0.0.1:9000 | 127.0.0.1:9001, 127.0.0.1:9002 → 127.0.0.1:9000 | 127.0.0.1:9001, 127.0.0.1:9003',
  ])
  t.same(compare({}, { 'portico.dev/match-methods': 'GET' }), [
    '- a.com/  Prefix → default/web:80',
    '+ a.com/  Prefix  if method GET → default/web:80 → 127.0.0.1:9000',
  ])
  t.same(compare({}, { 'portico.dev/priority': '5' }), ['~ a.com/  Prefix priority 0 → 5'])
})

t.test('a route that leads elsewhere is one change', async (t) => {
  t.same(changes({}, { paths: [['/', 'api']] }), ['~ a.com/  Prefix default/web:80 → default/api:80'])
  t.same(changes({}, { paths: [['/', 'gone']] }), [
    '~ a.com/  Prefix default/web:80 → default/gone:80 (503 service "gone" not found)',
  ])
})

t.test('tls and the default backend', async (t) => {
  t.same(changes({}, { tls: true }), [
    '~ a.com plain HTTP served → redirected to https',
    '+ certificate a.com → default (tls of Ingress default/shop names no Secret)',
  ])
  t.same(changes({}, { fallback: true }), [
    '+ a.com  default → default/web:80 → 127.0.0.1:9000',
    '+ any other request → default/web:80 → 127.0.0.1:9000',
  ])
})

t.test('listeners that came, went and changed', async (t) => {
  const read = (spec: string, annotations = 'portico.dev/endpoints: "127.0.0.1:1"', settings = '') => {
    const configuration = `apiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\n${settings}\n`
    return translateText(`${service('web', spec, `, annotations: {${annotations}}`)}---\n${configuration}`).model
  }
  const compare = (before: Model, after: Model): string[] => diffModels(before, after).map(printChange)
  const plain = read('ports: [{port: 80}]')
  const open = read('type: NodePort, ports: [{port: 80, nodePort: 30080}]')
  t.same(compare(open, read('type: NodePort, ports: [{port: 80, nodePort: 30080}]')), [])
  t.same(compare(plain, open), ['+ NodePort default/web:80/TCP [::]:30080 → L4 → default/web:80 → 127.0.0.1:1'])
  t.same(compare(open, plain), ['- NodePort default/web:80/TCP [::]:30080'])
  t.same(compare(open, read('type: NodePort, ports: [{port: 80, nodePort: 30081}]')), [
    '~ NodePort default/web:80/TCP [::]:30080 → [::]:30081',
  ])
  const http = read(
    'type: NodePort, ports: [{port: 80, nodePort: 30080, appProtocol: https}]',
    'portico.dev/endpoints: "127.0.0.1:2", portico.dev/accept-proxy-protocol: "true"',
  )
  t.same(compare(open, http), [
    '~ NodePort default/web:80/TCP as L4 → L7 with TLS after a PROXY header',
    '~ NodePort default/web:80/TCP endpoints 127.0.0.1:1 → 127.0.0.1:2',
  ])
  const apart = read(
    'type: NodePort, ports: [{port: 80, nodePort: 30080}]',
    undefined,
    'nodePorts: {addresses: [127.0.0.1]}',
  )
  t.same(compare(open, apart), [
    '- NodePort default/web:80/TCP [::]:30080',
    '+ NodePort default/web:80/TCP 127.0.0.1:30080 → L4 → default/web:80 → 127.0.0.1:1',
  ])
})
