import { join } from 'node:path'
import t from 'tap'
import { readUrl } from '../../bin/commands/explain.ts'
import { checkGolden } from './golden.ts'
import { type Finished, runPortico } from './process.ts'

const cwd = 'test/fixtures/bin/explain'

function explain(url: string, ...words: string[]): Promise<Finished> {
  return runPortico(['explain', url, '-f', 'shop.yaml', ...words], { cwd })
}

const cases: readonly (readonly [name: string, url: string, status: number])[] = [
  ['near-miss', 'https://shop.localhost/api/../carts?x=1', 0],
  ['prefix', 'http://shop.localhost/api/orders', 0],
  ['missing-service', 'http://shop.localhost/cart', 1],
  ['redirect', 'http://secure.localhost/login', 0],
  ['wildcard', 'http://a.apps.localhost/', 0],
  ['two-labels', 'http://a.b.apps.localhost/', 1],
  ['unknown-host', 'http://shpo.localhost/', 1],
  ['climbing', 'http://shop.localhost/../etc/passwd', 1],
  ['bad-host', 'http://user@shop.localhost/', 1],
]

for (const [name, url, status] of cases) {
  t.test(`explain ${url}`, async (t) => {
    const finished = await explain(url)
    t.equal(finished.status, status)
    checkGolden(t, join(cwd, `${name}.txt`), finished.stdout)
  })
}

t.test('-o json says the same as data', async (t) => {
  const { status, stdout } = await explain('https://shop.localhost/api/../carts?x=1', '-o', 'json')
  t.equal(status, 0)
  const explanation = JSON.parse(stdout)
  t.match(explanation, {
    url: 'https://shop.localhost/api/../carts?x=1',
    path: { forwarded: '/carts', query: '?x=1' },
    host: { hostname: 'shop.localhost', matched: 'shop.localhost', reason: 'exact' },
    certificate: { name: 'default' },
    winner: { path: '/', pathType: 'Prefix', backend: 'default/web:80', ingress: 'default/shop' },
    upstream: { service: 'default/web:80', endpoints: [{ address: '127.0.0.1:3000', state: 'ready' }] },
  })
  t.strictSame(
    explanation.candidates.map(({ path, verdict }: { path: string; verdict: string }) => `${path} ${verdict}`),
    ['/ wins', '/cart no', '/api no'],
  )
})

t.test('what a Service and an Ingress have for themselves is said', async (t) => {
  const stdin = `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: api, annotations: {portico.dev/retry-try-timeout: 2s}}
spec:
  rules:
    - http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: api, port: {number: 80}}}}]}
---
apiVersion: v1
kind: Service
metadata:
  name: api
  annotations: {portico.dev/endpoints: "10.0.0.1:80", portico.dev/balancer: hash, portico.dev/hash-by: header:X-User}
spec: {ports: [{port: 80}]}
`
  const { stdout } = await runPortico(['explain', 'http://a.test/', '-f', '-'], { stdin })
  t.match(stdout, 'settings   balancer: hash, hash.by: header:X-User, retry.tryTimeout: 2s\n')
})

t.test('settings take part: %2F is refused where they say so', async (t) => {
  t.equal((await explain('http://shop.localhost/a%2Fb')).status, 0)
  t.equal((await explain('http://shop.localhost/a%2Fb', '--paths-encoded-slash', 'reject')).status, 1)
})

t.test('problems of the files are counted on stderr', async (t) => {
  const { stdout, stderr } = await runPortico(['explain', 'http://x.test/', '-f', '-'], { stdin: 'kind: [' })
  t.match(stderr, /1 error.*: portico check tells more/)
  t.match(stdout, '404')
})

t.test('the URL is cut without changing a byte of it', async (t) => {
  const read: readonly (readonly [string, ReturnType<typeof readUrl>])[] = [
    ['https://shop.localhost', { scheme: 'https', host: 'shop.localhost', path: '/' }],
    ['shop.localhost:8080/a//b/../%2e', { scheme: 'http', host: 'shop.localhost:8080', path: '/a//b/../%2e' }],
    ['HTTP://Shop.localhost?x', { scheme: 'http', host: 'Shop.localhost', path: '/?x' }],
    ['wss://shop.localhost/live#top', { scheme: 'https', host: 'shop.localhost', path: '/live' }],
    ['http://[::1]:80/\\', { scheme: 'http', host: '[::1]:80', path: '/\\' }],
  ]
  for (const [word, expected] of read) t.strictSame(readUrl(word), expected, word)
})

t.test('what is no URL is a usage error', async (t) => {
  for (const [url, message] of [
    ['ftp://shop.localhost/', 'ftp:// is not served'],
    ['/api', '"/api" names no host'],
  ] as const) {
    const { status, stderr } = await explain(url)
    t.equal(status, 2)
    t.match(stderr, message)
  }
})

const services = `kind: Service
apiVersion: v1
metadata: {name: api, annotations: {portico.dev/endpoints: "127.0.0.1:9001, 127.0.0.1:9002"}}
spec:
  type: NodePort
  ports:
    - {name: tcp, port: 80, nodePort: 30080}
    - {name: http, port: 81, nodePort: 30081, appProtocol: http}
---
kind: Service
apiVersion: v1
metadata:
  name: spare
  annotations:
    portico.dev/endpoints: "127.0.0.1:9001;backup, localhost:9002"
    portico.dev/host: endpoint
spec: {ports: [{port: 80}]}
---
kind: Ingress
apiVersion: networking.k8s.io/v1
metadata: {name: web}
spec:
  rules:
    - host: web.test
      http:
        paths:
          - {path: /, pathType: Prefix, backend: {service: {name: api, port: {number: 80}}}}
          - {path: /spare, pathType: Prefix, backend: {service: {name: spare, port: {number: 80}}}}
`

async function explainServices(url: string, ...words: string[]): Promise<Finished> {
  return runPortico(['explain', url, '-f', '-', ...words], { stdin: services })
}

t.test('a port that a Service opens is explained by that, not by rules', async (t) => {
  const passed = await explainServices('http://127.0.0.1:30080/a')
  t.equal(passed.status, 0)
  t.match(passed.stdout, 'port  30080      NodePort default/api:80/TCP, L4  <stdin>:7')
  t.match(passed.stdout, 'sends      the bytes of each connection to 127.0.0.1:9001 (in turn with the others)')
  const served = await explainServices('http://web.test:30081/a')
  t.match(served.stdout, 'sends      GET /a to http://127.0.0.1:9001 (in turn with the others), Host: web.test:30081')
  const { listener } = JSON.parse((await explainServices('http://web.test:30081/a', '-o', 'json')).stdout)
  t.match(listener, { name: 'default/api:81/TCP', kind: 'NodePort', layer: 'L7', port: 30081 })
  t.equal((await explainServices('http://127.0.0.1:30081/../a')).status, 1)
  t.match((await explainServices('http://web.test:8080/a')).stdout, 'default/web, longest matching prefix')
})

t.test('which endpoint comes next, and with which Host, is as the Service says', async (t) => {
  const sends = async (url: string, setting: string) =>
    / sends {6}(.*?), X-F/.exec((await explainServices(url, '--set', setting)).stdout)?.[1]
  const url = 'http://web.test/'
  const next = 'GET / to http://127.0.0.1:9001 (or another:'
  t.equal(await sends(url, 'upstream.balancer=ewma'), `${next} ewma says which), Host: web.test`)
  t.equal(await sends(url, 'upstream.balancer=hash'), `${next} hash of client-ip says which), Host: web.test`)
  t.equal(
    await sends(url, 'upstream.affinity.type=cookie'),
    `${next} affinity cookie keeps each client with its own), Host: web.test`,
  )
  const spare = await explainServices('http://web.test/spare')
  t.match(spare.stdout, /127\.0\.0\.1:9001 +ready, backup, annotation/)
  t.match(spare.stdout, 'GET /spare to http://localhost:9002, Host: localhost:9002')
})
