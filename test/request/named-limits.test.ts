/** Answers that refuse a request for its size or number, or for its time, name the limit; so does the log. */
import t from 'tap'
import { askApi } from '../helpers/admin-api.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { runGateway, startEchoes } from '../helpers/running-gateway.ts'

const MANIFESTS = `
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec: {rules: [{host: web.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: rated, annotations: {portico.dev/rate-limit: 1/m, portico.dev/rate-limit-burst: "1"}}
spec: {rules: [{host: rated.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: few, annotations: {portico.dev/concurrency-limit: "1"}}
spec: {rules: [{host: few.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
`
const HEAD = (host: string, more = '') => `GET / HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`
const BODY = 'POST / HTTP/1.1\r\nHost: web.test\r\nContent-Length: 70000\r\n\r\nabc'

const CASES: readonly (readonly [status: number, bytes: string, sentence: string, detail: RegExp])[] = [
  [
    408,
    'GET / HTTP/1.1\r\nHost: we',
    'The request did not arrive in time: its head may take 500ms.',
    /: timeouts\.requestHeaders \(500 ms\)$/,
  ],
  [408, BODY, 'The request did not arrive in time: its body may pause for 400ms.', /too little .* for 400 ms$/],
  [
    413,
    'POST / HTTP/1.1\r\nHost: web.test\r\nContent-Length: 100000\r\n\r\n',
    'The request body is too large: it may have at most 80000 bytes.',
    /more than limits\.bodyBytes \(80000 bytes\)/,
  ],
  [
    414,
    `GET /${'x'.repeat(400)} HTTP/1.1\r\nHost: web.test\r\n\r\n`,
    'The request target is too long: it may have at most 256 bytes.',
    /more than limits\.targetBytes \(256 bytes\)$/,
  ],
  [
    431,
    HEAD('web.test', `X: ${'x'.repeat(3000)}\r\n`),
    'The request headers are too large: they may have at most 2 KiB.',
    /limits\.headerBytes \(2048 bytes\)/,
  ],
]

for (const lane of ['true', 'false']) {
  t.test(`with the fast lane ${lane}`, async (t) => {
    const { web } = await startEchoes(t, 'web')
    const running = await runGateway(t, MANIFESTS, {
      endpoints: { web: [web.port] },
      flags: {
        'admin.enabled': 'true',
        'admin.port': '0',
        'fastLane.enabled': lane,
        'limits.bodyBytes': '80000',
        'limits.targetBytes': '256',
        'limits.headerBytes': '2Ki',
        'limits.requestsPerClient': '1',
        'timeouts.requestHeaders': '500ms',
        'timeouts.requestBodyIdle': '400ms',
      },
    })
    const send = async (bytes: string) => {
      const client = await connectRaw(running.http)
      client.send(bytes)
      const response = await client.response()
      client.destroy()
      return response
    }
    const check = async (
      response: Awaited<ReturnType<typeof send>>,
      status: number,
      sentence: string,
      detail: RegExp,
    ) => {
      t.equal(response.status, status)
      const { message, requestId } = JSON.parse(response.body.toString())
      t.equal(message, sentence)
      const { body } = await askApi(running.admin, `/api/v1/requests/${requestId}`)
      t.match(JSON.parse(body).detail, detail)
    }
    for (const [status, bytes, sentence, detail] of CASES) await check(await send(bytes), status, sentence, detail)

    // One is under way while the others come.
    const slow = await connectRaw(running.http)
    slow.send(BODY)
    const many = await send(HEAD('web.test'))
    const sentence = 'The client has too many requests under way: it may have 1 at once.'
    await check(many, 429, sentence, /^1 are under way: limits\.requestsPerClient \(1\)$/)
    slow.destroy()

    t.equal((await send(HEAD('rated.test'))).status, 200)
    const rated = await send(HEAD('rated.test'))
    await check(
      rated,
      429,
      'The client sends too many requests: 1/m are allowed.',
      /^the next may come in \d+s: rate-limit 1\/m a client$/,
    )
  })
}

t.test('a concurrency limit', async (t) => {
  const { web } = await startEchoes(t, 'web')
  const running = await runGateway(t, MANIFESTS, { endpoints: { web: [web.port] } })
  const slow = await connectRaw(running.http)
  slow.send(BODY.replace('web.test', 'few.test'))
  const other = await connectRaw(running.http)
  let response = await ask()
  for (let count = 0; count < 50 && response.status === 200; count++) response = await ask()
  t.equal(response.status, 429)
  t.match(response.body.toString(), 'The client has too many requests under way: it may have 1 at once.')
  slow.destroy()
  other.destroy()

  async function ask() {
    other.send(HEAD('few.test'))
    return other.response()
  }
})
