/** `portico describe`: the fields, relations, traffic and problems of each kind of object. */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { get } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { makeSecretYaml } from '../helpers/running-gateway.ts'
import { runPortico, serveHere } from './process.ts'

const manifests = (endpoint: string) => `
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: shop}, annotations: {portico.dev/endpoints: "${endpoint}"}}
spec: {type: NodePort, ports: [{port: 80, nodePort: 30180}]}
---
apiVersion: v1
kind: Service
metadata: {name: other, annotations: {portico.dev/endpoints: "127.0.0.1:9009"}}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, annotations: {portico.dev/nonsense: "1"}}
spec:
  tls: [{hosts: [shop.test], secretName: missing}]
  rules:
    - host: shop.test
      http:
        paths:
          - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: wrong}
spec:
  rules: [{host: "bad_host", http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]
`

const cwd = t.testdir({ 'all.yaml': manifests('127.0.0.1:9001') })
const describe = (...words: string[]) => runPortico(['describe', ...words, '-f', 'all.yaml'], { cwd })

t.test('an Ingress: its routes, where they lead, the certificate of its hosts, its problems', async (t) => {
  const { status, stdout } = await describe('ingress', 'shop')
  t.equal(status, 0)
  t.match(stdout, /^ingress\/default\/shop\n\nroute\/shop\.test\/\n {2}id +\S.*\n {2}host +shop\.test\n {2}path +\/\n/)
  t.match(stdout, /\n {2}backend +default\/web:80\n/)
  t.match(stdout, /\nservices\n {2}NAMESPACE +NAME[^\n]*\n {2}default +web +NodePort/)
  t.match(stdout, /\nendpoints\n {2}NAMESPACE[^\n]*\n {2}default +web +80 +127\.0\.0\.1:9001/)
  t.match(stdout, /\ncertificates\n {2}NAME[^\n]*\n {2}default /)
  t.match(stdout, /\nproblems\n[\s\S]*PORTICO_ANN_UNKNOWN[\s\S]*"?portico\.dev\/nonsense/)
  t.notMatch(stdout, '9009', 'nothing of other Services')
  t.notMatch(stdout, 'bad_host')
  const route = (await describe('route/shop.test/')).stdout
  t.equal(`ingress/default/shop\n\n${route}`, stdout, 'the route of that Ingress')
})

t.test('an Ingress: what it does to requests, and what is wrong with the certificate of its hosts', async (t) => {
  const yaml = manifests('127.0.0.1:9001')
    .replace('portico.dev/nonsense: "1"', 'portico.dev/body-limit: 10Ki, portico.dev/request-headers-set: "X-A: b"')
    .replace('secretName: missing', 'secretName: shop-tls')
  const secret = await makeSecretYaml('shop-tls', ['shop.test'], { notAfter: new Date(Date.now() - 86_400_000) })
  const cwd = t.testdir({ 'all.yaml': yaml + secret })
  const { stdout } = await runPortico(['describe', 'ingress', 'shop', '-f', 'all.yaml'], { cwd })
  t.match(stdout, /\n {2}filters +\S*headers.*X-A/)
  t.match(stdout, /\n {2}settings +bodyLimit: 10Ki\n/)
  t.match(stdout, /\nproblems\n {2}all\.yaml:\d+:\d+ {2}warning {2}PORTICO_TLS_EXPIRED /)
})

t.test('a Service, an endpoint, a certificate and a listener', async (t) => {
  const service = await describe('svc', 'web')
  t.match(
    service.stdout,
    /^service\/default\/web\n[\s\S]*labels +app=shop[\s\S]*\nroutes\n[\s\S]*shop\.test[\s\S]*\nlisteners\n[\s\S]*30180[\s\S]*\nno problems in the manifests\n$/,
  )
  t.notMatch(service.stdout, '\ntraffic', 'of files there is none')
  t.match(
    (await describe('endpoint', '127.0.0.1:9001')).stdout,
    /^endpoint\/default\/web:80\/127\.0\.0\.1:9001\n[\s\S]*state +ready/,
  )
  t.match(
    (await describe('certificate', 'default')).stdout,
    /^certificate\/default\n[\s\S]*hosts +shop\.test[\s\S]*\nroutes\n/,
  )
  t.match((await describe('listener', 'web:80/TCP')).stdout, /^listener\/default\/web:80\/TCP\n[\s\S]*\nservices\n/)
})

t.test('an object of which nothing is served says why; one that is not there is exit code 1', async (t) => {
  const wrong = await describe('ingress', 'wrong')
  t.equal(wrong.status, 0)
  t.match(
    wrong.stdout,
    /^ingress\/default\/wrong\n\nnothing of it is served\n\nproblems\n {2}all\.yaml:\d+:\d+ {2}error .*bad_host/,
  )
  t.match(await describe('ingress', 'nobody'), { status: 1, stdout: '', stderr: /no routes named "nobody"/ })
  for (const words of [['workers', 'x'], ['ingress'], ['svc', 'a', 'b'], ['svc/a', 'ing/b'], ['nonsense', 'x']]) {
    t.equal((await describe(...words)).status, 2, words.join(' '))
  }
})

t.test('of a running gateway it tells traffic and health too, as text and as json', async (t) => {
  const server = createServer((_request, response) => response.end('ok')).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  writeFileSync(
    join(cwd, 'live.yaml'),
    manifests(`127.0.0.1:${(server.address() as AddressInfo).port}`).replace(
      'type: NodePort, ports: [{port: 80, nodePort: 30180}]',
      'ports: [{port: 80}]',
    ),
  )
  const { ports } = await serveHere(t, ['run', '-f', 'live.yaml'], { cwd })
  for (let sent = 0; sent < 3; sent++) {
    const asked = get({
      port: ports.https,
      host: '127.0.0.1',
      servername: 'shop.test',
      headers: { host: 'shop.test' },
      rejectUnauthorized: false,
      agent: false,
    })
    const [response] = await once(asked, 'response')
    response.resume()
    await once(response, 'end')
  }
  const words = ['describe', 'service', 'web', '--admin-port', String(ports.admin)]
  const { status, stdout } = await runPortico(words)
  t.equal(status, 0)
  const traffic = '3 requests sent to 1 endpoint, 0 failures, 0 in flight\n'
  t.match(stdout, `\ntraffic\n  ${traffic}`)
  const ofIngress = await runPortico(['describe', 'ingress', 'default/shop', ...words.slice(3)])
  t.match(ofIngress.stdout, `\ntraffic of its Services\n  ${traffic}`, 'its routes have no counts of their own here')
  const json = JSON.parse((await runPortico([...words, '-o', 'json'])).stdout)
  t.match(json, {
    kind: 'services',
    named: [{ name: 'web' }],
    endpoints: [{ live: { requests: 3 } }],
    routes: [{ host: 'shop.test' }],
  })
  t.match(await runPortico(['describe', 'service', 'web', '--admin-port', '1']), { status: 4 })
})
