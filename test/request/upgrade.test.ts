import { randomBytes } from 'node:crypto'
import t from 'tap'
import { startEchoUpstream } from '../helpers/echo-upstream.ts'
import { startProxy } from '../helpers/proxy-server.ts'
import { connectRaw, findAll } from '../helpers/raw-client.ts'
import { type RawConnection, startRawUpstream } from '../helpers/raw-upstream.ts'

type Tap = Parameters<typeof startProxy>[0]

const SWITCH =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: b\r\n\r\n'
const KEY = 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n'
const handshake = (more = '', upgrade = 'websocket') =>
  `GET /chat HTTP/1.1\r\nHost: gw.test\r\nConnection: Upgrade\r\nUpgrade: ${upgrade}\r\n${KEY}${more}\r\n`

async function startBoth(t: Tap, settings: Record<string, unknown> = {}) {
  const upstream = await startRawUpstream(() => {})
  t.teardown(() => upstream.close())
  return { upstream, server: await startProxy(t, [upstream.port], { settings }) }
}

/** A tunnel that is open: the client's and the upstream's end. */
async function openTunnel(t: Tap, settings: Record<string, unknown> = {}) {
  const { upstream, server } = await startBoth(t, settings)
  const client = await connectRaw(server.port)
  t.teardown(() => client.destroy())
  client.send(handshake())
  const connection: RawConnection = await upstream.connection(0)
  await connection.head()
  connection.clear()
  connection.send(SWITCH)
  const response = await client.response({ headOnly: true })
  return { client, connection, server, response, upstream }
}

t.test('WS-01 P28 bytes flow unchanged in both directions', async (t) => {
  const { client, connection, server, response } = await openTunnel(t)
  t.equal(response.status, 101)
  t.same(response.all('connection'), ['Upgrade'])
  t.same(response.all('upgrade'), ['websocket'])
  t.equal(response.header('sec-websocket-protocol'), 'b')
  t.equal(server.proxy.inFlight, 1, 'a tunnel counts')
  const bytes = randomBytes(1_000_000)
  client.send(bytes)
  await connection.until(() => connection.received.length >= bytes.length)
  t.ok(connection.received.equals(bytes))
  connection.send(bytes)
  await client.until(() => client.received.length >= bytes.length)
  t.ok(client.received.equals(bytes))
  client.end()
  connection.socket.end()
  await client.closed
  t.match(await server.record(), { status: 101, tunnel: true, error: undefined, bytesIn: bytes.length })
  t.equal(server.proxy.inFlight, 0)
})

t.test('an upgrade that says it has no body is passed on as one', async (t) => {
  const { upstream, server } = await startBoth(t)
  const client = await connectRaw(server.port)
  t.teardown(() => client.destroy())
  client.send(handshake('Content-Length: 0\r\n'))
  const connection = await upstream.connection(0)
  const head = await connection.head()
  t.match(head, /^Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n/m)
  connection.send(SWITCH)
  t.equal((await client.response({ headOnly: true })).status, 101)
})

t.test('WS-02 101 comes only from the upstream; its refusal is relayed', async (t) => {
  for (const status of ['401 Unauthorized', '403 Forbidden', '404 Not Found', '302 Found', '200 OK']) {
    const { upstream, server } = await startBoth(t)
    const client = await connectRaw(server.port)
    client.send(handshake())
    const connection = await upstream.connection(0)
    await connection.head()
    t.equal(client.received.length, 0, 'nothing is said before the upstream has')
    connection.send(`HTTP/1.1 ${status}\r\nContent-Length: 2\r\nX-A: 1\r\n\r\nno`)
    const response = await client.response()
    t.equal(response.status, Number.parseInt(status, 10))
    t.equal(response.header('x-a'), '1')
    t.equal(response.body.toString(), 'no')
    await client.closed
    t.match(await server.record(), { status: Number.parseInt(status, 10), tunnel: false, error: undefined })
  }
})

t.test('a 101 that does not say to what is no answer', async (t) => {
  const { upstream, server } = await startBoth(t)
  const client = await connectRaw(server.port)
  t.teardown(() => client.destroy())
  client.send(handshake())
  const connection = await upstream.connection(0)
  await connection.head()
  connection.send('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n')
  t.equal((await client.response()).status, 502)
  t.match(await server.record(), { error: 'PORTICO_UP_BAD_RESPONSE', tunnel: false })
  await connection.ended()
})

t.test(
  'a 101 to another protocol than was asked for is no answer, and its connection carries no other request',
  async (t) => {
    for (const [asked, answered] of [
      ['websocket', 'Upgrade: foo\r\n'],
      ['websocket', 'Upgrade: h2c\r\n'],
      ['websocket', 'Upgrade: websocket/13\r\n'],
      ['websocket', 'Upgrade: websocket, foo\r\n'],
      ['websocket', 'Upgrade: websocket\r\nUpgrade: foo\r\n'],
      ['websocket', 'Upgrade:\r\n'],
      ['foo/2', 'Upgrade: foo/3\r\n'],
      ['foo', 'Upgrade: websocket\r\n'],
    ] as const) {
      const { upstream, server } = await startBoth(t)
      const client = await connectRaw(server.port)
      client.send(handshake('', asked))
      const connection = await upstream.connection(0)
      await connection.head()
      connection.send(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n${answered}\r\nbytes of it`)
      const response = await client.response()
      t.equal(response.status, 502, `${asked}: ${answered}`)
      t.notMatch(response.body.toString(), 'bytes of it')
      t.match(await server.record(), { error: 'PORTICO_UP_BAD_RESPONSE', tunnel: false })
      await connection.ended()
      client.destroy()
    }
    const { upstream, server } = await startBoth(t)
    const client = await connectRaw(server.port)
    client.send(handshake())
    const connection = await upstream.connection(0)
    await connection.head()
    connection.send(SWITCH.replace('websocket', 'WebSocket'))
    t.equal((await client.response({ headOnly: true })).status, 101, 'however it is spelt')
    client.destroy()
  },
)

t.test('WS-03 all fields reach the upstream', async (t) => {
  const { upstream, server } = await startBoth(t)
  const client = await connectRaw(server.port)
  t.teardown(() => client.destroy())
  client.send(
    handshake(
      'Origin: https://gw.test\r\nAuthorization: x\r\nCookie: a=1\r\nSec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Extensions: permessage-deflate\r\n',
    ),
  )
  const text = await (await upstream.connection(0)).head()
  for (const field of [
    'Origin: https://gw.test',
    'Authorization: x',
    'Cookie: a=1',
    'Sec-WebSocket-Protocol: a, b',
    'Sec-WebSocket-Extensions: permessage-deflate',
    'X-Forwarded-For: 127.0.0.1',
    'Connection: Upgrade',
    'Upgrade: websocket',
  ]) {
    t.ok(text.includes(`\r\n${field}\r\n`), field)
  }
})

t.test('WS-04 WS-14 WS-15 what is no upgrade for the upstream is served as a plain request', async (t) => {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const server = await startProxy(t, [echo.port])
  const head = (method: string, version: string, more: string, body = '') =>
    `${method} /x HTTP/${version}\r\nHost: gw.test\r\nConnection: Upgrade, HTTP2-Settings\r\n${more}\r\n${body}`
  const cases: [string, string][] = [
    ['a version that nobody speaks', head('GET', '1.1', `Upgrade: websocket\r\n${KEY.replace('13', '777')}`)],
    ['no key', head('GET', '1.1', 'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n')],
    ['a bad key', head('GET', '1.1', `Upgrade: websocket\r\n${KEY.replace('AAAA', '')}`)],
    ['POST', head('POST', '1.1', `Upgrade: websocket\r\n${KEY}Content-Length: 3\r\n`, 'abc')],
    ['HTTP/1.0', head('GET', '1.0', `Upgrade: websocket\r\n${KEY}`)],
    [
      'chunked',
      head('GET', '1.1', `Upgrade: websocket\r\n${KEY}Transfer-Encoding: chunked\r\n`, '3\r\nabc\r\n0\r\n\r\n'),
    ],
    ['a body', head('GET', '1.1', `Upgrade: websocket\r\n${KEY}Content-Length: 5\r\n`, 'abcde')],
    ['h2c', head('GET', '1.1', 'Upgrade: h2c\r\nHTTP2-Settings: AAA\r\n')],
    ['TLS', head('GET', '1.1', 'Upgrade: TLS/1.0, HTTP/2.0\r\n')],
  ]
  for (const [name, bytes] of cases) {
    const client = await connectRaw(server.port)
    const response = await client.send(bytes).response()
    t.equal(response.status, 200, name)
    const { headers } = JSON.parse(response.body.toString())
    t.same(findAll(headers, 'upgrade'), [], `${name}: Upgrade is gone`)
    t.same(findAll(headers, 'http2-settings'), [], name)
    // An upgrade with a body, which newer Nodes pass over, ends the connection there.
    if (!bytes.includes('HTTP/1.0') && response.header('connection') !== 'close') {
      const next = await client.send('GET /next HTTP/1.1\r\nHost: gw.test\r\n\r\n').response()
      t.equal(JSON.parse(next.body.toString()).url, '/next', `${name}: the connection goes on`)
    }
    client.destroy()
  }
})

t.test('any number of refused upgrades on one connection leaves nothing behind', async (t) => {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const server = await startProxy(t, [echo.port])
  // Node warns when more than ten listeners wait for one event of one socket.
  const warnings: Error[] = []
  const note = (warning: Error) => warnings.push(warning)
  process.on('warning', note)
  t.teardown(() => process.off('warning', note))
  const client = await connectRaw(server.port)
  for (let round = 0; round < 30; round++) {
    const response = await client
      .send('GET / HTTP/1.1\r\nHost: gw.test\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n')
      .response()
    t.equal(response.status, 200)
  }
  client.destroy()
  t.same(warnings, [])
})

t.test('requests pipelined behind a refused upgrade are served, or the connection closes', async (t) => {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const server = await startProxy(t, [echo.port])
  const upgrade = 'Host: gw.test\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n'
  for (const first of [
    `GET /1 HTTP/1.1\r\n${upgrade}\r\n`,
    `POST /1 HTTP/1.1\r\n${upgrade}Content-Length: 3\r\n\r\nabc`,
    `POST /1 HTTP/1.1\r\n${upgrade}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
  ]) {
    const client = await connectRaw(server.port)
    client.send(`${first}GET /2 HTTP/1.1\r\nHost: gw.test\r\n\r\n`)
    for (const url of ['/1', '/2']) {
      const response = await client.response()
      t.equal(response.status, 200)
      t.equal(JSON.parse(response.body.toString()).url, url)
      if (response.header('connection') === 'close') {
        t.ok(first.startsWith('POST'), 'because of its body')
        await client.closed
        break
      }
    }
    client.destroy()
  }
})

t.test('another protocol than WebSocket is tunnelled too, of several offered WebSocket alone counts', async (t) => {
  for (const [offered, asked] of [
    ['foo/2', 'foo/2'],
    ['websocket, foo', 'websocket'],
    ['h2c, foo', 'foo'],
  ] as const) {
    const { upstream, server } = await startBoth(t)
    const client = await connectRaw(server.port)
    client.send(handshake('', offered))
    t.match(await (await upstream.connection(0)).head(), `\r\nUpgrade: ${asked}\r\n`)
    client.destroy()
  }
})

t.test('WS-05 bytes behind the handshake are no request, and reach nobody unless the upstream switches', async (t) => {
  const { upstream, server } = await startBoth(t)
  const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: gw.test\r\n\r\n'
  const client = await connectRaw(server.port)
  client.send(handshake() + smuggled)
  const connection = await upstream.connection(0)
  await connection.head()
  connection.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  t.equal((await client.response()).body.toString(), 'ok')
  await client.closed
  t.notMatch(connection.text, 'smuggled')
  t.equal(upstream.connections.length, 1)
  t.equal(server.records.length, 1)

  const switched = await connectRaw(server.port)
  switched.send(`${handshake()}early`)
  const other = await upstream.connection(1)
  await other.head()
  other.send(`${SWITCH}first`)
  await other.until((text) => text.endsWith('early'))
  await switched.until((text) => text.endsWith('first'))
  switched.destroy()
})

t.test('WS-07 a client that pushes while the upstream thinks is held up', async (t) => {
  const { upstream, server } = await startBoth(t, { 'timeouts.responseHeaders': 500 })
  const client = await connectRaw(server.port)
  client.send(handshake())
  await (await upstream.connection(0)).head()
  const before = process.memoryUsage().rss
  const block = Buffer.alloc(1_048_576)
  for (let n = 0; n < 30; n++) client.socket.write(block)
  const response = await client.response()
  t.equal(response.status, 504)
  t.ok(client.socket.bytesWritten - client.socket.writableLength < 30 * block.length, 'not all of it was taken')
  t.ok(process.memoryUsage().rss - before < 100 * 1_048_576)
  client.destroy()
})

t.test('WS-06 a reader that stops holds up the sender', async (t) => {
  const { client, connection, server } = await openTunnel(t)
  client.socket.pause()
  const block = Buffer.alloc(1_048_576)
  for (let n = 0; n < 64; n++) connection.socket.write(block)
  await new Promise((resolve) => setTimeout(resolve, 200))
  t.ok(connection.socket.writableLength > 0, 'TCP says no')
  client.socket.resume()
  client.destroy()
  await connection.ended()
  t.match(await server.record(), { tunnel: true })
})

t.test('WS-08 a client that resets ends nothing but its own request', async (t) => {
  const { upstream, server } = await startBoth(t)
  const early = await connectRaw(server.port)
  early.send(handshake())
  const connection = await upstream.connection(0)
  await connection.head()
  early.reset()
  await connection.ended()
  t.match(await server.record(), { status: 499, error: 'PORTICO_REQ_ABORTED' })
  const opened = await openTunnel(t)
  opened.client.reset()
  await opened.connection.ended()
  t.match(await opened.server.record(), { status: 101, tunnel: true })
})

t.test('WS-09 an upstream that dies closes the client', async (t) => {
  const { client, connection } = await openTunnel(t)
  connection.socket.resetAndDestroy()
  await client.closed
  t.equal(client.received.length, 0, 'no close frame is made up')
  t.equal(client.error?.code, 'ECONNRESET', 'nor a proper end')
})

t.test('WS-10 half-closing leaves the other direction open', async (t) => {
  const { client, connection } = await openTunnel(t)
  client.send('last words').end()
  await connection.ended()
  t.equal(connection.text, 'last words')
  connection.send('still here')
  await client.until((text) => text === 'still here')
  connection.socket.end()
  await client.closed
})

t.test('WS-11 an idle tunnel is closed', async (t) => {
  const { client, connection } = await openTunnel(t, { 'timeouts.tunnelIdle': 300 })
  client.send('x')
  await connection.until((text) => text === 'x')
  await client.closed
  await connection.ended()
})

t.test('WS-13 tunnels can be closed at once', async (t) => {
  const { client, connection, server } = await openTunnel(t)
  server.proxy.close()
  await client.closed
  await connection.ended()
  await server.proxy.whenIdle()
  t.equal(server.proxy.inFlight, 0)
})

t.test('WS-16 the path of an upgrade is routed like any other', async (t) => {
  const { upstream, server } = await startBoth(t)
  const client = await connectRaw(server.port)
  client.send(handshake().replace('/chat', '/a/../chat'))
  t.match(await (await upstream.connection(0)).head(), /^GET \/chat HTTP/)
  client.destroy()
  const refused = await connectRaw(server.port)
  t.equal((await refused.send(handshake().replace('/chat', '/../chat')).response()).status, 400)
  await refused.closed
})

t.test('WS-18 a tunnel outlives a reload that removes its route', async (t) => {
  const { client, connection, server } = await openTunnel(t)
  server.load({})
  client.send('still')
  await connection.until((text) => text === 'still')
  connection.send('here')
  await client.until((text) => text === 'here')
})

t.test(
  'a POST can be upgraded, as kubectl exec and headscale do it, and so can any method but for a WebSocket',
  async (t) => {
    for (const [line, protocol, more] of [
      ['POST /exec?command=sh', 'SPDY/3.1', 'Content-Length: 0\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n'],
      ['POST /ts2021', 'tailscale-control-protocol', 'X-Tailscale-Handshake: AAAA\r\n'],
      ['PUT /x', 'foo', ''],
      ['OPTIONS /x', 'foo', ''],
      ['BAN /x', 'foo/2', ''],
      ['get /x', 'foo/2', ''],
    ] as const) {
      const { upstream, server } = await startBoth(t)
      const client = await connectRaw(server.port)
      t.teardown(() => client.destroy())
      client.send(
        `${line} HTTP/1.1\r\nHost: gw.test\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n${more}\r\nearly`,
      )
      const connection = await upstream.connection(0)
      const head = await connection.head()
      t.ok(head.startsWith(`${line} HTTP/1.1\r\n`), line)
      t.match(head, `\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n`, line)
      t.notMatch(head, 'early', 'nothing of it before the endpoint has agreed')
      connection.clear()
      connection.send(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`)
      t.equal((await client.response({ headOnly: true })).status, 101, line)
      await connection.until((text) => text === 'early')
      client.send('GET /smuggled HTTP/1.1\r\n\r\n')
      await connection.until((text) => text.endsWith('\r\n\r\n'))
      connection.send('back')
      await client.until((text) => text.endsWith('back'))
      client.end()
      connection.socket.end()
      await client.closed
      t.match(await server.record(), { status: 101, tunnel: true, method: line.split(' ')[0] })
      t.equal(server.records.length, 1)
      t.equal(upstream.connections.length, 1)
    }
  },
)

t.test('an endpoint that does not switch for a POST answers it, and what came behind is nothing', async (t) => {
  const { upstream, server } = await startBoth(t)
  const client = await connectRaw(server.port)
  client.send(
    'POST /x HTTP/1.1\r\nHost: gw.test\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\nGET /smuggled HTTP/1.1\r\n',
  )
  const connection = await upstream.connection(0)
  await connection.head()
  connection.send('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno')
  const response = await client.response()
  t.equal(response.status, 403)
  await client.closed
  t.notMatch(connection.text, 'smuggled')
  t.match(await server.record(), { status: 403, tunnel: false, tries: 1 })
})

t.test('an upgrade with a body is served without its Upgrade, and the body is the body', async (t) => {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const server = await startProxy(t, [echo.port])
  for (const method of ['GET', 'POST', 'PURGE']) {
    for (const [framing, body] of [
      ['Content-Length: 3\r\n', 'abc'],
      ['Transfer-Encoding: chunked\r\n', '3\r\nabc\r\n0\r\n\r\n'],
    ] as const) {
      const client = await connectRaw(server.port)
      t.teardown(() => client.destroy())
      const head = `${method} /x HTTP/1.1\r\nHost: gw.test\r\nConnection: Upgrade\r\nUpgrade: foo\r\n${framing}\r\n`
      // The echo knows no PURGE.
      if (method === 'PURGE') {
        const { upstream, server } = await startBoth(t)
        const other = await connectRaw(server.port)
        other.send(head + body)
        const seen = await (await upstream.connection(0)).until((text) => text.endsWith(body))
        t.match(seen, /^PURGE \/x HTTP\/1\.1\r\n/)
        t.notMatch(seen, /^upgrade/im)
        other.destroy()
        continue
      }
      const response = await client.send(head + body).response()
      t.equal(response.status, 200, `${method} ${framing}`)
      const { headers, bodyLength, method: seen } = JSON.parse(response.body.toString())
      t.equal(bodyLength, 3)
      t.equal(seen, method)
      t.same(findAll(headers, 'upgrade'), [])
    }
  }
})

t.test('a tab behind Transfer-Encoding is refused with an Upgrade as without one', async (t) => {
  const { upstream, server } = await startBoth(t)
  const chunks = '3\r\nabc\r\n0\r\n\r\n'
  for (const upgrade of ['', 'Connection: Upgrade\r\nUpgrade: foo\r\n']) {
    for (const value of ['chunked\t', 'chunked \t', 'chunked\t ', 'chunked \t ', 'chunked\t\t', '\tchunked\t']) {
      for (const name of ['Transfer-Encoding', 'transfer-ENCODING']) {
        const bytes = `POST /x HTTP/1.1\r\nHost: gw.test\r\n${upgrade}${name}: ${value}\r\n\r\n${chunks}`
        const whole = await connectRaw(server.port)
        t.equal((await whole.send(bytes).response()).status, 400, JSON.stringify(bytes))
        whole.destroy()
      }
    }
    const slow = await connectRaw(server.port)
    await slow.sendSlowly(
      `POST /x HTTP/1.1\r\nHost: gw.test\r\n${upgrade}Transfer-Encoding: chunked\t\r\n\r\n${chunks}`,
    )
    t.equal((await slow.response()).status, 400, 'in any pieces')
    slow.destroy()
  }
  t.equal(upstream.connections.length, 0, 'no endpoint hears of it')
})
