/**
 * The OpenTelemetry Collector itself: what it understands of the spans that it gets by HTTP and by gRPC. Needs Go, which builds it by the
 * Collector's own builder. It hands the spans on to a server of the test, encoded by itself.
 */
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { printFiltered } from '../filters/filtered.ts'
import { findFreePort, findFreePorts } from '../helpers/free-ports.ts'
import { keepChild } from '../helpers/kept-child.ts'
import { runGateway, startEchoes, visit } from '../helpers/running-gateway.ts'
import { startSpanCollector } from '../helpers/span-collector.ts'
import { until } from '../helpers/until.ts'

const VERSION = 'v0.150.0'
/** Modules of the Collector that are stable have a version of their own. */
const STABLE_VERSION = 'v1.56.0'
const MODULE = 'go.opentelemetry.io/collector'
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const PARENT = '00f067aa0ba902b7'

const hasGo = spawnSync('go', ['version']).status === 0
const folder = mkdtempSync(join(tmpdir(), 'portico-collector-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

/** The program of the environment variable OTEL_COLLECTOR, or one that Go builds in some minutes. */
function build(): string {
  const { OTEL_COLLECTOR } = process.env
  if (OTEL_COLLECTOR !== undefined) return OTEL_COLLECTOR
  const parts = {
    dist: { name: 'collector', output_path: folder },
    receivers: [{ gomod: `${MODULE}/receiver/otlpreceiver ${VERSION}` }],
    exporters: [{ gomod: `${MODULE}/exporter/otlphttpexporter ${VERSION}` }],
    conf_resolver: { default_uri_scheme: 'file' },
    providers: [{ gomod: `${MODULE}/confmap/provider/fileprovider ${STABLE_VERSION}` }],
  }
  const file = join(folder, 'parts.json')
  writeFileSync(file, JSON.stringify(parts))
  const words = ['run', `${MODULE}/cmd/builder@${VERSION}`, '--config', file]
  const { status, stderr } = spawnSync('go', words, { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return join(folder, 'collector')
}

async function startCollector(t: Test, program: string) {
  const { spans, url } = await startSpanCollector(t, 'otlp-http')
  const [http = 0, grpc = 0] = await findFreePorts(2)
  const protocols = { http: { endpoint: `127.0.0.1:${http}` }, grpc: { endpoint: `127.0.0.1:${grpc}` } }
  const configuration = {
    receivers: { otlp: { protocols } },
    exporters: { otlp_http: { traces_endpoint: url } },
    service: {
      telemetry: { metrics: { level: 'none' } },
      pipelines: { traces: { receivers: ['otlp'], exporters: ['otlp_http'] } },
    },
  }
  const file = join(t.testdir(), 'collector.json')
  writeFileSync(file, JSON.stringify(configuration))
  const child = keepChild(spawn(program, ['--config', file], { stdio: ['ignore', 'pipe', 'pipe'] }))
  let output = ''
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (chunk) => (output += chunk))
  t.teardown(() => child.kill())
  await until(() => child.exitCode !== null || output.includes('Everything is ready'))
  if (child.exitCode !== null) throw new Error(output)
  const endpoints = { 'otlp-http': `http://127.0.0.1:${http}/v1/traces`, 'otlp-grpc': `http://127.0.0.1:${grpc}` }
  return { spans, endpoints, output: () => output }
}

t.test(
  'spans come to the Collector as they were meant',
  { skip: hasGo ? false : 'Go is not installed', timeout: 900_000 },
  async (t) => {
    const collector = await startCollector(t, build())
    for (const [exporter, endpoint] of Object.entries(collector.endpoints)) {
      collector.spans.length = 0
      const upstreams = await startEchoes(t, 'web')
      const dead = await findFreePort()
      const running = await runGateway(t, printFiltered({}), {
        endpoints: { web: [dead, upstreams.web.port] },
        flags: { 'tracing.exporter': exporter, 'tracing.endpoint': endpoint },
      })
      const fields = `traceparent: 00-${TRACE}-${PARENT}-01\r\ntracestate: rojo=1\r\n`
      const start = Date.now()
      for (let count = 0; count < 4; count++) {
        t.equal((await visit(running, 'http://a.test/orders?token=secret&a=1', { fields })).status, 200)
      }
      const servers = () => collector.spans.filter(({ kind }) => kind === 'server')
      await until(() => servers().length === 4)
      for (const server of servers()) {
        t.match(server, {
          traceId: TRACE,
          parentId: PARENT,
          name: 'GET /',
          isError: false,
          service: 'portico',
          attributes: {
            'http.response.status_code': 200,
            'url.query': 'token=***&a=1',
            'portico.ingress': 'default/web',
            'portico.service': 'default/web:80',
          },
        })
        t.ok(server.start >= start - 1 && server.end <= Date.now() + 1 && server.start <= server.end)
        const tries = collector.spans.filter(({ kind, parentId }) => kind === 'client' && parentId === server.spanId)
        t.match(tries.at(-1), { traceId: TRACE, isError: false, attributes: { 'server.port': upstreams.web.port } })
      }
      const failed = collector.spans.filter(({ isError }) => isError)
      t.ok(failed.length > 0)
      for (const { kind, attributes } of failed) {
        t.equal(kind, 'client')
        t.match(attributes, { 'server.port': dead, 'error.type': 'PORTICO_UP_CONNECT_REFUSED' })
      }
    }
    t.notMatch(collector.output(), /\terror\t/)
  },
)
