import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { connectRawH2 } from '../helpers/h2-client.ts'
import { connectRaw, connectRawTls, type RawClient } from '../helpers/raw-client.ts'
import { runGateway } from '../helpers/running-gateway.ts'
import { until } from '../helpers/until.ts'
import { ask, printFiltered, startFiltered, translateFiltered } from './filtered.ts'

/** A gateway before an endpoint that answers at once, but for `/hold` when it is told to, and `/half` never wholly. */
async function start(t: Test, annotations: object, flags: Readonly<Record<string, string>> = {}) {
  const held: ServerResponse[] = []
  let tunnels = 0
  const server = createServer(({ url }, response) => {
    if (url === '/') response.end('ok')
    else held.push(response)
    if (url === '/half') response.write('begun')
  })
  server.on('upgrade', (_, socket) => {
    tunnels++
    socket.on('error', () => {})
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n')
    socket.resume()
    socket.on('end', () => socket.end())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const running = await runGateway(t, printFiltered(annotations), { endpoints: { web: [port] }, flags })
  const send = async (line: string, fields: string, localAddress: string): Promise<RawClient> =>
    (await connectRaw(running.http, { localAddress })).send(`${line} HTTP/1.1\r\nHost: a.test\r\n${fields}\r\n`)
  return {
    running,
    held,
    tunnels: () => tunnels,
    /** Leaves a request under way. */
    async hold({ method = 'GET', path = '/hold', fields = '', from = '127.0.0.1' } = {}): Promise<RawClient> {
      const before = held.length
      const client = await send(`${method} ${path}`, fields, from)
      await until(() => held.length > before)
      return client
    },
    /** The status of a request that the endpoint answers at once. */
    async ask({ fields = '', from = '127.0.0.1' } = {}): Promise<number> {
      const client = await send('GET /', fields, from)
      const { status } = await client.response()
      client.destroy()
      return status
    },
  }
}

t.test('a status of its own takes the place of 429 and 503', async (t) => {
  for (const by of ['client', 'all']) {
    const annotations = { 'concurrency-limit': '1', 'concurrency-limit-by': by, 'concurrency-limit-status': '520' }
    const { hold, running } = await start(t, annotations)
    await hold()
    const client = await connectRaw(running.http)
    const refusal = await client.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n').response()
    t.match([refusal.status, refusal.header('retry-after')], [520, '1'], by)
  }
})

t.test('no more requests of a client are under way than the limit, and others have theirs', async (t) => {
  const { hold, held, ask, running } = await start(t, { 'concurrency-limit': '2' })
  const first = await hold()
  await hold()
  const client = await connectRaw(running.http)
  const refusal = await client.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n').response()
  t.match([refusal.status, refusal.header('retry-after')], [429, '1'])
  t.equal(JSON.parse(String(refusal.body)).code, 'PORTICO_REQ_TOO_MANY')
  t.equal(await ask({ from: '127.0.0.2' }), 200)
  held[0]!.end('done')
  t.equal((await first.response()).status, 200)
  t.equal(await ask(), 200, 'an answer frees its place')
})

t.test('every ending frees the place', async (t) => {
  const { hold, held, ask, tunnels, running } = await start(t, { 'concurrency-limit': '1' })
  const isFree = async (why: string): Promise<void> => {
    await until(async () => (await ask()) === 200)
    t.equal(await ask(), 200, why)
  }
  const endings: Readonly<Record<string, () => Promise<void>>> = {
    'the client leaves before an answer': async () => {
      const client = await hold()
      t.equal(await ask(), 429)
      client.reset()
    },
    'the client leaves in the middle of an answer': async () => {
      const client = await hold({ path: '/half' })
      await client.until((text) => text.includes('begun'))
      t.equal(await ask(), 429)
      client.reset()
    },
    'the endpoint cuts the answer': async () => {
      const client = await hold({ path: '/half' })
      await client.until((text) => text.includes('begun'))
      held.at(-1)!.destroy()
      await client.closed
    },
    'the endpoint closes without an answer': async () => {
      const client = await hold({ method: 'POST', fields: 'Content-Length: 0\r\n' })
      held.at(-1)!.destroy()
      t.equal((await client.response()).status, 502)
      client.destroy()
    },
    'the upload breaks off': async () => {
      const client = await connectRaw(running.http)
      client.send('POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhalf')
      await until(() => running.gateway.inFlight === 1)
      t.equal(await ask(), 429)
      client.reset()
    },
    'a tunnel ends': async () => {
      const before = tunnels()
      const client = await connectRaw(running.http)
      client.send('GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n')
      await client.until((text) => text.includes('101'))
      t.equal(tunnels(), before + 1)
      t.equal(await ask(), 429, 'a tunnel has its place as long as it is open')
      client.end()
      await client.closed
    },
    'a stream of HTTP/2 is reset': async () => {
      const before = held.length
      const client = await connectRawH2(running.https, { tls: true })
      const fields = [':method', 'GET', ':scheme', 'https', ':authority', 'a.test', ':path', '/hold']
      const pairs = [0, 2, 4, 6].map((at) => [fields[at]!, fields[at + 1]!] as [string, string])
      client.headers(1, pairs, true)
      await until(() => held.length > before)
      t.equal(await ask(), 429)
      client.reset(1, 8)
      await isFree('a reset, the connection is still there')
      client.headers(3, pairs, true)
      await until(() => held.length > before + 1)
      client.socket.destroy()
    },
    'TLS is cut': async () => {
      const before = held.length
      const client = await connectRawTls(running.https, { servername: 'a.test' })
      client.send('GET /hold HTTP/1.1\r\nHost: a.test\r\n\r\n')
      await until(() => held.length > before)
      client.destroy()
    },
  }
  for (const [why, end] of Object.entries(endings)) {
    await end()
    await isFree(why)
  }
})

t.test('a later filter that answers, and a route without an endpoint, free it too, at every door', async (t) => {
  for (const more of [{ maintenance: 'true' }, { 'respond-status': '204' }, { 'rate-limit': '1/h' }]) {
    const doors = await startFiltered(t, { 'concurrency-limit': '1', ...more })
    for (const door of doors.names) {
      for (let round = 0; round < 3; round++) {
        const { status, body } = await ask(doors, door, {})
        t.notMatch(body, /PORTICO_REQ_TOO_MANY/, `${door} ${JSON.stringify(more)} ${status}`)
      }
    }
  }
})

t.test('requests are counted by what the limits say, all at once, and exempt clients are not', async (t) => {
  const { hold, ask, held } = await start(t, {
    'concurrency-limit': '1, 3',
    'concurrency-limit-by': 'header:X-Key, all',
    'concurrency-limit-exempt': '127.0.0.9',
  })
  const key = (value: string) => ({ fields: `X-Key: ${value}\r\n` })
  await hold(key('a'))
  t.equal(await ask({ ...key('a'), from: '127.0.0.2' }), 429)
  t.equal(await ask(key('b')), 200)
  await hold({ from: '127.0.0.3' })
  t.equal(await ask({ from: '127.0.0.3' }), 429, 'without the field the client counts')
  await hold(key('c'))
  t.equal(await ask(key('d')), 503, 'the limit of all')
  t.equal(await ask({ ...key('a'), from: '127.0.0.9' }), 200)
  for (const response of held) response.end()
  await until(async () => (await ask(key('a'))) === 200)
})

t.test('places stay taken over reloads', async (t) => {
  const { hold, ask, running } = await start(t, { 'concurrency-limit': '1' })
  const client = await hold()
  await running.change(printFiltered({ 'concurrency-limit': '1', 'request-headers-set': 'X-A: b' }))
  t.equal(await ask(), 429)
  await running.change(printFiltered({ 'concurrency-limit': '2' }))
  t.equal(await ask(), 200)
  client.reset()
  await until(async () => (await ask()) === 200)
})

t.test('workers share the limit', async (t) => {
  const flags = { workers: '2', 'https.enabled': 'false' }
  const { running, held, ask } = await start(t, { 'concurrency-limit': '4', 'concurrency-limit-by': 'all' }, flags)
  const clients = await Promise.all(Array.from({ length: 24 }, () => connectRaw(running.http)))
  for (const client of clients) client.send('GET /hold HTTP/1.1\r\nHost: a.test\r\n\r\n')
  const refused = () => clients.filter(({ text }) => text.startsWith('HTTP/1.1 503')).length
  await until(() => held.length + refused() === clients.length)
  t.ok(held.length >= 2 && held.length <= 4, `${held.length} at once`)
  for (const response of held) response.end()
  await until(async () => (await ask()) === 200)
  for (const client of clients) client.destroy()
})

t.test('a limit that cannot be used closes its routes', async (t) => {
  for (const annotations of [
    { 'concurrency-limit': '0' },
    { 'concurrency-limit': '1.5' },
    { 'concurrency-limit': '100001' },
    { 'concurrency-limit': '10/s' },
    { 'concurrency-limit': '1', 'concurrency-limit-by': 'user' },
    { 'concurrency-limit': '1, 2' },
    { 'concurrency-limit': '1, 2', 'concurrency-limit-by': 'all, all' },
    { 'concurrency-limit': '1', 'concurrency-limit-by': 'all, client' },
    { 'concurrency-limit': '1', 'concurrency-limit-exempt': 'office' },
    { 'concurrency-limit-by': 'client' },
  ]) {
    const { route, diagnostics } = translateFiltered(annotations)
    const label = JSON.stringify(annotations)
    t.match(route?.action, { type: 'unavailable', code: 'PORTICO_GW_GUARD_INVALID' }, label)
    t.match(diagnostics, [{ code: 'PORTICO_ANN_VALUE', position: { line: 4 } }], label)
  }
})
