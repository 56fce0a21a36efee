/** The listener over real sockets: every kind of HTTP/1 request reaches the handler as sent; time limits; drain and close. */
import { once } from 'node:events'
import { createServer, METHODS, request } from 'node:http'
import net, { connect } from 'node:net'
import t from 'tap'
import { until } from '../helpers/until.ts'
import type { Echo } from './echo-handler.ts'
import { connectRaw, startListener } from './start-listener.ts'

/** The JSON body of the one response received. */
function readEcho(received: string): Echo {
  return JSON.parse(Buffer.from(received.slice(received.indexOf('\r\n\r\n') + 4), 'latin1').toString())
}

t.test('a request reaches the handler as the client sent it', async (t) => {
  const { port } = await startListener(t)
  const targets = ['/', '/a/./b%2Fc?x=%zz&y', '/%', '/a//b/../c', '/\\', '*', 'http://other.test/p?q']
  for (const target of targets) {
    await t.test(target, async (t) => {
      const client = await connectRaw(t, port)
      client.socket.write(
        `GET ${target} HTTP/1.1\r\nhost: a\r\nX-Two: 1\r\nX-Two: 2\r\nConnection: close\r\n\r\n`,
        'latin1',
      )
      await client.closed
      const echo = readEcho(client.received)
      t.equal(echo.url, target)
      t.same(echo.rawHeaders.slice(0, 6), ['host', 'a', 'X-Two', '1', 'X-Two', '2'])
      t.equal(echo.remoteAddress, '127.0.0.1')
      t.equal(echo.encrypted, false)
    })
  }
})

t.test('every method Node knows reaches the handler, with its body, whatever its Content-Type', async (t) => {
  const { port } = await startListener(t)
  for (const method of METHODS.filter((method) => method !== 'CONNECT')) {
    for (const type of ['', 'Content-Type: text/plain\r\n', 'Content-Type: no/thing; ;;\r\n', 'Content-Type: \r\n']) {
      const client = await connectRaw(t, port)
      client.socket.write(
        `${method} /m HTTP/1.1\r\nHost: a\r\n${type}Content-Length: 4\r\nConnection: close\r\n\r\ncaf\xe9`,
        'latin1',
      )
      await client.closed
      t.match(client.received, /^HTTP\/1\.1 200 /, `${method} ${type}`)
      if (method !== 'HEAD') t.equal(readEcho(client.received).body, 'caf\xe9', `${method} ${type}`)
    }
  }
})

t.test('Expect, known or not, leads to the handler', async (t) => {
  const { port } = await startListener(t)
  for (const expectation of ['100-continue', 'something-else']) {
    const client = await connectRaw(t, port)
    client.socket.write(
      `POST /e HTTP/1.1\r\nHost: a\r\nExpect: ${expectation}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi`,
    )
    await client.closed
    t.equal(readEcho(client.received).body, 'hi')
  }
})

t.test('requests without a Host, and with far too many fields, are judged by the handler', async (t) => {
  const { port, handler } = await startListener(t)
  for (const [fields, status] of [
    ['', 200],
    ['a:b\r\n'.repeat(2500), 431],
  ] as const) {
    const client = await connectRaw(t, port)
    client.socket.write(`GET / HTTP/1.1\r\n${fields}Connection: close\r\n\r\n`)
    await client.closed
    t.match(client.received, new RegExp(`^HTTP/1\\.1 ${status} `))
  }
  t.equal(handler.seen, 2)
})

t.test('an upgrade gives the handler the connection', async (t) => {
  const { port } = await startListener(t)
  const client = await connectRaw(t, port)
  client.socket.write('GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nearly')
  await client.until(/early$/)
  client.socket.write('later')
  t.match(await client.until(/later$/), /^HTTP\/1\.1 101 /)
})

t.test('upgrades that are replayed leave nothing behind on their connection', async (t) => {
  const { port, listener } = await startListener(t)
  // Node warns when more than ten listeners wait for one event of one socket.
  const warnings: Error[] = []
  const note = (warning: Error) => warnings.push(warning)
  process.on('warning', note)
  t.teardown(() => process.off('warning', note))
  const client = await connectRaw(t, port)
  for (let round = 0; round < 30; round++) {
    client.received = ''
    client.socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n')
    t.match(await client.until(/\}$/), /^HTTP\/1\.1 200 /)
  }
  t.equal(listener.connections, 1)
  t.same(warnings, [])
})

const asks = 'shouldUpgradeCallback' in createServer()

t.test('an Upgrade with a body is an ordinary request, where Node asks', { skip: !asks }, async (t) => {
  const { port } = await startListener(t)
  const client = await connectRaw(t, port)
  client.socket.write(
    'POST /plain HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: echo\r\nContent-Length: 2\r\n\r\nhi',
  )
  await client.closed
  const { url, body } = readEcho(client.received)
  t.same([url, body], ['/plain', 'hi'])
})

t.test('a client that resets during an upgrade does no harm', async (t) => {
  const { port } = await startListener(t)
  for (let index = 0; index < 20; index++) {
    const client = await connectRaw(t, port)
    client.socket.write('GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n')
    client.socket.resetAndDestroy()
    await client.closed
  }
  const client = await connectRaw(t, port)
  client.socket.write('GET /after HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  await client.closed
  t.equal(readEcho(client.received).url, '/after')
})

t.test('P15 CONNECT leads to the handler', async (t) => {
  const { port } = await startListener(t)
  const client = await connectRaw(t, port)
  client.socket.write('CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n')
  await client.closed
  t.match(client.received, /^HTTP\/1\.1 405 /)
})

t.test('what Node cannot parse leads to the handler once, and the connection closes', async (t) => {
  const { port, handler } = await startListener(t, { settings: { 'limits.headerBytes': 2048 } })
  const cases: [string, string, RegExp][] = [
    ['garbage', 'garbage\r\n\r\n', /^HTTP\/1\.1 400 /],
    [
      'both framings',
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      /^HTTP\/1\.1 400 /,
    ],
    ['a head too large', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(3000)}\r\n\r\n`, /^HTTP\/1\.1 431 /],
    ['TLS-19 TLS on the HTTP port', '\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00', /^HTTP\/1\.1 400 /],
    ['H2-32 HTTP/2 with prior knowledge', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', /^HTTP\/1\.1 400 /],
  ]
  for (const [name, bytes, answer] of cases) {
    await t.test(name, async (t) => {
      const before = handler.clientErrors.length
      const client = await connectRaw(t, port)
      client.socket.write(bytes, 'latin1')
      await client.closed
      t.match(client.received, answer)
      t.equal(client.received.split('HTTP/1.1 ').length, 2, 'one answer')
      t.equal(handler.clientErrors.length, before + 1)
    })
  }
})

t.test('SL-01, SL-02 a head must arrive in time', async (t) => {
  const { port } = await startListener(t, { settings: { 'timeouts.requestHeaders': 300 } })
  for (const bytes of ['', 'GET / HTTP/1.1\r\nHost: a\r\n']) {
    const client = await connectRaw(t, port)
    if (bytes) client.socket.write(bytes)
    await client.closed
    t.match(client.received, /^HTTP\/1\.1 408 /)
  }
})

t.test('SL-07 an idle kept-alive connection is closed, and the client is told how long it has', async (t) => {
  const { port } = await startListener(t, { settings: { 'timeouts.keepAlive': 1000 } })
  const client = await connectRaw(t, port)
  client.socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await client.closed
  t.match(client.received, /^HTTP\/1\.1 200 /)
  t.match(client.received, /Keep-Alive: timeout=1\r\n/)
})

t.test('SL-08 a client that has shut down its side gets its answer', async (t) => {
  const { port } = await startListener(t)
  const client = await connectRaw(t, port, true)
  client.socket.end('GET /half HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  await client.closed
  t.equal(readEcho(client.received).url, '/half')
})

t.test('a client that shuts down its side without a request is let go at once', async (t) => {
  const { port, listener } = await startListener(t)
  for (const bytes of ['', 'GET / HT', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n']) {
    const client = await connectRaw(t, port, true)
    if (bytes === '') client.socket.end()
    else client.socket.end(bytes)
    await client.closed
  }
  await until(() => listener.connections === 0)
  t.equal(listener.connections, 0)
})

t.test('LC-01 a request in flight when the drain begins is served, with Connection: close', async (t) => {
  const { port, handler, listener } = await startListener(t)
  let release = () => {}
  handler.hold = new Promise((resolve) => {
    release = resolve
  })
  const client = await connectRaw(t, port)
  client.socket.write('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n')
  await until(() => handler.inFlight !== 0)
  handler.draining = true
  listener.drain()
  t.equal(client.received, '')
  release()
  await client.closed
  t.match(client.received, /^HTTP\/1\.1 200 /)
  t.match(client.received, /Connection: close\r\n/)
  await t.rejects(
    new Promise((_, reject) => request({ port, host: '127.0.0.1' }).on('error', reject).end()),
    { code: 'ECONNREFUSED' },
    'nothing new is accepted',
  )
})

t.test('LC-02 idle connections, used before or not, close when the drain begins', async (t) => {
  const { port, listener } = await startListener(t)
  const used = await connectRaw(t, port)
  used.socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await used.until(/\}$/)
  const unused = await connectRaw(t, port)
  await until(() => listener.connections >= 2)
  listener.drain()
  await Promise.all([used.closed, unused.closed])
  t.equal(unused.received, '')
})

t.test('LC-05 a request whose head is under way when the drain begins is served', async (t) => {
  const { port, handler, listener } = await startListener(t)
  const client = await connectRaw(t, port)
  // In one write with a whole request, so that its answer proves that the part has arrived.
  client.socket.write('GET /first HTTP/1.1\r\nHost: a\r\n\r\nGET /late HTTP/1.1\r\nHost: a\r\n')
  await client.until(/\}$/)
  handler.draining = true
  listener.drain()
  client.socket.write('\r\n')
  await client.closed
  t.match(client.received, /"url":"\/late"/)
})

t.test('close cuts what does not end by itself, and counts fall to none', async (t) => {
  const { port, handler, listener } = await startListener(t)
  handler.hold = new Promise(() => {})
  const client = await connectRaw(t, port)
  client.socket.write('GET /never HTTP/1.1\r\nHost: a\r\n\r\n')
  await until(() => handler.inFlight !== 0)
  t.equal(listener.connections, 1)
  await listener.close()
  await client.closed
  t.equal(listener.connections, 0)
  await listener.close()
})

t.test('LC-11 a port in use rejects with its code', async (t) => {
  const { port } = await startListener(t)
  await t.rejects(startListener(t, { settings: { 'http.port': port } }), { code: 'EADDRINUSE' })
})

t.test('OV-01 connections beyond the limit are reset, and the log says so once', async (t) => {
  const { port, listener, lines, results } = await startListener(t, { settings: { 'limits.connections': 2 } })
  const first = await connectRaw(t, port)
  await connectRaw(t, port)
  await until(() => listener.connections >= 2)
  for (let index = 0; index < 3; index++) {
    const [error] = await once(connect(port, '127.0.0.1'), 'error')
    t.match(error, { code: 'ECONNRESET' })
  }
  t.strictSame(results, ['refused_limit', 'refused_limit', 'refused_limit'])
  t.equal(lines.filter(({ msg }) => msg === 'connections refused: limits.connections is reached').length, 1)
  first.socket.write('GET /still HTTP/1.1\r\nHost: a\r\n\r\n')
  t.match(await first.until(/\}$/), /^HTTP\/1\.1 200 /)
})

t.test('every address means IPv4 too', async (t) => {
  const { port } = await startListener(t, { settings: { 'http.address': '::' } })
  const client = await connectRaw(t, port)
  client.socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  await client.closed
  t.match(client.received, /^HTTP\/1\.1 200 /)
})

t.test('with the fast lane off every request comes by node:http', async (t) => {
  const { port, handler } = await startListener(t, { settings: { 'fastLane.enabled': false } })
  const client = await connectRaw(t, port)
  client.socket.write('GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  await client.closed
  t.equal(readEcho(client.received).url, '/a')
  t.equal(handler.inLane, 0)
  t.equal(handler.seen, 1)
})

/** A listening socket that this process holds for another, as Node's cluster has them. */
function bindHandle(): { handle: object; port: number } {
  const { _createServerHandle: createServerHandle } = net as unknown as {
    _createServerHandle(address: string, port: number, family: 4): TcpHandle
  }
  const handle = createServerHandle('127.0.0.1', 0, 4)
  const name: { port?: number } = {}
  handle.getsockname(name)
  return { handle, port: name.port! }
}
type TcpHandle = { getsockname(name: object): number }

t.test('a listener takes over a handle that is bound already, and its connections wait until then', async (t) => {
  for (const enabled of [true, false]) {
    const { handle, port } = bindHandle()
    const { listener, port: bound } = await startListener(t, { handle, settings: { 'fastLane.enabled': enabled } })
    t.equal(bound, port)
    const client = await connectRaw(t, port)
    client.socket.write('GET /taken HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    await client.closed
    t.equal(readEcho(client.received).url, '/taken')
    await listener.close()
    await t.rejects(connectRaw(t, port), { code: 'ECONNREFUSED' })
  }
})
