/** Buffering as people write it: annotations of an Ingress and a Service, with filters, in workers too; and what they can see of it. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import http, { type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { gunzipSync, gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { loadConfiguration } from '../lib/control/configuration.ts'
import { translateFiltered } from './filters/filtered.ts'
import { GatewayProcess } from './helpers/gateway-process.ts'
import { createMemoryLog } from './helpers/memory-log.ts'
import { connectRaw } from './helpers/raw-client.ts'
import { readMetrics, runGateway } from './helpers/running-gateway.ts'
import { until } from './helpers/until.ts'

const MIB = 1024 * 1024
const SETTINGS = 'apiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\n'
const BODY = randomBytes(3 * MIB)
const NOISE = Buffer.concat(Array.from({ length: 8 }, () => BODY))
const TEXT = 'All work and no play makes Jack a dull boy.\n'.repeat(100_000)

function printManifests(port: number, ofIngress: object, ofService: object = {}): string {
  const write = (annotations: object) =>
    JSON.stringify(
      Object.fromEntries(Object.entries(annotations).map(([name, value]) => [`portico.dev/${name}`, value])),
    )
  return `apiVersion: v1
kind: Service
metadata: {name: web, annotations: ${write({ endpoints: `127.0.0.1:${port}`, ...ofService })}}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, annotations: ${write(ofIngress)}}
spec: {rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
`
}

/** Answers a GET with TEXT or NOISE, and anything else with the length and the sum of what came. */
async function startEndpoint(t: Test): Promise<{ port: number; asked: number; answered: Promise<void> }> {
  let noteAnswer = () => {}
  const answered = new Promise<void>((resolve) => {
    noteAnswer = resolve
  })
  const state = { port: 0, asked: 0, answered }
  const server = http.createServer(async (request, response) => {
    state.asked++
    if (request.url === '/noise') response.setHeader('Content-Type', 'text/plain').end(NOISE, noteAnswer)
    else if (request.method === 'GET') response.setHeader('Content-Type', 'text/plain').end(TEXT)
    else {
      const sum = createHash('sha256')
        .update(await buffer(request))
        .digest('hex')
      response.end(JSON.stringify({ length: request.headers['content-length'], sum }))
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  state.port = (server.address() as AddressInfo).port
  return state
}

function post(port: number, headers: Record<string, string> = {}): http.ClientRequest {
  const request = http.request({ host: '127.0.0.1', port, method: 'POST', agent: false, headers })
  request.on('error', () => {})
  return request
}

async function finish(request: http.ClientRequest, body: Buffer): Promise<{ status: number; text: string }> {
  request.end(body)
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  return { status: response.statusCode ?? 0, text: String(await buffer(response)) }
}

t.test('on an Ingress, on a Service, and in the settings', async (t) => {
  const endpoint = await startEndpoint(t)
  const sum = createHash('sha256').update(BODY).digest('hex')
  for (const [ofIngress, ofService, flags] of [
    [{ 'request-buffering': 'all' }, {}, {}],
    [{}, { 'request-buffering': 'all' }, {}],
    [{}, {}, { 'upstream.requestBuffering': 'all' }],
  ] as const) {
    const gateway = await runGateway(t, printManifests(endpoint.port, ofIngress, ofService), {
      flags: { ...flags, 'admin.enabled': 'true', 'admin.port': '0' },
    })
    const before = endpoint.asked
    const request = post(gateway.http)
    request.write(BODY.subarray(0, 2 * MIB))
    await until(
      async () => Number(/^portico_buffered_bytes\{in="file"\} (\d+)/m.exec(await readMetrics(gateway))?.[1]) > MIB,
    )
    t.equal(endpoint.asked, before)
    const { status, text } = await finish(request, BODY.subarray(2 * MIB))
    t.equal(status, 200)
    t.same(JSON.parse(text), { length: String(BODY.length), sum })
    await until(async () => /^portico_buffered_bytes\{in="file"\} 0$/m.test(await readMetrics(gateway)))
  }
})

t.test('a folder that is none is refused at the start', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-no-folder-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'file')
  writeFileSync(file, '')
  const path = join(folder, 'portico.yaml')
  const find = async (value: string) => {
    writeFileSync(path, `${SETTINGS}buffering:\n  folder: ${value}\n`)
    const { diagnostics } = await loadConfiguration({ sources: [], config: path, environment: {}, flags: {} })
    return diagnostics.filter(({ code }) => code === 'PORTICO_SET_FIELD_VALUE')
  }
  for (const value of [file, join(file, 'bodies')]) {
    const found = await find(value)
    t.match(found, [
      {
        message: /^buffering\.folder: .*(is no folder|cannot be written \(ENOTDIR\))$/,
        position: { line: 4, column: 11 },
      },
    ])
  }
  t.same(await find(join(folder, 'later')), [], 'one that is missing is made')
})

t.test('other words are refused', async (t) => {
  for (const [annotation, help] of [
    [{ 'request-buffering': 'on' }, /short or all or none/],
    [{ 'response-buffering': 'none' }, /short or all/],
  ] as const) {
    const { diagnostics } = translateFiltered(annotation)
    t.match(
      diagnostics.find(({ code }) => code !== 'PORTICO_REF_SERVICE_NOT_FOUND'),
      { message: /is not one of short, all/, help },
    )
  }
})

t.test('filters refuse before a body is read, and what they change is buffered as the endpoint gets it', async (t) => {
  const endpoint = await startEndpoint(t)
  const denied = await runGateway(
    t,
    printManifests(endpoint.port, { 'request-buffering': 'all', 'deny-source-range': '127.0.0.0/8' }),
  )
  const client = await connectRaw(denied.http)
  client.send('POST / HTTP/1.1\r\nHost: gw.test\r\nTransfer-Encoding: chunked\r\n\r\n')
  t.equal((await client.response()).status, 403)
  client.destroy()

  const gateway = await runGateway(
    t,
    printManifests(endpoint.port, {
      'request-buffering': 'all',
      'response-buffering': 'all',
      decompress: 'true',
      compress: 'true',
    }),
  )
  const { text } = await finish(post(gateway.http, { 'Content-Encoding': 'gzip' }), gzipSync(TEXT))
  t.same(JSON.parse(text), { length: String(TEXT.length), sum: createHash('sha256').update(TEXT).digest('hex') })

  const get = http.get({ host: '127.0.0.1', port: gateway.http, agent: false, headers: { 'Accept-Encoding': 'gzip' } })
  const [response] = (await once(get, 'response')) as [IncomingMessage]
  t.equal(response.headers['content-encoding'], 'gzip')
  t.equal(gunzipSync(await buffer(response)).toString(), TEXT)

  // Bytes of little use to gzip, so that the client falls behind.
  const slow = http.get({
    host: '127.0.0.1',
    port: gateway.http,
    path: '/noise',
    agent: false,
    headers: { 'Accept-Encoding': 'gzip' },
  })
  const [noise] = (await once(slow, 'response')) as [IncomingMessage]
  t.equal(noise.headers['content-encoding'], 'gzip')
  await endpoint.answered
  t.ok(gunzipSync(await buffer(noise)).equals(NOISE), 'what was compressed before the client took it')
})

t.test('a folder that cannot be written is told at the start, if a route buffers', async (t) => {
  const endpoint = await startEndpoint(t)
  const folder = mkdtempSync(join(tmpdir(), 'portico-blocked-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'file')
  writeFileSync(file, '')
  for (const [annotations, count] of [
    [{ 'response-buffering': 'all' }, 1],
    [{}, 0],
  ] as const) {
    const log = createMemoryLog()
    await runGateway(t, printManifests(endpoint.port, annotations), {
      log,
      flags: { dataDir: join(file, 'data'), 'https.enabled': 'false' },
    })
    const find = () =>
      log.lines('warn').filter(({ msg }) => /no body can be buffered in a file of .*bodies: ENOTDIR/.test(msg))
    if (count > 0) await until(() => find().length > 0)
    t.equal(find().length, count)
  }
})

t.test('a worker that is killed leaves nothing on the disk', async (t) => {
  const endpoint = await startEndpoint(t)
  const folder = mkdtempSync(join(tmpdir(), 'portico-killed-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const gateway = await GatewayProcess.start(
    printManifests(endpoint.port, { 'request-buffering': 'all' }),
    `${SETTINGS}buffering: {folder: ${folder}}\n`,
  )
  t.teardown(() => gateway.stop())
  const request = post(gateway.ports.http)
  request.write(BODY)
  const read = async () =>
    Number(
      /^portico_buffered_bytes\{in="file"\} (\d+)/m.exec(
        await (await fetch(`http://127.0.0.1:${gateway.ports.admin}/metrics`)).text(),
      )?.[1],
    )
  await until(async () => (await read()) > MIB)
  t.same(readdirSync(folder), [], 'a file that is open has no name')
  const [worker = 0] = await gateway.workers()
  process.kill(worker, 'SIGKILL')
  await until(async () => (await read()) === 0)
  t.same(readdirSync(folder), [])
  t.equal(endpoint.asked, 0)
})
