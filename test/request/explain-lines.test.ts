/** X-Portico-Explain: how a request was served, for those with the token alone; and what the log says of requests without a route. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { askApi } from '../helpers/admin-api.ts'
import { findFreePort } from '../helpers/free-ports.ts'
import { type RunningGateway, runGateway, startEchoes, visit } from '../helpers/running-gateway.ts'

const MANIFESTS = `
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: half}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  tls: [{hosts: [tls.test]}]
  rules:
    - host: shop.test
      http: {paths: [
        {path: /api, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}},
        {path: /half, pathType: Prefix, backend: {service: {name: half, port: {number: 80}}}}]}
    - host: tls.test
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: guarded, annotations: {portico.dev/allow-source-range: 192.0.2.0/24}}
spec:
  rules:
    - host: guarded.test
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
`
const TOKEN = 'sesame-sesame-sesame'
const ASK = `X-Portico-Explain: ${TOKEN}\r\n`

async function start(t: Test, flags: Record<string, string> = {}): Promise<RunningGateway & { seen: string[] }> {
  const { web } = await startEchoes(t, 'web')
  const seen: string[] = []
  const half = createServer((request, response) => {
    seen.push(...request.rawHeaders)
    response.end('half')
  }).listen(0, '127.0.0.1')
  await once(half, 'listening')
  t.teardown(() => {
    half.closeAllConnections()
    half.close()
  })
  const dead = await findFreePort()
  const running = await runGateway(t, MANIFESTS, {
    endpoints: { web: [web.port], half: [dead, (half.address() as AddressInfo).port] },
    flags: { 'admin.enabled': 'true', 'admin.port': '0', 'admin.token': TOKEN, ...flags },
  })
  return { ...running, seen }
}

for (const workers of ['0', '1']) {
  t.test(`the answer says how it came about: workers ${workers}`, async (t) => {
    const running = await start(t, { workers })
    for (const url of ['http://shop.test/api', 'https://tls.test/']) {
      const { response, echo } = await visit(running, url, { fields: ASK })
      t.equal(response.status, 200, url)
      t.match(response.header('x-portico-route'), /^default\/shop\|(shop|tls)\.test\|Prefix \//)
      t.equal(response.header('x-portico-service'), 'default/web:80')
      t.match(response.header('x-portico-endpoint'), /^127\.0\.0\.1:\d+$/)
      t.match(response.header('x-portico-tries'), /^127\.0\.0\.1:\d+ 200( reused)?$/)
      t.match(response.header('x-portico-timings'), /^queue=[\d.]+ms, connect=[\d.]+ms, answer=[\d.]+ms$/)
      t.notMatch(JSON.stringify(echo), /explain|sesame/i, 'the endpoint knows nothing of it')
    }
    // Round robin begins with one of the two: of two requests one finds the dead one first.
    const tries: string[] = []
    for (let count = 0; count < 2; count++) {
      const { response } = await visit(running, 'http://shop.test/half', { fields: ASK })
      tries.push(response.header('x-portico-tries') ?? '')
    }
    t.match(tries.join('\n'), /127\.0\.0\.1:\d+ PORTICO_UP_CONNECT_REFUSED, 127\.0\.0\.1:\d+ 200/)
    t.notMatch(running.seen.join('\n'), /explain|sesame/i)

    const refused = await visit(running, 'http://guarded.test/', { fields: ASK })
    t.equal(refused.response.header('x-portico-filter'), 'source-range refused')
    t.equal(refused.response.header('x-portico-code'), 'PORTICO_REQ_CLIENT_DENIED')
    const lost = await visit(running, 'http://shop.tset/', { fields: ASK })
    t.equal(lost.response.header('x-portico-cause'), 'no rule has the host shop.tset; nearest: shop.test')
  })

  t.test(`nobody else is told, and the field goes nowhere: workers ${workers}`, async (t) => {
    const running = await start(t, { workers })
    const strangers = [
      '',
      'X-Portico-Explain: wrong-wrong-wrong\r\n',
      'X-Portico-Explain: \r\n',
      'X-Portico-Explain: 1\r\n',
    ]
    for (const fields of strangers) {
      for (const url of [
        'http://shop.test/api',
        'http://guarded.test/',
        'http://none.test/',
        'http://shop.test/half',
      ]) {
        const { response, echo } = await visit(running, url, { fields })
        t.notMatch(JSON.stringify(response), /x-portico-/i, `${url} ${fields}`)
        t.notMatch(response.body.toString(), /nearest|shop\.test\|/, 'nor of what is near')
        t.notMatch(JSON.stringify(echo ?? ''), /explain/i)
      }
    }
    t.notMatch(running.seen.join('\n'), /explain/i)
  })
}

t.test('a peer that is neither near nor trusted is not told, whatever it knows', async (t) => {
  // The PROXY header names the peer.
  const flags = { 'http.proxyProtocol': 'required', trustedProxies: '127.0.0.1' }
  const running = await start(t, flags)
  const { connectRaw } = await import('../helpers/raw-client.ts')
  for (const [peer, isTold] of [
    ['203.0.113.9', false],
    ['127.0.0.1', true],
  ] as const) {
    const client = await connectRaw(running.http)
    client.send(`PROXY TCP4 ${peer} 127.0.0.1 1000 80\r\nGET /api HTTP/1.1\r\nHost: shop.test\r\n${ASK}\r\n`)
    const response = await client.response()
    t.equal(response.status, 200)
    t.equal(response.header('x-portico-route') !== undefined, isTold, peer)
    client.destroy()
  }
})

t.test('without a token of the admin listener nobody is told', async (t) => {
  const running = await start(t, { 'admin.token': '' })
  for (const fields of [ASK, 'X-Portico-Explain: \r\n']) {
    const { response } = await visit(running, 'http://shop.test/api', { fields })
    t.equal(response.header('x-portico-route'), undefined)
  }
})

t.test('a request without a route says in its record what was near, and never to its client', async (t) => {
  const running = await start(t)
  const cases = [
    ['http://shpo.test/', 'no rule has the host shpo.test; nearest: shop.test'],
    ['http://elsewhere.example/', 'no rule has the host elsewhere.example'],
    ['http://shop.test/apis', 'no path of shop.test matches; nearest: prefix /api'],
    ['http://shop.test/zzz', 'no path of shop.test matches'],
  ] as const
  for (const [url, detail] of cases) {
    const { response } = await visit(running, url)
    t.equal(response.status, 404)
    t.notMatch(response.body.toString(), /nearest|no rule has|no path of/)
    const headers = { authorization: `Bearer ${TOKEN}` }
    const { body } = await askApi(running.admin, `/api/v1/requests/${response.header('x-request-id')}`, headers)
    t.match(JSON.parse(body), { detail, cause: `No route matches this host and path: ${detail}` }, url)
  }
})
