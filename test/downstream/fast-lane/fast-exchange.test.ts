/** The fast lane's answers, byte by byte: framing, what is kept back, backpressure, endings. */
import t from 'tap'
import type { RawClient } from '../../helpers/raw-client.ts'
import { until } from '../../helpers/until.ts'
import { Arrivals, answer, answerHead, startLane } from './start-lane.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const PERSISTENT = 'Connection: keep-alive\r\nKeep-Alive: timeout=75\r\n'

async function ended(client: RawClient): Promise<string> {
  await client.closed
  return client.text
}

t.test('a counted answer is its head, as node:http writes one, and its bytes', async (t) => {
  const arrivals = new Arrivals()
  const { connect } = await startLane(t, arrivals.serve)
  const client = await connect()
  client.send(GET)
  const { exchange, closed, closes } = await arrivals.next()
  exchange.sendHead(answerHead({ lines: 'X-A: caf\xe9\r\n', contentLength: 6, reason: '' }))
  t.ok(exchange.isHeadSent)
  exchange.write(Buffer.from('ab\xff', 'latin1'))
  exchange.write(Buffer.from('def'))
  exchange.end([])
  t.equal(await closed, true)
  const text = `HTTP/1.1 200 \r\nX-A: caf\xe9\r\nContent-Length: 6\r\n${PERSISTENT}\r\nab\xffdef`
  t.equal(await client.until((received) => received.length >= text.length), text)
  t.same(closes, [true], 'it is over once')
  t.notOk(client.isClosed)
})

t.test('an answer of unknown length is chunked, whatever the sizes, with its trailers', async (t) => {
  const arrivals = new Arrivals()
  const { connect } = await startLane(t, arrivals.serve)
  const client = await connect()
  client.send(GET)
  const { exchange } = await arrivals.next()
  exchange.sendHead(answerHead({ trailers: true }))
  const sizes = [1, 10, 4096, 4097, 100_000, 3, 3000, 3000, 3000, 3000, 3000, 3000, 70_000, 1]
  for (const [index, size] of sizes.entries()) {
    exchange.write(Buffer.alloc(size, 97 + index))
    if (index % 3 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  exchange.write(Buffer.alloc(0))
  exchange.end(['X-Sum', '1', 'X-Two', 'b'])
  const response = await client.response()
  t.equal(response.header('transfer-encoding'), 'chunked')
  t.equal(response.header('content-length'), undefined)
  t.ok(response.body.equals(Buffer.concat(sizes.map((size, index) => Buffer.alloc(size, 97 + index)))))
  t.same(response.trailers, ['X-Sum', '1', 'X-Two', 'b'])
  t.ok(response.complete)
})

t.test('what is written goes out in the same turn, and a head by itself when it is flushed', async (t) => {
  const arrivals = new Arrivals()
  const { connect } = await startLane(t, arrivals.serve)
  const client = await connect()
  client.send(GET)
  const { exchange } = await arrivals.next()
  exchange.sendHead(answerHead())
  exchange.flush()
  await client.until((text) => text.endsWith('\r\n\r\n'))
  client.clear()
  exchange.write(Buffer.from('event'))
  t.equal(await client.until((text) => text.endsWith('event\r\n')), '5\r\nevent\r\n')
  client.clear()
  exchange.end([])
  t.equal(await client.until((text) => text.length >= 5), '0\r\n\r\n')
})

t.test('HEAD, 204 and 304 have a head alone, with the length that was declared', async (t) => {
  const cases: [string, number, number | undefined, string][] = [
    ['HEAD', 200, 5, 'Content-Length: 5\r\n'],
    ['HEAD', 200, undefined, ''],
    ['GET', 204, undefined, ''],
    ['GET', 204, 0, ''],
    ['GET', 304, 5, 'Content-Length: 5\r\n'],
    ['GET', 304, undefined, ''],
  ]
  const arrivals = new Arrivals()
  const { connect } = await startLane(t, arrivals.serve)
  const client = await connect()
  for (const [method, status, contentLength, framing] of cases) {
    client.clear()
    client.send(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n`)
    const { exchange, closed } = await arrivals.next()
    exchange.sendHead(answerHead({ status, contentLength, reason: 'R' }))
    exchange.write(Buffer.from('hello'))
    exchange.end([])
    t.equal(await closed, true)
    t.equal(
      await client.until((text) => text.endsWith('\r\n\r\n')),
      `HTTP/1.1 ${status} R\r\n${framing}${PERSISTENT}\r\n`,
    )
  }
})

t.test('the last answer of a connection says so, and the connection ends behind it', async (t) => {
  const arrivals = new Arrivals()
  const { connect } = await startLane(t, arrivals.serve)
  for (const [asked, told] of [
    [true, false],
    [false, true],
  ]) {
    const client = await connect()
    client.send(`GET / HTTP/1.1\r\nHost: a\r\n${asked ? 'Connection: close\r\n' : ''}\r\n`)
    const { exchange } = await arrivals.next()
    exchange.sendHead(answerHead({ contentLength: 2, close: told! }))
    exchange.write(Buffer.from('ok'))
    exchange.end([])
    t.equal(await ended(client), 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok')
  }
})

t.test('what follows a request that closes the connection is not served', async (t) => {
  const arrivals = new Arrivals()
  const { connect, handler } = await startLane(t, arrivals.serve)
  const client = await connect()
  client.send(`GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n${GET}`)
  const { exchange } = await arrivals.next()
  await client.flush(`${GET}garbage`)
  answer(exchange, 'ok')
  t.match(await ended(client), /^HTTP\/1\.1 200 OK\r\n(?:.+\r\n)+\r\nok$/)
  t.equal(handler.seen, 1)
})

t.test('103 comes before the answer; without a Link, or as another status, it does not', async (t) => {
  const arrivals = new Arrivals()
  const { connect } = await startLane(t, arrivals.serve)
  const client = await connect()
  client.send(GET)
  const { exchange } = await arrivals.next()
  exchange.sendInterim(103, [
    'Link',
    '</a>; rel=preload',
    'Content-Security-Policy',
    "default-src 'self'",
    'link',
    '</b>',
  ])
  exchange.sendInterim(103, ['Content-Security-Policy', 'x'])
  exchange.sendInterim(102, ['Link', '</c>'])
  answer(exchange, 'ok')
  const hint = await client.response()
  t.equal(hint.status, 103)
  t.same(hint.headers, ['Link', '</a>; rel=preload, </b>', 'content-security-policy', "default-src 'self'"])
  t.equal((await client.response()).status, 200)
})

t.test('an answer that is cut is never whole', async (t) => {
  const arrivals = new Arrivals()
  const { connect } = await startLane(t, arrivals.serve)
  for (const contentLength of [undefined, 10]) {
    const client = await connect()
    client.send(GET)
    const { exchange, closes } = await arrivals.next()
    exchange.sendHead(answerHead({ contentLength }))
    exchange.write(Buffer.from('part'))
    await client.until((text) => text.includes('part'))
    exchange.abort()
    t.same(closes, [false])
    await client.closed
    const response = await client.response()
    t.notOk(response.complete)
  }
})

t.test(
  'an answer with another number of bytes than it declared is cut, and what is too much is not sent',
  async (t) => {
    const arrivals = new Arrivals()
    const { connect } = await startLane(t, arrivals.serve)
    for (const body of ['short', 'far too long']) {
      const client = await connect()
      client.send(GET)
      const { exchange, closes } = await arrivals.next()
      exchange.sendHead(answerHead({ contentLength: 8 }))
      exchange.write(Buffer.from(body))
      exchange.end([])
      t.same(closes, [false], body)
      t.notMatch(await ended(client), /too long/)
    }
  },
)

t.test('a client that takes nothing: write says so, pendingBytes too, and the drain is told', async (t) => {
  const arrivals = new Arrivals()
  const { connect } = await startLane(t, arrivals.serve)
  for (const contentLength of [undefined, 64 * 1024 * 1024]) {
    const client = await connect()
    client.socket.pause()
    client.send(GET)
    const observer = await arrivals.next()
    const { exchange } = observer
    exchange.sendHead(answerHead({ contentLength }))
    const chunk = Buffer.alloc(1024 * 1024, 'x')
    let written = 0
    let total = 0
    const fill = () => {
      while (written < 64) {
        written++
        if (!exchange.write(chunk)) return
      }
      exchange.end([])
    }
    observer.onDrained = fill
    fill()
    t.ok(written < 64, 'it stopped before the end')
    t.ok(exchange.pendingBytes > 0)
    client.socket.on('data', (data: Buffer) => {
      total += data.length
      client.clear()
    })
    client.socket.resume()
    t.equal(await observer.closed, true)
    t.equal(exchange.pendingBytes, 0)
    t.ok(observer.drains > 0)
    while (total < chunk.length * 64) await new Promise((resolve) => client.socket.once('data', resolve))
  }
})

t.test('a client that takes nothing stops an answer of small chunks too, each in a turn of its own', async (t) => {
  const arrivals = new Arrivals()
  const { connect } = await startLane(t, arrivals.serve)
  const client = await connect()
  client.socket.pause()
  client.send(GET)
  const observer = await arrivals.next()
  const { exchange } = observer
  exchange.sendHead(answerHead())
  const chunk = Buffer.alloc(4096, 'x')
  // More than the kernel keeps.
  const most = 16_384
  let written = 0
  while (written < most && exchange.write(chunk)) {
    written++
    await new Promise((resolve) => setImmediate(resolve))
  }
  t.ok(written < most, 'it stopped before the end')
  t.ok(exchange.pendingBytes < 1024 * 1024, 'little waits')
  client.socket.resume()
  await until(() => observer.drains !== 0)
  exchange.end([])
  t.equal(await observer.closed, true)
})

t.test('an answer that the client has not taken yet is not over', async (t) => {
  const arrivals = new Arrivals()
  const { connect } = await startLane(t, arrivals.serve)
  const client = await connect()
  client.socket.pause()
  client.send(`${GET}${GET}`)
  const first = await arrivals.next()
  first.exchange.sendHead(answerHead({ contentLength: 16 * 1024 * 1024 }))
  first.exchange.write(Buffer.alloc(16 * 1024 * 1024))
  first.exchange.end([])
  t.same(first.closes, [])
  t.equal(arrivals.observers.length, 1, 'the next request waits')
  // What is kept of so much would be copied again and again.
  const forget = () => client.clear()
  client.socket.on('data', forget).resume()
  t.equal(await first.closed, true)
  client.socket.off('data', forget)
  answer((await arrivals.next()).exchange, 'second')
  await client.until((text) => text.endsWith('second'))
})

t.test('a client that resets ends its exchange at once', async (t) => {
  const arrivals = new Arrivals()
  const { connect } = await startLane(t, arrivals.serve)
  for (const begun of [false, true]) {
    const client = await connect()
    client.send(GET)
    const { exchange, closed, closes } = await arrivals.next()
    if (begun) {
      exchange.sendHead(answerHead())
      exchange.flush()
      await client.until((text) => text.endsWith('\r\n\r\n'))
    }
    client.reset()
    t.equal(await closed, false)
    exchange.write(Buffer.from('late'))
    exchange.end([])
    exchange.abort()
    t.same(closes, [false])
  }
})
