/** `portico test`: expectations that hold and that do not, offline and by real requests, and all ways to print them. */
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { makeCertificate } from '../helpers/certificates.ts'
import { runPortico, serveHere } from './process.ts'

const encode = (text: string) => Buffer.from(text).toString('base64')
const pem = await makeCertificate({ names: ['shop.test'] })

const manifests = (endpoint: string) => `
apiVersion: v1
kind: Service
metadata: {name: web, annotations: {portico.dev/endpoints: "${endpoint}"}}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Secret
metadata: {name: shop-tls}
type: kubernetes.io/tls
data: {tls.crt: ${encode(pem.certificate)}, tls.key: ${encode(pem.key)}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, annotations: {portico.dev/response-headers-set: "X-Shop: yes"}}
spec:
  tls: [{hosts: [shop.test], secretName: shop-tls}]
  rules:
    - host: shop.test
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: lost}
spec:
  rules:
    - host: lost.test
      http: {paths: [{path: /x, pathType: Exact, backend: {service: {name: gone, port: {number: 80}}}}]}
`

const HEAD = 'apiVersion: portico.dev/v1alpha1\nkind: RouteTest\nmanifests: [k8s/]\n'
const GOOD = `${HEAD}diagnostics:
  - {code: PORTICO_REF_SERVICE_NOT_FOUND, object: Ingress default/lost, message: '"gone"'}
tests:
  - name: over TLS
    request: {url: "https://shop.test/a?b=1", headers: {X-Env: staging}}
    expect: {ingress: default/shop, route: shop.test/, service: default/web:80, status: 200, certificate: default/shop-tls, filters: [headers]}
  - request: {url: "http://shop.test/a"}
    expect: {status: 308, service: none, certificate: none}
  - request: {url: "http://lost.test/x"}
    expect: {status: 503, ingress: default/lost, service: none}
  - request: {url: "https://nobody.test/"}
    expect: {status: 404, route: none, ingress: none, service: none, certificate: default}
`

const BAD = `${HEAD}diagnostics: []
tests:
  - name: <wrong> & "all"
    request: {url: "https://shop.test/"}
    expect:
      service: default/api
      status: 404
      redirect: https://shop.test/b
      certificate: default
      filters: [cors, headers]
  - name: right
    request: {url: "https://shop.test/"}
    expect: {service: default/web}
`

const folder = (more: Readonly<Record<string, string>>) =>
  t.testdir({ k8s: { 'shop.yaml': manifests('127.0.0.1:9000') }, ...more })

t.test('all that can be expected holds offline; exit code 0', async (t) => {
  const cwd = folder({ 'good.yaml': GOOD })
  const { status, stdout, stderr } = await runPortico(['test', 'good.yaml'], { cwd })
  t.equal(
    stdout,
    'ok     diagnostics\nok     over TLS\nok     GET http://shop.test/a\nok     GET http://lost.test/x\nok     GET https://nobody.test/\n',
  )
  t.equal(stderr, '5 tests, all passed; 1 expectation not checked: only a real request (--live) tells\n')
  t.equal(status, 0)
  t.match(await runPortico(['test', '.'], { cwd }), { status: 0 }, 'a folder, with manifests in it')
})

t.test('what does not hold says expected, got, and where it is expected; exit code 1', async (t) => {
  const cwd = folder({ 'bad.yaml': BAD })
  const { status, stdout, stderr } = await runPortico(['test', 'bad.yaml'], { cwd })
  t.equal(status, 1)
  t.equal(stderr.split(';')[0], '3 tests, 2 failed')
  const lines = stdout.trimEnd().split('\n')
  t.match(lines, [
    'fails  diagnostics',
    /^ +bad\.yaml:4:14 {2}diagnostics$/,
    /expected {2}no other problem/,
    /got {7}PORTICO_REF_SERVICE_NOT_FOUND at k8s\/shop\.yaml:\d+:\d+: service "gone"/,
    'fails  <wrong> & "all"',
    /bad\.yaml:9:16 {2}service/,
    /expected {2}default\/api$/,
    /got {7}default\/web:80$/,
    /bad\.yaml:10:15 {2}status/,
    /expected {2}404/,
    /got {7}forwarded to default\/web:80/,
    /bad\.yaml:11:17 {2}redirect/,
    /https:\/\/shop\.test\/b/,
    /forwarded to default\/web:80/,
    /certificate/,
    /default$/,
    /default\/shop-tls$/,
    /bad\.yaml:13:17 {2}filters/,
    /expected {2}cors/,
    /got {7}https-redirect: .*; headers: /,
    'ok     right',
  ])
  t.equal(lines.length, 21)
})

t.test('a request that no rule fits says which host and path are nearest', async (t) => {
  const near = `${HEAD}tests:
  - {name: host, request: {url: "https://shpo.test/"}, expect: {service: default/web}}
  - {name: path, request: {url: "http://lost.test/x/y"}, expect: {ingress: default/lost}}
  - {name: as it should be, request: {url: "http://lost.test/y"}, expect: {status: 404}}
`
  const cwd = folder({ 'near.yaml': near })
  const { stdout } = await runPortico(['test', 'near.yaml'], { cwd })
  t.match(stdout, /fails {2}host\n(?:.*\n){3} {9}nearest {3}shop\.test: did you mean shop\.test\?\n/)
  t.match(stdout, /fails {2}path\n(?:.*\n){3} {9}nearest {3}lost\.test\/x: .*\n/)
  t.match(stdout, /ok {5}as it should be\n$/)
  t.match(JSON.parse((await runPortico(['test', 'near.yaml', '-o', 'json'], { cwd })).stdout).results, [
    { nearest: [/^shop\.test/] },
    { nearest: [/^lost\.test/] },
    { nearest: [] },
  ])
  t.match(
    (await runPortico(['test', 'near.yaml', '-o', 'junit'], { cwd })).stdout,
    '\nnearest  shop.test: did you mean',
  )
})

t.test('json, and JUnit that an XML reader takes', async (t) => {
  const cwd = folder({ 'bad.yaml': BAD })
  const json = JSON.parse((await runPortico(['test', 'bad.yaml', '-o', 'json'], { cwd })).stdout)
  t.match(json, {
    tests: 3,
    failed: 2,
    results: [
      { passed: false },
      { failures: [{ subject: 'service', at: 'bad.yaml:9:16' }] },
      { passed: true, failures: [] },
    ],
  })
  const { status, stdout } = await runPortico(['test', 'bad.yaml', '-o', 'junit'], { cwd })
  t.equal(status, 1)
  t.match(
    stdout,
    '<testsuites name="portico test" tests="3" failures="2">\n  <testsuite name="bad.yaml" tests="3" failures="2">',
  )
  t.match(stdout, '<testcase name="&lt;wrong&gt; &amp; &quot;all&quot;" classname="bad.yaml" file="bad.yaml" line="6">')
  t.match(
    stdout,
    '<failure type="service" message="service: expected default/api, got default/web:80">bad.yaml:9:16\nexpected default/api',
  )
  t.match(stdout, '<testcase name="right" classname="bad.yaml" file="bad.yaml" line="14"/>')
  // Well-formed: every element ends, in turn.
  const open: string[] = []
  for (const [, end, name = '', , isEmpty] of stdout
    .replace(/<\?.*?\?>/, '')
    .matchAll(/<(\/?)([a-z]+)((?:\s[a-z]+="[^"<]*")*)(\/?)>/g)) {
    if (end) t.equal(open.pop(), name)
    else if (!isEmpty) open.push(name)
  }
  t.strictSame(open, [])
})

t.test('-f takes the place of the manifests that a test names; a test may lie among manifests', async (t) => {
  const cwd = folder({ 'good.yaml': GOOD })
  writeFileSync(join(cwd, 'k8s/tests.yaml'), GOOD.replace('[k8s/]', '[.]'))
  t.match(await runPortico(['test', 'k8s'], { cwd }), { status: 0 })
  t.match(await runPortico(['check', '-f', 'k8s'], { cwd }), { stdout: /^(?!.*RouteTest)/ })
  writeFileSync(join(cwd, 'other.yaml'), manifests('127.0.0.1:9000').replace('name: shop,', 'name: store,'))
  const other = await runPortico(['test', 'good.yaml', '-f', 'other.yaml'], { cwd })
  t.equal(other.status, 1)
  t.match(other.stdout, /expected {2}default\/shop\n +got {7}default\/store/)
})

t.test('a file that cannot be read as a test is exit code 2, with the place of each fault', async (t) => {
  const cwd = folder({
    'none.yaml': 'kind: Service\n',
    'faults.yaml': `${HEAD}test: []\ntests:\n  - request: {url: shop.test, methd: GET}\n    expect: {status: 2000, service: web, headers: {A: 1}}\n  - {}\n`,
    'bare.yaml': 'apiVersion: portico.dev/v1alpha1\nkind: RouteTest\ntests: []\n',
    'settings.yaml': `${HEAD.replace('k8s/', 'k8s/, bad-settings.yaml')}tests: []\n`,
    'bad-settings.yaml': 'apiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\nhttp: {port: x}\n',
  })
  const run = (...words: string[]) => runPortico(['test', ...words], { cwd })
  const faults = await run('faults.yaml')
  t.equal(faults.status, 2)
  for (const fault of [
    /faults\.yaml:4:1 .*unknown field "test"[\s\S]*did you mean "tests"\?/,
    /faults\.yaml:6:20 .*tests\[0\]\.request\.url: "shop\.test" cannot stand here/,
    /unknown field "methd"[\s\S]*did you mean "method"\?/,
    /tests\[0\]\.expect\.status must be a number from 100 to 599/,
    /tests\[0\]\.expect\.service: "web" cannot stand here/,
    /tests\[0\]\.expect\.headers must be texts by names/,
    /tests\[1\]\.request is missing/,
  ]) {
    t.match(faults.stderr, fault)
  }
  t.match(await run('none.yaml'), { status: 2, stderr: /none\.yaml holds no RouteTest/ })
  t.match(await run('nowhere.yaml'), { status: 2, stderr: /PORTICO_FILE_NOT_FOUND|nowhere\.yaml/ })
  t.match(await run('bare.yaml'), { status: 2, stderr: /bare\.yaml names no manifests/ })
  t.match(await run('settings.yaml'), { status: 1, stderr: /nothing is tested/ })
  t.match(await run(), { status: 2 })
})

t.test(
  '--live makes the requests: status, redirect, headers and certificate are those of the real answer',
  async (t) => {
    const server = createServer(({ url, headers }, response) => {
      response.writeHead(url === '/missing' ? 410 : 200, { 'X-Env': String(headers['x-env']) }).end('x'.repeat(100_000))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => server.close())
    const { port } = server.address() as AddressInfo
    const cwd = folder({})
    writeFileSync(join(cwd, 'k8s/shop.yaml'), manifests(`127.0.0.1:${port}`))
    const { ports } = await serveHere(t, ['run', '-f', 'k8s', '--https-redirect-port', '8443'], { cwd })
    const live = ['--live', `http://127.0.0.1:${ports.http}`, '--live', `https://127.0.0.1:${ports.https}`]
    const tests = `${HEAD}tests:
  - request: {url: "https://shop.test/a", headers: {X-Env: staging}}
    expect: {service: default/web, status: 200, certificate: default/shop-tls, headers: {X-Env: staging, x-shop: "yes", X-None: null}}
  - request: {url: "https://shop.test/missing"}
    expect: {status: 410}
  - request: {url: "http://shop.test/a"}
    expect: {status: 308, redirect: "https://shop.test:8443/a"}
  - {request: {url: "http://shop.test/a", client: 192.0.2.1}, expect: {status: 308}}
`
    writeFileSync(join(cwd, 'live.yaml'), tests)
    const good = await runPortico(['test', 'live.yaml', ...live], { cwd })
    t.match(good, { status: 0, stderr: '4 tests, all passed\n' }, good.stdout)
    const offline = await runPortico(['test', 'live.yaml'], { cwd })
    t.equal(offline.status, 1, 'that an endpoint answers 410 only a real request tells')
    t.match(offline.stderr, '4 tests, 1 failed; 5 expectations not checked')

    writeFileSync(
      join(cwd, 'bad.yaml'),
      tests.replace('status: 200', 'status: 201').replace('x-shop: "yes"', 'x-shop: "no"'),
    )
    const bad = await runPortico(['test', 'bad.yaml', ...live], { cwd })
    t.equal(bad.status, 1)
    t.match(bad.stdout, /status\n +expected {2}201\n +got {7}200\n/)
    t.match(bad.stdout, /headers\.x-shop\n +expected {2}no\n +got {7}yes\n/)

    // The manifests on disk have another certificate than the gateway.
    const other = await makeCertificate({ names: ['shop.test'] })
    const changed = readFileSync(join(cwd, 'k8s/shop.yaml'), 'utf8').replace(
      encode(pem.certificate),
      encode(other.certificate),
    )
    writeFileSync(join(cwd, 'other.yaml'), changed.replace(encode(pem.key), encode(other.key)))
    const wrong = await runPortico(['test', 'live.yaml', '-f', 'other.yaml', ...live], { cwd })
    t.match(
      wrong.stdout,
      /certificate\n +expected {2}default\/shop-tls\n +got {7}another than default\/shop-tls: SHA-256/,
    )
    t.match(await runPortico(['test', 'live.yaml', '--live', 'http://127.0.0.1:1'], { cwd }), {
      status: 2,
      stderr: /there is no --live https/,
    })
    t.match(await runPortico(['test', 'live.yaml', '--live', 'shop'], { cwd }), { status: 2 })
  },
)
