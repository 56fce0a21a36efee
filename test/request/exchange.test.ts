/** What the core asks of a door, with a door that has no connection. */
import { Socket } from 'node:net'
import t from 'tap'
import { GatewayError } from '../../lib/base/errors.ts'
import { ConnectionInfo } from '../../lib/request/connection-info.ts'
import { startProxy } from '../helpers/proxy-server.ts'
import { answerWith, startRawUpstream } from '../helpers/raw-upstream.ts'
import { StubExchange } from '../helpers/stub-exchange.ts'

type Tap = Parameters<typeof startProxy>[0]

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

async function startAnswering(t: Tap, answer = OK, settings: Record<string, unknown> = {}) {
  const upstream = await startRawUpstream(answerWith(answer))
  t.teardown(() => upstream.close())
  return { upstream, server: await startProxy(t, [upstream.port], { settings }) }
}

t.test('an answer that is there at once is not flushed piece by piece', async (t) => {
  const { server } = await startAnswering(t)
  const exchange = new StubExchange('GET', [])
  server.proxy.handle(exchange)
  t.match(await server.record(), { status: 200, bytesOut: 2, error: undefined })
  t.same(exchange.done, ['head 200', 'write 2', 'end'])
  t.equal(exchange.body, 'ok')
  t.equal(exchange.head?.contentLength, 2)
  t.equal(server.proxy.inFlight, 0, 'also where the exchange closes before `end` returns')
})

t.test('a head whose body is still to come is sent at once', async (t) => {
  const upstream = await startRawUpstream(async (connection) => {
    await connection.head()
    connection.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n')
  })
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port])
  const exchange = new StubExchange('GET', [])
  server.proxy.handle(exchange)
  await exchange.until('flush')
  t.same(exchange.done, ['head 200', 'flush'])
  ;(await upstream.connection(0)).send('ok')
  await exchange.until('end')
  t.same(exchange.done, ['head 200', 'flush', 'write 2', 'end'])
})

t.test('a body at hand goes to the upstream with its head', async (t) => {
  const { server, upstream } = await startAnswering(t)
  const exchange = new StubExchange('POST', ['Content-Length', '5'], { body: ['hel', 'lo'] })
  server.proxy.handle(exchange)
  t.match(await server.record(), { status: 200, bytesIn: 5 })
  const { text } = await upstream.connection(0)
  t.match(text, /\r\nContent-Length: 5\r\n\r\nhello$/)
  t.notMatch(text, /transfer-encoding/i)
})

t.test('a request head does not wait for a body that is not there yet', async (t) => {
  const { server, upstream } = await startAnswering(t)
  const exchange = new StubExchange('POST', ['Transfer-Encoding', 'chunked'], { hasBody: true })
  server.proxy.handle(exchange)
  const connection = await upstream.connection(0)
  t.match(await connection.head(), /\r\nTransfer-Encoding: chunked\r\n\r\n$/)
  exchange.isRequestComplete = true
  exchange.sink!.onBodyData(Buffer.from('hello'))
  exchange.sink!.onBodyEnd([])
  t.match(await connection.until((text) => text.endsWith('0\r\n\r\n')), '\r\n\r\n5\r\nhello\r\n0\r\n\r\n')
})

t.test('SL-16 a body of another length than declared is refused before a surplus byte leaves', async (t) => {
  for (const [name, chunks] of [
    ['longer', ['hel', 'lo!']],
    ['shorter', ['hel']],
  ] as const) {
    const upstream = await startRawUpstream(() => {})
    t.teardown(() => upstream.close())
    const server = await startProxy(t, [upstream.port], { settings: { 'upstream.requestBuffering': 'none' } })
    const exchange = new StubExchange('POST', ['Content-Length', '5'], { body: chunks })
    server.proxy.handle(exchange)
    t.match(await server.record(), { status: 400, error: 'PORTICO_REQ_BAD_FRAMING' }, name)
    t.equal(exchange.head?.close, true, name)
    const connection = await upstream.connection(0)
    await connection.ended()
    t.notMatch(connection.text, 'lo!', name)
  }
})

t.test('a length is refused where the door says that no body follows', async (t) => {
  const { server, upstream } = await startAnswering(t)
  const exchange = new StubExchange('POST', ['Content-Length', '5'])
  server.proxy.handle(exchange)
  t.match(await server.record(), { status: 400, error: 'PORTICO_REQ_BAD_FRAMING' })
  t.equal(upstream.connections.length, 0)
})

t.test('a body that turns out to be broken is answered, and cancels the upstream request', async (t) => {
  const { server, upstream } = await startAnswering(t)
  const exchange = new StubExchange('POST', ['Transfer-Encoding', 'chunked'], { hasBody: true })
  server.proxy.handle(exchange)
  const connection = await upstream.connection(0)
  exchange.events.onBroken(new GatewayError('PORTICO_REQ_MALFORMED', 'as the test wants it'))
  t.match(await server.record(), { status: 400, error: 'PORTICO_REQ_MALFORMED' })
  await connection.ended()
})

t.test('SL-05 a client that takes nothing of a failure is cut', async (t) => {
  const server = await startProxy(t, { routes: [] }, { settings: { 'timeouts.writeStall': 100 } })
  const exchange = new StubExchange('GET', [])
  exchange.pendingBytes = 1
  server.proxy.handle(exchange)
  t.same(exchange.done.slice(-1), ['end'])
  t.match(await server.record(), { status: 404, error: 'PORTICO_REQ_NO_ROUTE' })
  t.same(exchange.done.slice(-1), ['abort'])
})

t.test('every request before the first configuration is recorded', async (t) => {
  const server = await startProxy(t, {}, { unready: true })
  const exchange = new StubExchange('HEAD', [])
  server.proxy.handle(exchange)
  t.match(await server.record(), { status: 503, error: 'PORTICO_GW_NOT_READY', method: 'HEAD', labels: undefined })
  t.same(exchange.done, ['head 503', 'end'], 'HEAD has no body')
  t.ok((exchange.head?.contentLength ?? 0) > 0)
  t.match(exchange.head?.lines, 'Retry-After: 1\r\n')
})

t.test('a request whose client was gone before it was read goes nowhere', async (t) => {
  const { server, upstream } = await startAnswering(t)
  const exchange = new StubExchange('GET', [])
  Object.assign(exchange, { connection: new ConnectionInfo(new Socket(), 'http') })
  server.proxy.handle(exchange)
  t.match(await server.record(), { error: 'PORTICO_REQ_ABORTED', status: 499, tries: 0 })
  t.same(exchange.done, ['abort'])
  t.equal(upstream.connections.length, 0)
})

t.test('an answer may pause after an upload whose end came while the endpoint took nothing', async (t) => {
  const chunk = Buffer.alloc(65_536, 'x')
  const length = 64 * chunk.length
  const upstream = await startRawUpstream(async (connection) => {
    await connection.until((text) => text.length > length)
    connection.send('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc')
    setTimeout(() => connection.send('def'), 1_000)
  })
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port], {
    settings: { 'timeouts.writeStall': 300, 'upstream.requestBuffering': 'none' },
  })
  const exchange = new StubExchange('POST', ['Content-Length', String(length)], { hasBody: true })
  server.proxy.handle(exchange)
  await exchange.until('read')
  for (let sent = 0; sent < length; sent += chunk.length) exchange.sink!.onBodyData(chunk)
  t.ok(exchange.done.includes('pause'), 'the endpoint did not keep up')
  exchange.isRequestComplete = true
  exchange.sink!.onBodyEnd([])
  t.match(await server.record(), { status: 200, error: undefined, bytesOut: 6 })
  t.equal(exchange.body, 'abcdef')
})
