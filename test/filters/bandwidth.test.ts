import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { printFilters } from '../../lib/filters/registry.ts'
import { connectH2, requestH2 } from '../helpers/h2-client.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { runGateway } from '../helpers/running-gateway.ts'
import { until } from '../helpers/until.ts'
import { ask, printFiltered, startFiltered, translateFiltered } from './filtered.ts'

const BODY = Buffer.from(Array.from({ length: 100_000 }, (_, at) => (at * 7) % 251))

/** `/chunked` has no Content-Length; `/cut` is broken off. */
async function start(t: Test, annotations: object, flags: Readonly<Record<string, string>> = {}) {
  const server = createServer(({ url }, response) => {
    if (url === '/chunked') response.writeHead(200, { 'Transfer-Encoding': 'chunked' })
    else response.setHeader('Content-Length', BODY.length)
    if (url === '/cut') response.write(BODY.subarray(0, 10_000), () => response.destroy())
    else response.end(BODY)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return runGateway(t, printFiltered(annotations), {
    endpoints: { web: [(server.address() as AddressInfo).port] },
    flags,
  })
}

const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

for (const lane of ['true', 'false']) {
  t.test(`an answer takes as long as its bytes, and loses none; fast lane ${lane}`, async (t) => {
    const running = await start(t, { bandwidth: '200k', 'bandwidth-after': '20k' }, { 'fastLane.enabled': lane })
    for (const path of ['/', '/chunked']) {
      const client = await connectRaw(running.http)
      const started = performance.now()
      const response = await client.send(`GET ${path} HTTP/1.1\r\nHost: a.test\r\n\r\n`).response()
      const took = performance.now() - started
      t.equal(hash(response.body), hash(BODY), path)
      // 80,000 bytes at 200,000 a second, but for the first piece.
      t.ok(took > 300, `${path} took ${took} ms`)
      t.equal(response.header('content-length'), path === '/' ? '100000' : undefined)
      t.equal((await client.send('HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n').response({ headOnly: true })).status, 200)
      client.destroy()
    }
    const session = connectH2(t, running.https, { tls: true })
    const started = performance.now()
    const answers = await Promise.all([1, 2, 3].map(() => requestH2(session, { ':path': '/', ':authority': 'a.test' })))
    const took = performance.now() - started
    for (const { body } of answers) t.equal(Buffer.from(body).length, BODY.length)
    t.ok(took > 300 && took < 5_000, `each answer for itself: ${took} ms`)
  })
}

t.test('an answer that breaks off is cut, and a client that leaves leaves nothing behind', async (t) => {
  const running = await start(t, { bandwidth: '10k' })
  const cut = await connectRaw(running.http)
  const response = await cut
    .send('GET /cut HTTP/1.1\r\nHost: a.test\r\n\r\n')
    .response()
    .catch(() => undefined)
  t.not(response?.complete, true)
  const client = await connectRaw(running.http)
  client.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
  await until(() => client.text.includes('\r\n\r\n'))
  t.equal(running.gateway.inFlight, 1)
  client.destroy()
  await until(() => running.gateway.inFlight === 0)
})

t.test('short answers are not slowed down, and compressed ones are after that, at every door', async (t) => {
  const answers = {
    '/text': {
      pieces: [
        `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 60000\r\n\r\n${'many words. '.repeat(5_000)}`,
      ],
    },
  }
  const doors = await startFiltered(t, { bandwidth: '4Ki', compress: 'gzip' }, '/', '', answers)
  for (const door of doors.names) {
    const started = performance.now()
    const { field, status } = await ask(doors, door, { target: '/text', fields: [['accept-encoding', 'gzip']] })
    t.same([status, field('content-encoding'), field('content-length')], [200, ['gzip'], []], door)
    t.equal((await ask(doors, door, { target: '/a' })).body, 'hello', door)
    t.ok(performance.now() - started < 5_000, door)
  }
})

t.test('what it says, and what cannot be used', (t) => {
  const { route } = translateFiltered({ bandwidth: '500Ki', 'bandwidth-after': '1Mi' })
  t.same(printFilters(route!), ['bandwidth: 500Ki a second after 1Mi'])
  for (const annotations of [
    { bandwidth: '0' },
    { bandwidth: '1000' },
    { bandwidth: '2Gi' },
    { bandwidth: '1m' },
    { bandwidth: '' },
    { bandwidth: '4Ki', 'bandwidth-after': '-1' },
    { bandwidth: '4Ki', 'bandwidth-after': '1Ti' },
    { 'bandwidth-after': '1Mi' },
  ]) {
    const { route, diagnostics } = translateFiltered(annotations)
    t.match(diagnostics[0], { code: 'PORTICO_ANN_VALUE', position: {}, help: /\w/ }, JSON.stringify(annotations))
    t.match(route, { filters: undefined, action: { type: 'forward' } })
  }
  t.end()
})
