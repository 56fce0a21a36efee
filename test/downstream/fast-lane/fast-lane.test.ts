/** The fast lane over real sockets: requests in any pieces and any number, bodies both ways, what leaves the lane, and what ends it. */
import { randomBytes } from 'node:crypto'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { makeAdmission } from '../../helpers/admission.ts'
import { startEchoUpstream } from '../../helpers/echo-upstream.ts'
import { startProxy } from '../../helpers/proxy-server.ts'
import { connectRaw, connectRawTls, type RawResponse } from '../../helpers/raw-client.ts'
import { makeSettings } from '../../helpers/settings.ts'
import { until } from '../../helpers/until.ts'
import type { Echo } from '../echo-handler.ts'
import { DoorsAtPort, startListener } from '../start-listener.ts'
import { Arrivals, answer, answerHead, type Observer, startLane } from './start-lane.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

const turn = () => new Promise((resolve) => setImmediate(resolve))

function readEcho({ status, body }: RawResponse): Echo {
  if (status !== 200) throw new Error(`status ${status}`)
  return JSON.parse(body.toString())
}

/** Sends the body back as it comes, counted or chunked, and goes no faster than the client reads. */
function sendBack(observer: Observer, contentLength: number | undefined): void {
  const { exchange } = observer
  exchange.sendHead(answerHead({ contentLength }))
  observer.onChunk = (chunk) => {
    if (!exchange.write(Buffer.from(chunk))) exchange.pauseBody()
  }
  observer.onDrained = () => exchange.resumeBody()
  exchange.readBody(observer)
  observer.bodyEnded.then(() => exchange.end([]))
}

/** Cuts bytes into chunks of odd sizes. */
function chunk(bytes: Buffer, trailers: string = ''): Buffer {
  const parts: Buffer[] = []
  for (let at = 0, size = 1; at < bytes.length; at += size, size = (size * 7) % 9973) {
    const part = bytes.subarray(at, at + size)
    parts.push(Buffer.from(`${part.length.toString(16)};x="y"\r\n`), part, Buffer.from('\r\n'))
  }
  return Buffer.concat([...parts, Buffer.from(`0\r\n${trailers}\r\n`)])
}

const REQUESTS: readonly [string, string, Partial<Echo>][] = [
  ['a GET', 'GET /a?b HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n\r\n', { method: 'GET', url: '/a?b', body: '' }],
  [
    'a counted body',
    'POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello',
    { method: 'POST', body: 'hello' },
  ],
  [
    'a chunked body',
    'PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nX-T: 1\r\n\r\n',
    { method: 'PUT', body: 'hello' },
  ],
]

for (const name of ['http', 'https'] as const) {
  t.test(`${name}: requests split at every byte are read in the lane`, async (t) => {
    const { port, handler } = await startListener(t, { name })
    const client = await (name === 'http' ? connectRaw(port) : connectRawTls(port))
    t.teardown(() => client.destroy())
    // Without it each second piece waits for the server's acknowledgement.
    client.socket.setNoDelay(true)
    let sent = 0
    for (const [title, text, expected] of REQUESTS) {
      for (let at = 1; at < text.length; at++) {
        await client.flush(text.slice(0, at))
        await turn()
        client.send(text.slice(at))
        const echo = readEcho(await client.response())
        if (echo.body !== expected.body || echo.url !== text.split(' ')[1]) t.fail(`${title}, split at ${at}`)
        sent++
      }
    }
    t.equal(handler.inLane, sent)
  })

  t.test(`${name}: requests of single bytes are read as well`, async (t) => {
    const { port } = await startListener(t, { name })
    const client = await (name === 'http' ? connectRaw(port) : connectRawTls(port))
    t.teardown(() => client.destroy())
    for (const [, text, expected] of REQUESTS) {
      const [, reading] = await Promise.all([client.sendSlowly(text), client.response()])
      t.match(readEcho(reading), expected)
    }
  })

  t.test(
    `${name}: pipelined requests are answered in order, and the connection leaves the lane where it must`,
    async (t) => {
      const { port, handler, listener } = await startListener(t, { name })
      const client = await (name === 'http' ? connectRaw(port) : connectRawTls(port))
      t.teardown(() => client.destroy())
      const plain = (index: number) => `POST /${index} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi`
      const unusual = (index: number) => `PROPFIND /${index} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi`
      client.send(Array.from({ length: 200 }, (_, index) => (index === 150 ? unusual(index) : plain(index))).join(''))
      for (let index = 0; index < 200; index++) {
        const echo = readEcho(await client.response())
        if (echo.url !== `/${index}` || echo.body !== 'hi') t.fail(`answer ${index} is for ${echo.url}`)
      }
      t.equal(handler.inLane, 150)
      t.equal(handler.seen, 200)
      t.equal(listener.connections, 1)
      client.send('GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nearly')
      await client.until((text) => text.endsWith('early'))
    },
  )

  t.test(`${name}: a connection in the lane leaves it at an Expect, an Upgrade, or what is invalid`, async (t) => {
    const { port, handler } = await startListener(t, { name })
    for (const [bytes, expected] of [
      ['POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\nContent-Length: 2\r\n\r\nhi', /"body":"hi"/],
      ['GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nearly', / 101 .*early$/s],
      ['garbage\r\n\r\n', / 400 /],
      ['GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n', / 400 /],
    ] as const) {
      const client = await (name === 'http' ? connectRaw(port) : connectRawTls(port))
      t.teardown(() => client.destroy())
      const before = handler.inLane
      client.send(GET)
      t.equal((await client.response()).status, 200)
      t.equal(handler.inLane, before + 1)
      client.send(bytes)
      await client.until((text) => expected.test(text))
      t.equal(handler.inLane, before + 1)
    }
  })
}

t.test('many answers that are ready at once do not pile up on the stack', async (t) => {
  const { connect, handler } = await startLane(t, (exchange) => answer(exchange, '.'))
  const client = await connect()
  client.send(GET.repeat(20_000))
  let length = 0
  client.socket.on('data', (data: Buffer) => {
    length += data.length
    client.clear()
  })
  await until(() => handler.seen === 20_000)
  const one = 'HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=75\r\nContent-Length: 1\r\n\r\n.'.length
  await until(() => length === 20_000 * one)
  t.equal(length, 20_000 * one)
})

t.test('of what is pipelined behind a request no more is read than a few reads bring', async (t) => {
  const arrivals = new Arrivals()
  const { connect, sockets, handler } = await startLane(t, arrivals.serve)
  const client = await connect()
  const text = GET.repeat(1000)
  for (let round = 0; round < 100; round++) client.send(text)
  const { exchange } = await arrivals.next()
  await until(() => sockets[0]!.isPaused())
  for (let round = 0; round < 100; round++) await turn()
  t.ok(sockets[0]!.bytesRead < 400_000, `${sockets[0]!.bytesRead} of ${text.length * 100} bytes were read`)
  t.equal(handler.seen, 1)
  handler.serve = (next) => answer(next, 'ok')
  client.socket.on('data', () => client.clear())
  answer(exchange, 'ok')
  await until(() => handler.seen === 100_000)
  t.equal(handler.seen, 100_000)
})

t.test('a body that nobody takes is not read; then it comes, with what is behind it', async (t) => {
  const arrivals = new Arrivals()
  const { connect, sockets } = await startLane(t, arrivals.serve)
  const client = await connect()
  const body = randomBytes(3_000_000)
  client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`).send(body).send(GET)
  const observer = await arrivals.next()
  const { exchange } = observer
  t.ok(exchange.hasBody)
  await until(() => sockets[0]!.isPaused())
  for (let round = 0; round < 50; round++) await turn()
  t.ok(sockets[0]!.bytesRead < 400_000)
  observer.onChunk = () => {
    exchange.pauseBody()
    setImmediate(() => exchange.resumeBody())
  }
  exchange.readBody(observer)
  t.notOk(exchange.isRequestComplete)
  await observer.bodyEnded
  t.ok(exchange.isRequestComplete)
  t.ok(Buffer.concat(observer.chunks).equals(body))
  t.same(observer.trailers, [])
  t.equal(arrivals.observers.length, 1)
  answer(exchange, 'first')
  answer((await arrivals.next()).exchange, 'second')
  await client.until((text) => text.endsWith('second'))
})

t.test('bodies of every framing arrive byte for byte, both ways at once, at the pace of the slower side', async (t) => {
  const arrivals = new Arrivals()
  const { connect } = await startLane(t, arrivals.serve)
  const body = randomBytes(2_000_000)
  for (const asks of ['counted', 'chunked'] as const) {
    for (const answers of ['counted', 'chunked'] as const) {
      const client = await connect()
      client.socket.on('data', () => {
        client.socket.pause()
        setImmediate(() => client.socket.resume())
      })
      const framing = asks === 'counted' ? `Content-Length: ${body.length}` : 'Transfer-Encoding: chunked'
      client.send(`POST / HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`)
      client.send(asks === 'counted' ? body : chunk(body, 'X-Sum: 1\r\n'))
      const observer = await arrivals.next()
      sendBack(observer, answers === 'counted' ? body.length : undefined)
      t.equal(await observer.closed, true)
      const response = await client.response({ timeoutMs: 30_000 })
      t.ok(response.body.equals(body), `${asks}, ${answers}`)
      t.same(observer.trailers, asks === 'counted' ? [] : ['X-Sum', '1'])
      client.destroy()
    }
  }
})

t.test(
  'an answer before the body has come: the client can read it, whatever it still sends, and then the connection ends',
  async (t) => {
    const arrivals = new Arrivals()
    const { connect, sockets } = await startLane(t, arrivals.serve)
    const client = await connect({ allowHalfOpen: true })
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n')
    const { exchange, closed } = await arrivals.next()
    for (let round = 0; round < 20; round++) client.send(Buffer.alloc(100_000))
    answer(exchange, 'too much')
    t.equal(await closed, true)
    const response = await client.response()
    t.equal(response.body.toString(), 'too much')
    t.equal(response.header('connection'), 'close')
    await until(() => client.hasEnded)
    t.equal(client.error, undefined)
    t.notOk(sockets[0]!.destroyed, 'what the client sends is still taken')
    client.end()
    await until(() => sockets[0]!.destroyed)
    t.equal(client.error, undefined)
  },
)

t.test('a client that goes on sending after an early answer is cut after a while', async (t) => {
  const arrivals = new Arrivals()
  const { connect, sockets } = await startLane(t, arrivals.serve)
  const client = await connect({ allowHalfOpen: true })
  client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n')
  answer((await arrivals.next()).exchange, 'no')
  await until(() => client.hasEnded)
  await new Promise((resolve) => sockets[0]!.once('close', resolve))
  t.ok(sockets[0]!.destroyed)
})

t.test('a body that turns out malformed is told once, and answered; bytes behind it mean nothing', async (t) => {
  const arrivals = new Arrivals()
  const { connect, handler } = await startLane(t, arrivals.serve)
  const cases = [
    'zz\r\n',
    '5\r\nhelloX\r\n',
    '5 \r\nhello\r\n0\r\n\r\n',
    '-1\r\n',
    '0\r\nX : y\r\n\r\n',
    '1\nx\r\n0\r\n\r\n',
  ]
  for (const bytes of cases) {
    const client = await connect()
    client.send(`POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n`)
    const observer = await arrivals.next()
    observer.exchange.readBody(observer)
    await until(() => observer.chunks.length > 0)
    await client.flush(bytes + GET)
    await observer.broken
    t.equal(observer.failures[0]!.code, 'PORTICO_REQ_MALFORMED', JSON.stringify(bytes))
    answer(observer.exchange, 'bad')
    const response = await client.response()
    t.equal(response.header('connection'), 'close')
    await until(() => client.hasEnded)
    t.equal(client.received.length, 0)
    t.equal(observer.failures.length, 1)
    t.equal(observer.trailers, undefined)
    t.equal(Buffer.concat(observer.chunks).toString().slice(0, 2), 'ok')
  }
  t.equal(handler.seen, cases.length)
})

t.test('SL-08 a client that has sent its FIN gets its answer as long as that makes progress', async (t) => {
  const arrivals = new Arrivals()
  const { connect } = await startLane(t, arrivals.serve)
  const client = await connect({ allowHalfOpen: true })
  client.send(GET).end()
  const { exchange, closed } = await arrivals.next()
  exchange.sendHead(answerHead())
  for (let round = 0; round < 4; round++) {
    exchange.write(Buffer.from('part'))
    await new Promise((resolve) => setTimeout(resolve, 400))
  }
  exchange.end([])
  t.equal(await closed, true)
  await client.closed
  t.equal((await client.response()).body.toString(), 'part'.repeat(4))
})

t.test('SL-08 a client that has sent its FIN and waits in vain is let go', async (t) => {
  const arrivals = new Arrivals()
  const { connect } = await startLane(t, arrivals.serve)
  for (const text of [GET, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n']) {
    const client = await connect({ allowHalfOpen: true })
    client.send(text).end()
    const { closed } = await arrivals.next()
    t.equal(await closed, false)
    await client.closed
  }
})

t.test(
  'what was sent before a FIN is served, however late: a row of requests, a body, and what is broken behind them',
  async (t) => {
    const arrivals = new Arrivals()
    const { connect, handler, handedOver } = await startLane(t, arrivals.serve)
    const row = await connect({ allowHalfOpen: true })
    row.send(GET.repeat(3)).end()
    for (let index = 0; index < 3; index++) {
      const { exchange } = await arrivals.next()
      for (let round = 0; round < 10; round++) await turn()
      answer(exchange, 'ok')
    }
    await row.closed
    t.equal(row.text.split('HTTP/1.1 200').length, 4)
    const body = await connect({ allowHalfOpen: true })
    body.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello').end()
    const observer = await arrivals.next()
    for (let round = 0; round < 10; round++) await turn()
    observer.exchange.readBody(observer)
    await observer.bodyEnded
    t.equal(Buffer.concat(observer.chunks).toString(), 'hello')
    t.same(observer.failures, [])
    answer(observer.exchange, 'ok')
    await body.closed
    t.match(body.text, /^HTTP\/1\.1 200 /)
    const broken = await connect({ allowHalfOpen: true })
    broken.send(`${GET}GET / HT`).end()
    const { exchange } = await arrivals.next()
    for (let round = 0; round < 10; round++) await turn()
    answer(exchange, 'ok')
    await broken.closed
    t.match(broken.text, /^HTTP\/1\.1 200 .*HTTP\/1\.1 400 /s)
    t.same(handler.clientErrors, ['PORTICO_REQ_MALFORMED'])
    const unusual = await connect({ allowHalfOpen: true })
    unusual.send(`${GET}PROPFIND /last HTTP/1.1\r\nHost: a\r\n\r\n`).end()
    const last = await arrivals.next()
    for (let round = 0; round < 10; round++) await turn()
    answer(last.exchange, 'ok')
    await until(() => handedOver.length === 1)
    await until(() => handedOver[0]!.text.startsWith('PROPFIND /last '))
  },
)

t.test('a FIN inside a head or a body is no request', async (t) => {
  const arrivals = new Arrivals()
  const { connect, handler } = await startLane(t, arrivals.serve)
  const head = await connect({ allowHalfOpen: true })
  head.send('GET / HTTP/1.1\r\nHo').end()
  await head.closed
  t.match(head.text, /^HTTP\/1\.1 400 /)
  t.same(handler.clientErrors, ['PORTICO_REQ_MALFORMED'])
  for (const framing of ['Content-Length: 9', 'Transfer-Encoding: chunked']) {
    const body = await connect({ allowHalfOpen: true })
    body.send(`POST / HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`)
    const observer = await arrivals.next()
    observer.exchange.readBody(observer)
    body.send('5\r\n').end()
    await observer.broken
    answer(observer.exchange, 'no')
    await body.closed
    t.match(body.text, /^HTTP\/1\.1 200 /)
    t.equal(observer.trailers, undefined)
  }
})

t.test(
  'a head that begins on a used connection must come in time; one that idles is closed without a word',
  async (t) => {
    const { connect, handler } = await startLane(t, (exchange) => answer(exchange, 'ok'), {
      'timeouts.requestHeaders': 200,
      'timeouts.keepAlive': 400,
    })
    const slow = await connect()
    slow.send(GET)
    await slow.response()
    slow.send('GET / HTTP/1.1\r\n')
    await slow.closed
    t.match(slow.text, /^HTTP\/1\.1 408 /)
    t.same(handler.clientErrors, ['PORTICO_REQ_TIMEOUT'])
    const idle = await connect()
    idle.send(GET)
    await idle.response()
    await idle.closed
    t.equal(idle.text, '')
  },
)

t.test('what leaves the lane has its listeners and limits taken along, and its bytes unread', async (t) => {
  const { connect, sockets, handedOver, lane } = await startLane(t, (exchange) => answer(exchange, 'ok'))
  const client = await connect()
  client.send(`${GET}PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n`)
  await until(() => (handedOver[0]?.text ?? '') !== '')
  const socket = sockets[0]!
  t.equal(handedOver[0]!.socket, socket)
  t.equal(handedOver[0]!.text, 'PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n')
  for (const event of ['drain', 'data']) t.equal(socket.listenerCount(event), 0, event)
  lane.drain()
  await turn()
  t.notOk(socket.destroyed, 'the lane has nothing to do with it any more')
})

t.test('resets at any byte of requests and answers leave nothing behind', async (t) => {
  const { port, handler, listener } = await startListener(t)
  const text = `${REQUESTS.map(([, request]) => request).join('')}PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n`
  for (let at = 1; at <= text.length; at++) {
    const client = await connectRaw(port)
    await client.flush(text.slice(0, at))
    if (at % 2 === 0) await turn()
    if (at % 3 === 0) client.reset()
    else client.destroy()
  }
  await until(() => listener.connections === 0)
  t.equal(handler.inFlight, 0)
})

/** Two listeners over one handler: with the lane, and without it. */
async function startDoors(t: Test, settings: Readonly<Record<string, unknown>> = {}) {
  const upstream = await startEchoUpstream()
  const path = await startProxy(t, [upstream.port], { settings })
  const start = async (enabled: boolean) => {
    const own = makeSettings({
      'fastLane.enabled': enabled,
      ...settings,
    })
    const log = pino({ level: 'silent' })
    const listener = new DoorsAtPort({
      name: 'http',
      settings: own,
      handler: path.proxy,
      onFinish: () => {},
      certificates: () => undefined,
      defaultCertificate: undefined,
      ...makeAdmission(own, log),
      log,
    })
    t.teardown(() => listener.close())
    return (await listener.listen()).port
  }
  t.teardown(() => upstream.close())
  return { lane: await start(true), node: await start(false), path, upstream }
}

/** What a client received, without what differs from request to request, and field lines in one order. */
function normalize(text: string): string[] {
  return text
    .replaceAll(/\b[0-9a-f]{32}\b/g, 'ID')
    .replaceAll(/Date: [^\r]*/g, 'Date: D')
    .replaceAll(/"X-Forwarded-Port","\d+"/g, '"X-Forwarded-Port","P"')
    .split(/(?=HTTP\/1\.1 \d{3})/)
    .map((response) => {
      const [head = '', ...body] = response.split('\r\n\r\n')
      return [...head.split('\r\n').sort(), ...body].join('\n')
    })
}

const POST = 'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n'
/** Each ends the connection, by what is sent or by the FIN behind it. */
const HOSTILE: Readonly<Record<string, string>> = {
  'a plain request': 'GET /a?b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  'a plain body': 'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello',
  'a chunked body with trailers': `${POST}5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n`,
  HEAD: 'HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  'HTTP/1.0': 'GET / HTTP/1.0\r\n\r\n',
  'an unknown method': 'FOO / HTTP/1.1\r\nHost: a\r\n\r\n',
  'no Host': 'GET / HTTP/1.1\r\n\r\n',
  'two Hosts': 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
  'a Host that is none': 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n',
  'a Host with userinfo': 'GET / HTTP/1.1\r\nHost: a@b\r\n\r\n',
  'a path that climbs out': 'GET /../x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  'a path with a broken escape': 'GET /%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  'a NUL in a path': 'GET /%00 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  'a fragment': 'GET /#a HTTP/1.1\r\nHost: a\r\n\r\n',
  'a target too long': `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
  'a head too large': `GET / HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(40_000)}\r\n\r\n`,
  'too many fields': `GET / HTTP/1.1\r\nHost: a\r\n${'a:b\r\n'.repeat(200)}\r\n`,
  'bare LF': 'GET / HTTP/1.1\nHost: a\n\n',
  'obs-fold': 'GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n',
  'a space before the colon': 'GET / HTTP/1.1\r\nHost : a\r\n\r\n',
  'NUL in a value': 'GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n',
  'both framings': 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'two lengths': 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello',
  'a length that is none': 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello',
  'another coding': 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
  'an underscore in a name': 'GET / HTTP/1.1\r\nHost: a\r\nX_Y: 1\r\nConnection: close\r\n\r\n',
  'a listed field': 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close, x-y\r\nX-Y: 1\r\n\r\n',
  'an expectation that cannot be met':
    'POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n',
  TLS: '\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00',
  'HTTP/2 with prior knowledge': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'a size that is none': `${POST}zz\r\nhello\r\n0\r\n\r\n`,
  'a negative size': `${POST}-5\r\nhello\r\n0\r\n\r\n`,
  'a size with a space': `${POST}5 \r\nhello\r\n0\r\n\r\n`,
  'a chunk longer than it says': `${POST}2\r\nhello\r\n0\r\n\r\n`,
  'bare LF behind a size': `${POST}5\nhello\r\n0\r\n\r\n`,
  'a size too large to count': `${POST}ffffffffffffffffff\r\n`,
  'a trailer that is none': `${POST}0\r\nX : y\r\n\r\n`,
  'extensions too large': `${POST}5;${'a'.repeat(20_000)}\r\nhello\r\n0\r\n\r\n`,
  'a FIN inside a head': 'GET / HTTP/1.1\r\nHo',
  'a FIN inside a counted body': 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nhello',
  'a FIN inside a chunked body': `${POST}5\r\nhel`,
  'an unusual request behind a request': 'GET / HTTP/1.1\r\nHost: a\r\n\r\nPROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n',
  'a request smuggled behind a close':
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n',
}

t.test(
  'hostile and odd requests get the same answers as from node:http, first on their connection or behind another one',
  async (t) => {
    const { lane, node, path } = await startDoors(t)
    for (const [name, text] of Object.entries(HOSTILE)) {
      for (const before of ['', GET]) {
        const answers: string[][] = []
        const outcomes: unknown[] = []
        for (const port of [lane, node]) {
          const seen = path.records.length
          const client = await connectRaw(port, { allowHalfOpen: true })
          t.teardown(() => client.destroy())
          if (before !== '') {
            client.send(before)
            await client.response()
          }
          client.send(text).end()
          await client.closed
          await until(() => path.proxy.inFlight === 0)
          answers.push(normalize(client.text))
          outcomes.push(
            path.records
              .slice(seen)
              .map(({ status, error, target, bytesOut }) => ({ status, error, target, bytesOut })),
          )
        }
        const title = before === '' ? name : `${name}, behind another request`
        t.same(answers[0], answers[1], title)
        t.same(outcomes[0], outcomes[1], `${title}: the records`)
      }
    }
  },
)
