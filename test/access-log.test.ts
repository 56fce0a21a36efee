/** The access log of a whole gateway: workers that share a file, signals, rotation, and fields that only a connection has. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, renameSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { connectH2, requestH2 } from './helpers/h2-client.ts'
import { connectRaw } from './helpers/raw-client.ts'
import { endpointsOf, ONE_ROUTE, runGateway, startEchoes } from './helpers/running-gateway.ts'
import { until } from './helpers/until.ts'

const ADMIN = { 'log.access': 'true' }
const TRACE = '0af7651916cd43dd8448eb211c80319c'

t.test('fields of the connection, of the head and of the route', async (t) => {
  const file = join(t.testdir(), 'access.log')
  const running = await runGateway(t, ONE_ROUTE, {
    endpoints: endpointsOf(await startEchoes(t, 'web')),
    flags: {
      ...ADMIN,
      'accessLog.to': 'file',
      'accessLog.file': file,
      'accessLog.fields': 'trace_id,tls_version,tls_cipher,worker,http_x_any,phase',
    },
  })
  const lines = () =>
    readFileSync(file, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line))
  const session = connectH2(t, running.https, { tls: true })
  await requestH2(session, {
    ...{ ':path': '/a?token=hunter2&x=1', ':authority': 'web.test' },
    ...{ traceparent: `00-${TRACE}-b7ad6b7169203331-01`, 'x-any': 'a"b' },
  })
  const client = await connectRaw(running.http)
  await client.send('GET /%zz HTTP/1.1\r\nHost: none.test\r\n\r\n').response()
  client.destroy()
  await until(() => lines().length === 2)
  const [first, second] = lines()
  t.match(first, {
    protocol: 'HTTP/2.0',
    target: '/a?token=***&x=1',
    trace_id: TRACE,
    tls_version: 'TLSv1.3',
    tls_cipher: /^TLS_/,
    worker: 0,
    http_x_any: 'a"b',
  })
  t.match(second, { status: 400, code: 'PORTICO_REQ_BAD_PATH', phase: 'request', tls_version: undefined })
})

t.test('a format that a reload brings is in force at once', async (t) => {
  const file = join(t.testdir(), 'access.log')
  const running = await runGateway(t, ONE_ROUTE, {
    endpoints: endpointsOf(await startEchoes(t, 'web')),
    flags: { ...ADMIN, 'accessLog.to': 'file', 'accessLog.file': file, 'accessLog.format': 'ingress-nginx' },
  })
  const client = await connectRaw(running.http)
  await client.send('GET /a HTTP/1.1\r\nHost: web.test\r\nReferer: http://b.test/\r\n\r\n').response()
  client.destroy()
  await until(() => readFileSync(file, 'utf8') !== '')
  const line = /^127\.0\.0\.1 - - \[.*\] "GET \/a HTTP\/1\.1" 200 \d+ "http:\/\/b\.test\/" "-" 0 \d\.\d{3} /
  t.match(readFileSync(file, 'utf8'), line)
})

t.test('two workers share a file; it is opened anew at SIGUSR1, and rotated by its size', async (t) => {
  const { web } = await startEchoes(t, 'web')
  const folder = t.testdir({ 'web.yaml': ONE_ROUTE })
  const file = join(folder, 'access.log')
  const ready = join(folder, 'ready')
  const words = [
    ...['bin/portico', 'run', '-f', join(folder, 'web.yaml'), '--workers', '2', '--no-https', '--no-admin'],
    ...['--http-port', '0', '--http-address', '127.0.0.1', '--data-dir', join(folder, 'data'), '--ready-file', ready],
    ...['--access-log-to', 'file', '--access-log-file', file, '--access-log-format', 'template'],
    ...['--access-log-template', '$worker $request_uri $status', '--access-log-file-bytes', '3000'],
    ...['--access-log-old-files', '3', '--endpoints', `default/web=127.0.0.1:${web!.port}`],
  ]
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'inherit'] })
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  })
  await until(() => existsSync(ready) && readFileSync(ready, 'utf8').trim() !== '')
  const port = Number(/"http":\s*(\d+)/.exec(readFileSync(ready, 'utf8'))?.[1])
  let sent = 0
  const ask = async (count: number) => {
    for (let index = 0; index < count; index++) {
      const client = await connectRaw(port)
      await client.send(`GET /${sent++} HTTP/1.1\r\nHost: web.test\r\nConnection: close\r\n\r\n`).response()
      client.destroy()
    }
  }
  const read = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : [])
  await ask(60)
  await until(() => read(file).length === 60)
  t.same(new Set(read(file).map((line) => line.slice(0, 1))), new Set(['1', '2']))
  renameSync(file, `${file}.old`)
  child.kill('SIGUSR1')
  await until(() => existsSync(file))
  await until(async () => {
    await ask(10)
    const numbers = new Set(read(file).map((line) => line.slice(0, 1)))
    return numbers.size === 2
  })
  await until(async () => {
    await ask(50)
    return existsSync(`${file}.2`)
  })
  child.kill('SIGTERM')
  await once(child, 'exit')
  const all = [`${file}.old`, `${file}.3`, `${file}.2`, `${file}.1`, file].flatMap(read)
  t.same(
    all.filter((line) => !/^[12] \/\d+ 200$/.test(line)),
    [],
  )
  t.equal(new Set(all.map((line) => line.split(' ')[1])).size, sent, 'each request has its line')
})

t.test('the status of gRPC comes from the trailers of an answer, or from its head', async (t) => {
  const upstream = createServer((request, response) => {
    if (request.url === '/head') {
      response.writeHead(200, { 'content-type': 'application/grpc', 'grpc-status': '5' }).end()
      return
    }
    response.writeHead(200, { 'content-type': 'application/grpc', trailer: 'grpc-status' })
    response.write('x')
    response.addTrailers({ 'grpc-status': '13' })
    response.end()
  })
  upstream.listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  t.teardown(() => upstream.close())
  const file = join(t.testdir(), 'access.log')
  const template = { 'accessLog.format': 'template', 'accessLog.template': '$uri $grpc_status' }
  const running = await runGateway(t, ONE_ROUTE, {
    endpoints: { web: [(upstream.address() as AddressInfo).port] },
    flags: { ...ADMIN, 'accessLog.to': 'file', 'accessLog.file': file, ...template },
  })
  const session = connectH2(t, running.https, { tls: true })
  for (const path of ['/trailers', '/head'])
    await requestH2(session, { ':path': path, ':authority': 'web.test', te: 'trailers' })
  await until(() => readFileSync(file, 'utf8') === '/trailers 13\n/head 5\n')
})
