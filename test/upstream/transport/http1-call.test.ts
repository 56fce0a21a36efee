import t, { type Test } from 'tap'
import type { Http1Call } from '../../../lib/upstream/transport/http1-call.ts'
import { makeCertificate } from '../../helpers/certificates.ts'
import { answerWith, type RawConnection, startRawUpstream } from '../../helpers/raw-upstream.ts'
import { until } from '../../helpers/until.ts'
import { type Exchange, openEndpoint, type RequestWords, send } from './exchange.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'

/** An endpoint that treats each connection so. */
async function startEndpoint(t: Test, behave: (connection: RawConnection, index: number) => void | Promise<void>) {
  const upstream = await startRawUpstream(behave)
  t.teardown(() => upstream.close())
  return { upstream, endpoint: openEndpoint(t, upstream.port) }
}

/** Sends one request to an endpoint that answers with these bytes, and then ends the connection if told. */
async function exchange(t: Test, bytes: string, words: RequestWords & { fin?: boolean } = {}): Promise<Exchange> {
  const { fin = false, ...request } = words
  const { endpoint } = await startEndpoint(t, answerWith(bytes, { end: fin }))
  return send(endpoint, request).over()
}

/** One turn of the event loop: what was given back can be used again. */
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

t.test('an answer is the same whatever the pieces it comes in', async (t) => {
  const answers: [string, string, readonly string[]][] = [
    ['HTTP/1.1 200 OK\r\nContent-Length: 11\r\nX-A: b\r\n\r\nhello world', 'hello world', []],
    [`${CHUNKED}5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nX-T: 1\r\n\r\n`, 'hello world', ['X-T', '1']],
    [
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
      '',
      [],
    ],
  ]
  for (const [answer, body, trailers] of answers) {
    const { upstream, endpoint } = await startEndpoint(t, () => {})
    for (let cut = 1; cut < answer.length; cut++) {
      const sent = send(endpoint)
      const connection = await upstream.connection(0)
      await connection.head()
      connection.clear()
      connection.send(answer.slice(0, cut))
      await turn()
      connection.send(answer.slice(cut))
      await sent.over()
      t.match(sent, { error: undefined, body, trailers, head: { status: 200, reason: 'OK' } }, `cut at ${cut}`)
      await turn()
    }
    t.equal(upstream.connections.length, 1, 'all over one connection')
    const bytewise = send(endpoint)
    const connection = await upstream.connection(0)
    await connection.head()
    for (const byte of answer) {
      connection.send(byte)
      await turn()
    }
    t.match(await bytewise.over(), { error: undefined, body, trailers }, 'byte by byte')
  }
})

t.test('the body follows at once or later, as onHead says', async (t) => {
  const whole = await exchange(t, OK)
  t.match(whole, { more: true, heard: ['connection', 'head', 'data', 'end'] })
  t.match(await exchange(t, 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'), { more: true })
  const { upstream, endpoint } = await startEndpoint(t, () => {})
  const sent = send(endpoint)
  const connection = await upstream.connection(0)
  connection.send(OK.slice(0, -2))
  t.equal((await sent.until(({ head }) => head !== undefined)).more, false)
  connection.send('ok')
  t.equal((await sent.over()).body, 'ok')
})

t.test('RFC 9112 §6.3 HEAD, 204 and 304 have no body whatever they declare', async (t) => {
  for (const [method, status] of [
    ['HEAD', '200 OK'],
    ['GET', '204 No Content'],
    ['GET', '304 Not Modified'],
  ] as const) {
    for (const framing of ['Content-Length: 5', 'Content-Length: 0', 'Transfer-Encoding: chunked', 'X-A: none']) {
      const sent = await exchange(t, `HTTP/1.1 ${status}\r\n${framing}\r\n\r\n`, { method })
      t.match(sent, { error: undefined, body: '', more: true, trailers: [] }, `${method} ${status} ${framing}`)
      const declared = framing === 'Content-Length: 5' && status !== '204 No Content' ? 5 : undefined
      if (framing === 'Content-Length: 5') t.equal(sent.head?.contentLength, declared)
    }
  }
})

t.test('hostile and broken answers are bad responses, never passed on', async (t) => {
  const bad = [
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello',
    'HTTP/1.1 200 OK\r\nX-A: b\nX-B: c\r\n\r\n',
    'HTTP/1.1 200 OK\nContent-Length: 0\n\n',
    'HTTP/1.1 99 Low\r\n\r\n',
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    'HTTP/2.0 200 OK\r\n\r\n',
    'SSH-2.0-OpenSSH_9.6\r\n',
    '\0\0\0\0',
    `${'HTTP/1.1 100 Continue\r\n\r\n'.repeat(17)}${OK}`,
    `HTTP/1.1 200 OK\r\n${'X-A: b\r\n'.repeat(1001)}\r\n`,
    `HTTP/1.1 200 OK\r\nX-A: ${'b'.repeat(70_000)}\r\n\r\n`,
    `HTTP/1.1 200 OK\r\nX-A: ${'b'.repeat(200_000)}`,
  ]
  for (const bytes of bad) {
    const sent = await exchange(t, bytes)
    t.equal(sent.error?.code, 'PORTICO_UP_BAD_RESPONSE', JSON.stringify(bytes.slice(0, 80)))
    t.equal(sent.head, undefined)
    t.equal(sent.connection!.socket.destroyed, true)
    t.equal(sent.connection!.isStale, false)
  }
  for (const chunks of [
    '5\r\nhelloX',
    'x\r\n',
    '5\nhello',
    '0\r\nBad Name: x\r\n\r\n',
    '\r\n',
    `0\r\nX: ${'y'.repeat(20_000)}`,
  ]) {
    const sent = await exchange(t, `${CHUNKED}${chunks}`)
    t.equal(sent.error?.code, 'PORTICO_UP_BAD_RESPONSE', JSON.stringify(chunks.slice(0, 40)))
    t.equal(sent.trailers, undefined)
  }
})

t.test('sixteen interim answers are heard, hints and 100 alone are told', async (t) => {
  const hint = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nX: y\r\n\r\n'
  const others = 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n'
  const sent = await exchange(t, `${others}${hint.repeat(2)}${'HTTP/1.1 100 Continue\r\n\r\n'.repeat(12)}${OK}`)
  t.match(sent, { error: undefined, body: 'ok', continues: 13 })
  t.same(sent.hints, [
    ['Link', '</a.css>', 'X', 'y'],
    ['Link', '</a.css>', 'X', 'y'],
  ])
})

t.test('a connection that ends in the midst of an answer breaks it off', async (t) => {
  const cases: [string, string][] = [
    ['', 'PORTICO_UP_RESET'],
    ['HTT', 'PORTICO_UP_RESET'],
    ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n', 'PORTICO_UP_RESET'],
    ['HTTP/1.1 100 Continue\r\n\r\n', 'PORTICO_UP_RESET'],
    ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', 'PORTICO_UP_TRUNCATED'],
    ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell', 'PORTICO_UP_TRUNCATED'],
    [CHUNKED, 'PORTICO_UP_TRUNCATED'],
    [`${CHUNKED}5\r\nhel`, 'PORTICO_UP_TRUNCATED'],
    [`${CHUNKED}5\r\nhello\r\n`, 'PORTICO_UP_TRUNCATED'],
    [`${CHUNKED}5\r\nhello\r\n0\r\n`, 'PORTICO_UP_TRUNCATED'],
    [`${CHUNKED}5\r\nhello\r\n0\r\n\r`, 'PORTICO_UP_TRUNCATED'],
    [`${CHUNKED}5\r\nhello\r\n0\r\nX: y\r\n`, 'PORTICO_UP_TRUNCATED'],
  ]
  for (const [bytes, code] of cases) {
    const sent = await exchange(t, bytes, { fin: true })
    t.equal(sent.error?.code, code, `FIN behind ${JSON.stringify(bytes)}`)
    t.equal(sent.trailers, undefined)
    t.equal(sent.connection!.socket.destroyed, true)
  }
  for (const [bytes, code] of [...cases, ['HTTP/1.1 200 OK\r\n\r\nuntil close', 'PORTICO_UP_TRUNCATED']] as const) {
    const { upstream, endpoint } = await startEndpoint(t, () => {})
    const sent = send(endpoint)
    const connection = await upstream.connection(0)
    await connection.head()
    if (bytes !== '') connection.send(bytes)
    if (code === 'PORTICO_UP_TRUNCATED') await sent.until(({ head }) => head !== undefined)
    connection.socket.resetAndDestroy()
    await sent.over()
    t.equal(sent.error?.code, code, `RST behind ${JSON.stringify(bytes)}`)
    t.equal(sent.trailers, undefined)
  }
})

t.test('a body without length ends with the connection', async (t) => {
  for (const start of ['HTTP/1.1 200 OK\r\n', 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n']) {
    const sent = await exchange(t, `${start}\r\nuntil the end`, { fin: true })
    t.match(sent, { error: undefined, body: 'until the end', trailers: [] })
    t.equal(sent.connection!.socket.destroyed, true)
  }
})

t.test('surplus bytes behind an answer are never an answer to the next request', async (t) => {
  const poison = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison'
  for (const answer of [
    OK,
    `${CHUNKED}2\r\nok\r\n0\r\n\r\n`,
    'HTTP/1.1 204 No Content\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  ]) {
    const { upstream, endpoint } = await startEndpoint(t, async (connection, index) => {
      await connection.head()
      connection.send(index === 0 ? answer + poison : OK)
    })
    const first = await send(endpoint).over()
    t.match(first, { error: undefined, trailers: [] }, 'the answer itself is whole')
    t.equal(first.body, answer.includes('ok') ? 'ok' : '')
    t.equal(first.connection!.socket.destroyed, true)
    t.equal((await send(endpoint).over()).body, 'ok')
    t.equal(upstream.connections.length, 2)
  }
  const { upstream, endpoint } = await startEndpoint(t, async (connection) => {
    await connection.head()
    connection.send(OK)
  })
  const first = await send(endpoint).over()
  await turn()
  t.equal(endpoint.connections, 1, 'it is idle')
  upstream.connections[0]!.send(poison)
  await upstream.connections[0]!.ended()
  t.equal(first.connection!.socket.destroyed, true, 'bytes on an idle connection end it')
  t.equal((await send(endpoint).over()).body, 'ok')
})

t.test('a connection is used again only where the answer allows it', async (t) => {
  const cases: [string, number][] = [
    [OK, 1],
    ['HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok', 2],
    ['HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok', 2],
    ['HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok', 1],
    ['HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=1\r\n\r\nok', 2],
    ['HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=5\r\n\r\nok', 1],
    ['HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n', 2],
  ]
  for (const [answer, connections] of cases) {
    const { upstream, endpoint } = await startEndpoint(t, answerWith(answer))
    for (let n = 0; n < 2; n++) {
      t.equal((await send(endpoint).over()).error, undefined)
      await turn()
    }
    t.equal(upstream.connections.length, connections, answer)
  }
})

t.test('the head of a request goes out with what follows, or when it is flushed', async (t) => {
  const { upstream, endpoint } = await startEndpoint(t, () => {})
  const head = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n'
  const held = send(endpoint, { authority: 'a', method: 'POST', hasBody: true, contentLength: 5 }, () => {})
  const connection = await upstream.connection(0)
  await held.until(({ call }) => call !== undefined)
  await turn()
  t.equal(connection.text, '')
  held.call!.flush()
  await connection.until((text) => text.endsWith('\r\n\r\n'))
  t.equal(held.call!.write(Buffer.from('hello')), true)
  held.call!.end([])
  t.equal(await connection.until((text) => text.endsWith('hello')), `${head}hello`)
  connection.send(OK)
  t.equal((await held.over()).body, 'ok')
})

t.test('request bodies arrive byte for byte, counted and chunked, small and large', async (t) => {
  const { upstream, endpoint } = await startEndpoint(t, () => {})
  for (const [n, sizes] of [[5], [4096, 4097, 1], [200_000, 3], []].entries()) {
    const bodies = sizes.map((size) => Buffer.alloc(size, String.fromCharCode(97 + n)))
    const plain = Buffer.concat(bodies).toString()
    const counted = `PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${plain.length}\r\n\r\n`
    const chunked = 'PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
    const chunks = bodies.map((body) => `${body.length.toString(16)}\r\n${body}\r\n`).join('')
    for (const [contentLength, trailers, wire] of [
      [plain.length, [], counted + plain],
      [undefined, [], `${chunked}${chunks}0\r\n\r\n`],
      [undefined, ['X-T', '1', 'X-U', '2'], `${chunked}${chunks}0\r\nX-T: 1\r\nX-U: 2\r\n\r\n`],
    ] as const) {
      const sent = send(endpoint, { authority: 'a', method: 'PUT', hasBody: true, contentLength }, ({ call }) => {
        for (const each of bodies) call!.write(each)
        call!.write(Buffer.alloc(0))
        call!.end(trailers)
      })
      const connection = await upstream.connection(0)
      await connection.until((text) => text.length >= wire.length)
      t.ok(connection.text === wire, `${contentLength} ${sizes} ${trailers}`)
      connection.clear()
      connection.send(OK)
      t.equal((await sent.over()).error, undefined)
      await turn()
    }
  }
  t.equal(upstream.connections.length, 1)
})

t.test('a full connection asks for patience, and says when it is over', async (t) => {
  const { upstream, endpoint } = await startEndpoint(t, (connection) => {
    connection.socket.pause()
  })
  const chunk = Buffer.alloc(65_536, 'x')
  let written = 0
  const sent = send(endpoint, { method: 'PUT', hasBody: true }, ({ call }) => {
    while (call!.write(chunk)) if (++written > 1000) break
  })
  const connection = await upstream.connection(0)
  await sent.until(({ call }) => call !== undefined)
  t.ok(written < 1000, `${written} chunks`)
  t.equal(sent.drains, 0)
  connection.socket.resume()
  await sent.until(({ drains }) => drains === 1)
  sent.call!.end([])
  connection.send(OK)
  await sent.over()
  t.equal(sent.body, 'ok')
})

t.test('a paused answer waits in the endpoint, and comes byte for byte', async (t) => {
  const size = 30_000_000
  const chunk = Buffer.alloc(50_000)
  for (let at = 0; at < chunk.length; at++) chunk[at] = at % 251
  for (const framing of ['counted', 'chunked'] as const) {
    let sentBytes = 0
    const { endpoint } = await startEndpoint(t, async (connection) => {
      await connection.head()
      connection.send(framing === 'chunked' ? CHUNKED : `HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`)
      for (; sentBytes < size; sentBytes += chunk.length) {
        if (framing === 'chunked') connection.send(`${chunk.length.toString(16)}\r\n`)
        connection.send(chunk)
        if (framing === 'chunked') connection.send('\r\n')
        if (connection.socket.writableNeedDrain)
          await new Promise<void>((resolve) => connection.socket.once('drain', resolve))
      }
      if (framing === 'chunked') connection.send('0\r\n\r\n')
    })
    const sent = send(endpoint)
    await sent.until(({ chunks }) => chunks.length > 0)
    sent.call!.pause()
    const heard = sent.heard.length
    let before = -1
    while (before !== sentBytes) {
      before = sentBytes
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    t.ok(sentBytes < size, `the endpoint was stopped after ${sentBytes} bytes`)
    t.ok(sent.heard.length <= heard + 1)
    sent.call!.resume()
    await sent.over()
    const body = Buffer.concat(sent.chunks)
    t.equal(body.length, size)
    t.ok(body.equals(Buffer.alloc(size, chunk)), framing)
    t.same(sent.trailers, [])
  }
})

t.test('an answer before the whole request was sent is told, and costs the connection', async (t) => {
  const { upstream, endpoint } = await startEndpoint(t, async (connection) => {
    await connection.head()
    connection.send('HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno')
  })
  const request = { method: 'PUT', hasBody: true, contentLength: 1000 }
  const sent = send(endpoint, request, ({ call }) => call!.write(Buffer.from('x')))
  await sent.over()
  t.match(sent, { error: undefined, body: 'no', head: { status: 413 } })
  t.equal(sent.connection!.socket.destroyed, true)
  t.equal(sent.call!.write(Buffer.from('more')), true, 'what is written afterwards goes nowhere')
  sent.call!.end([])
  sent.call!.flush()
  sent.call!.resume()
  sent.call!.abort()
  await (await upstream.connection(0)).ended()
})

t.test('a request on a connection that has closed meanwhile fails, later', async (t) => {
  const { endpoint } = await startEndpoint(t, () => {})
  let begun = () => {}
  const first = send(endpoint)
  await first.until(({ connection }) => connection !== undefined)
  const connection = first.connection!
  first.call!.abort()
  await until(() => endpoint.connections === 0)
  const late = send(endpoint, {}, () => begun())
  await late.until((each) => each.connection !== undefined)
  begun = () => t.equal(late.error, undefined, 'not before the connection was taken')
  ;(late.call as Http1Call).onConnection(connection)
  t.equal((await late.over()).error?.code, 'PORTICO_UP_RESET')
  t.equal(endpoint.connections, 1, 'it is counted out once')
})

t.test('an aborted request is cut, and nothing is heard of it', async (t) => {
  const { upstream, endpoint } = await startEndpoint(t, () => {})
  const sent = send(endpoint)
  const connection = await upstream.connection(0)
  await connection.head()
  sent.call!.abort()
  connection.send(OK)
  await connection.ended()
  t.same(sent.heard, ['connection'])
  t.equal(endpoint.connections, 0)
})

t.test('101 hands the socket over, with the bytes that came behind it', async (t) => {
  const head = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-A: b\r\n\r\n'
  const { upstream, endpoint } = await startEndpoint(t, () => {})
  const sent = send(endpoint, { upgrade: 'echo' })
  const connection = await upstream.connection(0)
  await connection.head()
  connection.send(`${head}early`)
  await sent.over()
  const { socket, early } = sent.upgraded!
  t.match(sent.upgraded!.head, { status: 101, upgrade: 'echo', lines: 'X-A: b\r\n' })
  t.equal(early.toString(), 'early')
  t.equal(endpoint.connections, 1, 'it counts as open')
  connection.send('late')
  await turn()
  const late = new Promise((resolve) => socket.once('data', resolve))
  socket.resume()
  t.equal(String(await late), 'late')
  socket.destroy()
  await connection.ended()
  await turn()
  t.equal(endpoint.connections, 0)
  t.equal(
    (await exchange(t, 'HTTP/1.1 101 Switching\r\n\r\n', { upgrade: 'echo' })).error?.code,
    'PORTICO_UP_BAD_RESPONSE',
  )
  t.equal((await exchange(t, OK, { upgrade: 'echo' })).body, 'ok', 'an upgrade may be declined')
})

t.test('a failure before any byte on a used connection is stale, any other is not', async (t) => {
  const { upstream, endpoint } = await startEndpoint(t, async (connection, index) => {
    await connection.head()
    connection.send(index === 0 ? OK : '')
    await connection.head(2)
    connection.socket.resetAndDestroy()
  })
  await send(endpoint).over()
  await turn()
  const stale = await send(endpoint).over()
  t.equal(stale.error?.code, 'PORTICO_UP_RESET')
  t.equal(stale.connection!.isStale, true)
  const fresh = send(endpoint, { past: 'none' })
  await (await upstream.connection(1)).head()
  upstream.connections[1]!.socket.resetAndDestroy()
  t.equal((await fresh.over()).connection!.isStale, false)
})

t.test('RFC 9112 §9.8 over TLS a body without length needs a close_notify', async (t) => {
  const pem = await makeCertificate({ names: ['web.default.svc'] })
  const settings = { 'upstream.verifyTls': false }
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    for (const [how, proper] of [
      ['end', true],
      ['end at once', true],
      ['fin', false],
    ] as const) {
      const upstream = await startRawUpstream(
        async (connection) => {
          await connection.head()
          const bytes = 'HTTP/1.0 200 OK\r\n\r\nuntil the end'
          if (how === 'end at once') {
            connection.socket.end(bytes)
            return
          }
          connection.send(bytes)
          await connection.until((text) => text.endsWith('heard'))
          if (how === 'end') connection.socket.end()
          else upstream.transports[0]!.end()
        },
        { cert: pem.certificate, key: pem.key, maxVersion: version },
      )
      t.teardown(() => upstream.close())
      const endpoint = openEndpoint(t, upstream.port, { protocol: 'https', settings })
      const request = { method: 'PUT', hasBody: true, contentLength: 5 }
      const sent = send(endpoint, request, ({ call }) => call!.flush())
      await sent.until(({ chunks }) => chunks.length > 0)
      await turn()
      sent.call!.write(Buffer.from('heard'))
      sent.call!.end([])
      await sent.over()
      t.equal(sent.body, 'until the end')
      t.equal(sent.error?.code, proper ? undefined : 'PORTICO_UP_TRUNCATED', `${version} ${how}`)
    }
  }
})

t.test('over TLS a reset breaks the answer off', async (t) => {
  const pem = await makeCertificate({ names: ['web.default.svc'] })
  for (const [bytes, code] of [
    ['', 'PORTICO_UP_RESET'],
    ['HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell', 'PORTICO_UP_TRUNCATED'],
    ['HTTP/1.1 200 OK\r\n\r\nuntil close', 'PORTICO_UP_TRUNCATED'],
  ] as const) {
    const upstream = await startRawUpstream(() => {}, { cert: pem.certificate, key: pem.key })
    t.teardown(() => upstream.close())
    const endpoint = openEndpoint(t, upstream.port, { protocol: 'https', settings: { 'upstream.verifyTls': false } })
    const sent = send(endpoint)
    const connection = await upstream.connection(0)
    await connection.head()
    if (bytes !== '') connection.send(bytes)
    if (bytes !== '') await sent.until(({ head }) => head !== undefined)
    upstream.transports[0]!.resetAndDestroy()
    t.equal((await sent.over()).error?.code, code)
    await until(() => endpoint.connections === 0)
  }
})

t.test('over TLS answers are the same, split and whole', async (t) => {
  const pem = await makeCertificate({ names: ['web.default.svc'] })
  const answers = [OK, `${CHUNKED}2\r\nok\r\n0\r\n\r\n`]
  const upstream = await startRawUpstream(
    async (connection) => {
      for (let n = 1; ; n++) {
        const text = await connection.head(n)
        if (text.split('\r\n\r\n').length <= n) return
        for (const byte of answers[n % 2]!) connection.send(byte)
      }
    },
    { cert: pem.certificate, key: pem.key },
  )
  t.teardown(() => upstream.close())
  const endpoint = openEndpoint(t, upstream.port, { protocol: 'https', settings: { 'upstream.verifyTls': false } })
  for (let n = 0; n < 4; n++) {
    t.match(await send(endpoint).over(), { error: undefined, body: 'ok' })
    await turn()
  }
  t.equal(upstream.connections.length, 1)
})
