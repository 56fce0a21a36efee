/** Traces over sockets: what clients say of them, what endpoints are told, and the spans that a collector gets. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { findFreePort } from './helpers/free-ports.ts'
import { createMemoryLog } from './helpers/memory-log.ts'
import { endpointsOf, runGateway, startEchoes, visit } from './helpers/running-gateway.ts'
import { type CollectedSpan, startSpanCollector } from './helpers/span-collector.ts'
import { until } from './helpers/until.ts'

t.jobs = 4

const MANIFESTS = (authPort: number) => `
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  rules: [{host: shop.example, http: {paths: [{path: /api, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: guarded, annotations: {portico.dev/auth-url: "http://127.0.0.1:${authPort}/"}}
spec:
  rules: [{host: guarded.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]
`

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'
const PARENT = `traceparent: 00-${TRACE}-${SPAN}-01\r\ntracestate: rojo=00f067aa0ba902b7\r\nbaggage: user=1\r\n`

async function start(t: Test, flags: Readonly<Record<string, string>>) {
  const upstreams = await startEchoes(t, 'web')
  const auth = createServer((_request, response) => setTimeout(() => response.writeHead(200).end(), 30))
  auth.listen(0, '127.0.0.1')
  await new Promise((resolve) => auth.once('listening', resolve))
  t.teardown(() => {
    auth.close()
    auth.closeAllConnections()
  })
  const manifests = MANIFESTS((auth.address() as AddressInfo).port)
  return { upstreams, running: await runGateway(t, manifests, { endpoints: endpointsOf(upstreams), flags }) }
}

/** The fields of these names as the endpoint got them. */
function fieldsOf(headers: readonly string[], ...names: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {}
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at]!.toLowerCase()
    if (!names.includes(name)) continue
    found[name] = name in found ? `${found[name]} AND ${headers[at + 1]}` : headers[at + 1]!
  }
  return found
}

const find = (spans: readonly CollectedSpan[], kind: CollectedSpan['kind']) => spans.find((span) => span.kind === kind)!

for (const exporter of ['otlp-http', 'otlp-grpc'] as const) {
  t.test(`${exporter}: a span of the request and of its try, in the trace of the client`, async (t) => {
    const { spans, url } = await startSpanCollector(t, exporter)
    const { running, upstreams } = await start(t, { 'tracing.exporter': exporter, 'tracing.endpoint': url })
    const before = Date.now()
    const { echo } = await visit(running, 'http://shop.example/api/orders?token=of-a-client&a=1', { fields: PARENT })
    await until(() => spans.length >= 2)
    const server = find(spans, 'server')
    const client = find(spans, 'client')
    t.match(server, {
      traceId: TRACE,
      parentId: SPAN,
      name: 'GET /api',
      isError: false,
      service: 'portico',
      attributes: {
        'http.request.method': 'GET',
        'http.route': '/api',
        'http.response.status_code': 200,
        'url.path': '/api/orders',
        'url.query': 'token=***&a=1',
        'url.scheme': 'http',
        'server.address': 'shop.example',
        'client.address': '127.0.0.1',
        'network.protocol.version': '1.1',
        'portico.ingress': 'default/shop',
        'portico.service': 'default/web:80',
      },
    })
    t.match(client, {
      traceId: TRACE,
      parentId: server.spanId,
      name: 'GET',
      attributes: {
        'server.address': '127.0.0.1',
        'server.port': upstreams.web.port,
        'http.response.status_code': 200,
      },
    })
    t.ok(server.start >= before - 1 && server.end <= Date.now() + 1, 'at the time of the request')
    t.ok(client.start >= server.start - 0.01 && client.end <= server.end + 0.01, 'the try lies within the request')
    t.same(fieldsOf(echo!.headers, 'traceparent', 'tracestate', 'baggage'), {
      traceparent: `00-${TRACE}-${client.spanId}-01`,
      tracestate: 'rojo=00f067aa0ba902b7',
      baggage: 'user=1',
    })
  })
}

t.test('without a parent a trace begins, and the endpoint hears of it', async (t) => {
  const { spans, url } = await startSpanCollector(t, 'otlp-http')
  const { running } = await start(t, { 'tracing.exporter': 'otlp-http', 'tracing.endpoint': url })
  for (const fields of ['', 'traceparent: 00-zz-1-01\r\ntracestate: a=1\r\n']) {
    spans.length = 0
    const { echo } = await visit(running, 'http://shop.example/api', { fields })
    await until(() => spans.length >= 2)
    const server = find(spans, 'server')
    t.equal(server.parentId, '')
    t.match(server.traceId, /^[0-9a-f]{32}$/)
    const told = { traceparent: `00-${server.traceId}-${find(spans, 'client').spanId}-01` }
    t.same(fieldsOf(echo!.headers, 'traceparent', 'tracestate'), told, 'state of no trace is left out')
  }
})

t.test('a try that fails and the one after it are two spans, and the endpoint is told the second', async (t) => {
  const { spans, url } = await startSpanCollector(t, 'otlp-http')
  const upstreams = await startEchoes(t, 'web')
  const dead = await findFreePort()
  const flags = { 'tracing.exporter': 'otlp-http', 'tracing.endpoint': url }
  const running = await runGateway(t, MANIFESTS(1), { endpoints: { web: [dead, upstreams.web.port] }, flags })
  let tries: CollectedSpan[] = []
  let told = {}
  for (let count = 0; count < 4 && tries.length < 2; count++) {
    spans.length = 0
    const { echo, status } = await visit(running, 'http://shop.example/api')
    t.equal(status, 200)
    await until(() => spans.some(({ kind }) => kind === 'server'))
    tries = spans.filter(({ kind }) => kind === 'client')
    told = fieldsOf(echo!.headers, 'traceparent')
  }
  t.match(tries, [
    { isError: true, attributes: { 'server.port': dead, 'error.type': 'PORTICO_UP_CONNECT_REFUSED' } },
    { isError: false, attributes: { 'server.port': upstreams.web.port, 'http.request.resend_count': 1 } },
  ])
  t.same(told, { traceparent: `00-${tries[1]!.traceId}-${tries[1]!.spanId}-01` })
})

t.test(
  'a filter that is waited for has a span; an answer of the gateway itself is one span, with its cause',
  async (t) => {
    const { spans, url } = await startSpanCollector(t, 'otlp-http')
    const { running } = await start(t, { 'tracing.exporter': 'otlp-http', 'tracing.endpoint': url })
    await visit(running, 'http://guarded.example/')
    await until(() => spans.length >= 3)
    const filter = find(spans, 'internal')
    t.match(filter, { name: 'filter forward-auth', parentId: find(spans, 'server').spanId })
    t.ok(filter.end - filter.start >= 25, `${filter.end - filter.start} ms`)
    spans.length = 0
    await visit(running, 'http://nobody.example/secret/path')
    await until(() => spans.length >= 1)
    t.match(spans, [
      { kind: 'server', name: 'GET', isError: false, attributes: { 'error.type': 'PORTICO_REQ_NO_ROUTE' } },
    ])
  },
)

t.test('sampling: a share of the traces that begin here; the decision of a parent counts', async (t) => {
  const { spans, url } = await startSpanCollector(t, 'otlp-http')
  const flags = { 'tracing.exporter': 'otlp-http', 'tracing.endpoint': url, 'tracing.sampling': '0%' }
  const { running } = await start(t, flags)
  const { echo } = await visit(running, 'http://shop.example/api')
  t.match(fieldsOf(echo!.headers, 'traceparent').traceparent, /-00$/, 'the endpoint is told that it is not recorded')
  const none = await visit(running, 'http://shop.example/api', { fields: PARENT.replace('-01\r\n', '-00\r\n') })
  t.match(fieldsOf(none.echo!.headers, 'traceparent').traceparent, new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`))
  await visit(running, 'http://shop.example/api', { fields: PARENT })
  await until(() => spans.length >= 2)
  t.same(new Set(spans.map(({ traceId }) => traceId)), new Set([TRACE]))
  t.equal(spans.length, 2)
})

t.test('tracing.parents: whose trace is continued', async (t) => {
  const { spans, url } = await startSpanCollector(t, 'otlp-http')
  const flags = { 'tracing.exporter': 'otlp-http', 'tracing.endpoint': url }
  const stranger = await start(t, { ...flags, 'tracing.parents': 'trusted' })
  const { echo } = await visit(stranger.running, 'http://shop.example/api', { fields: PARENT })
  const told = fieldsOf(echo!.headers, 'traceparent', 'tracestate', 'baggage')
  t.notMatch(told.traceparent, TRACE)
  t.match(told, { tracestate: undefined, baggage: 'user=1' })
  const trusted = await start(t, { ...flags, 'tracing.parents': 'trusted', trustedProxies: '127.0.0.0/8' })
  const continued = await visit(trusted.running, 'http://shop.example/api', { fields: PARENT })
  t.match(fieldsOf(continued.echo!.headers, 'traceparent').traceparent, TRACE)
  const never = await start(t, { ...flags, 'tracing.parents': 'none', trustedProxies: '127.0.0.0/8' })
  const begun = await visit(never.running, 'http://shop.example/api', { fields: PARENT })
  t.notMatch(fieldsOf(begun.echo!.headers, 'traceparent').traceparent, TRACE)
  await until(() => spans.length >= 6)
})

t.test('B3 in one field and in several', async (t) => {
  const { spans, url } = await startSpanCollector(t, 'otlp-http')
  const flags = { 'tracing.exporter': 'otlp-http', 'tracing.endpoint': url }
  const one = await start(t, { ...flags, 'tracing.propagation': 'b3' })
  const single = await visit(one.running, 'http://shop.example/api', { fields: `b3: ${TRACE.slice(16)}-${SPAN}-1\r\n` })
  await until(() => spans.length >= 2)
  const padded = `${'0'.repeat(16)}${TRACE.slice(16)}`
  t.match(find(spans, 'server'), { traceId: padded, parentId: SPAN })
  t.same(fieldsOf(single.echo!.headers, 'b3', 'traceparent'), {
    b3: `${padded}-${find(spans, 'client').spanId}-1-${find(spans, 'server').spanId}`,
  })
  spans.length = 0
  const many = await start(t, { ...flags, 'tracing.propagation': 'b3-multi' })
  const fields = `X-B3-TraceId: ${TRACE}\r\nX-B3-SpanId: ${SPAN}\r\nX-B3-Sampled: 1\r\nX-B3-ParentSpanId: 1111111111111111\r\n`
  const multi = await visit(many.running, 'http://shop.example/api', { fields })
  await until(() => spans.length >= 2)
  t.same(fieldsOf(multi.echo!.headers, 'x-b3-traceid', 'x-b3-spanid', 'x-b3-parentspanid', 'x-b3-sampled'), {
    'x-b3-traceid': TRACE,
    'x-b3-spanid': find(spans, 'client').spanId,
    'x-b3-parentspanid': find(spans, 'server').spanId,
    'x-b3-sampled': '1',
  })
})

t.test('off, the fields of the client go on as they are', async (t) => {
  const { running } = await start(t, {})
  const { echo } = await visit(running, 'http://shop.example/api', { fields: `${PARENT}b3: 0\r\n` })
  t.same(fieldsOf(echo!.headers, 'traceparent', 'tracestate', 'baggage', 'b3'), {
    traceparent: `00-${TRACE}-${SPAN}-01`,
    tracestate: 'rojo=00f067aa0ba902b7',
    baggage: 'user=1',
    b3: '0',
  })
})

t.test('a collector that is not there costs spans, not requests, and is told in the log', async (t) => {
  const port = await findFreePort()
  const log = createMemoryLog()
  const upstreams = await startEchoes(t, 'web')
  const flags = { 'tracing.exporter': 'otlp-http', 'tracing.endpoint': `http://127.0.0.1:${port}/v1/traces` }
  const running = await runGateway(t, MANIFESTS(1), { endpoints: endpointsOf(upstreams), flags, log })
  for (let count = 0; count < 50; count++) t.equal((await visit(running, 'http://shop.example/api')).status, 200)
  await until(() => log.lines('warn').some(({ msg }) => msg === 'spans could not be sent to the collector'))
})
