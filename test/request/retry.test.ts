/** What is tried again, where and when, and what is not; endpoints fail over real sockets. */
import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { chooseBackoff } from '../../lib/request/retry.ts'
import { type Fault, startFaultyUpstream } from '../helpers/faulty-upstream.ts'
import { findFreePort } from '../helpers/free-ports.ts'
import { connectH2, requestH2 } from '../helpers/h2-client.ts'
import { type ProxyServer, startProxy } from '../helpers/proxy-server.ts'
import { connectRaw, requestRaw } from '../helpers/raw-client.ts'
import { answerWith, type RawConnection, startRawUpstream } from '../helpers/raw-upstream.ts'
import { until } from '../helpers/until.ts'

const GET = 'GET / HTTP/1.1\r\nHost: gw.test\r\n\r\n'
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

function request(method: string, body: string | Buffer = '', framing: 'counted' | 'chunked' = 'counted'): Buffer {
  const bytes = Buffer.from(body)
  const head = `${method} / HTTP/1.1\r\nHost: gw.test\r\n`
  if (framing === 'counted')
    return Buffer.concat([Buffer.from(`${head}Content-Length: ${bytes.length}\r\n\r\n`), bytes])
  return Buffer.concat([
    Buffer.from(`${head}Transfer-Encoding: chunked\r\n\r\n${bytes.length.toString(16)}\r\n`),
    bytes,
    Buffer.from('\r\n0\r\nX-Sum: 1\r\n\r\n'),
  ])
}

/** Fails the first requests as `faults` say, then answers. */
const inTurn =
  (...faults: Fault[]) =>
  (_request: unknown, index: number): Fault =>
    faults[index] ?? 'ok'

/** Nothing may be counted as under way once all requests have ended; of each, log and metrics tell of as many tries. */
function checkIdle(t: Test, server: ProxyServer): void {
  for (const { tries, retries = [], detail = '' } of server.records) {
    const made = retries.filter(({ result }) => result !== 'over-budget')
    t.equal(made.length, Math.max(0, tries - 1), 'a result for each try after the first')
    const [, told = tries] = / \((\d+) tries\)/.exec(detail) ?? []
    t.equal(Number(told), tries)
  }
  t.equal(server.proxy.inFlight, 0, 'no request is under way')
  for (const state of server.registry.states()) t.equal(state.inFlight, 0, `none at ${state.label}`)
}

const LONG_BACKOFF = {
  'upstream.tries': 10,
  'upstream.retry.backoff': 100_000,
  'upstream.retry.maxBackoff': 100_000,
}

/** Any time up to the backoff may be drawn, a very short one too. */
function holdBackoff(t: Test): void {
  const { random } = Math
  Math.random = () => 0.9
  t.teardown(() => {
    Math.random = random
  })
}

t.test('a reset before the answer is tried again for methods that may be repeated', async (t) => {
  for (const fault of ['reset', 'reset-early'] as const) {
    for (const [method, body] of [
      ['GET', ''],
      ['HEAD', ''],
      ['OPTIONS', ''],
      ['DELETE', ''],
      ['PUT', 'abc'],
      ['PUT', ''],
    ] as const) {
      const upstream = await startFaultyUpstream(t, inTurn(fault))
      const server = await startProxy(t, [upstream.port])
      const client = await connectRaw(server.port)
      const response = await client.send(request(method, body)).response({ headOnly: method === 'HEAD' })
      t.equal(response.status, 200, `${method} ${fault}`)
      t.equal(upstream.heads, 2)
      client.destroy()
      t.match(await server.record(), {
        tries: 2,
        detail: /^127\.0\.0\.1:\d+: .+$/,
        retries: [{ reason: 'reset', result: 'answered' }],
      })
      checkIdle(t, server)
    }
  }
})

t.test('a POST of which a byte was written is never sent twice', async (t) => {
  for (const fault of ['reset', 'reset-early', 'cut', 'hang', 503] as const) {
    for (const method of ['POST', 'PATCH']) {
      for (const body of ['', 'abc']) {
        const upstream = await startFaultyUpstream(t, () => fault)
        const server = await startProxy(t, [upstream.port, upstream.port], {
          settings: {
            'upstream.tries': 5,
            'upstream.retry.tryTimeout': 200,
            'upstream.retry.conditions': ['connect-failure', 'reset', 'timeout', '5xx'],
          },
        })
        await requestRaw(server.port, request(method, body))
        t.equal(upstream.heads, 1, `${method} "${body}" ${fault}`)
        t.match(await server.record(), { tries: 1, retries: undefined })
      }
    }
  }
})

t.test('a POST is sent to another endpoint where nothing of it was sent, its body whole', async (t) => {
  const upstream = await startFaultyUpstream(t, () => 'ok')
  const server = await startProxy(t, [await findFreePort(), upstream.port])
  const body = randomBytes(300_000)
  for (let n = 0; n < 6; n++) {
    t.equal((await requestRaw(server.port, request('POST', body, n % 2 ? 'chunked' : 'counted'))).status, 200)
    t.ok(upstream.requests[n]!.body.equals(body))
  }
  t.equal(upstream.heads, 6)
  checkIdle(t, server)
})

t.test('methods can be said to be repeatable', async (t) => {
  const upstream = await startFaultyUpstream(t, inTurn('reset'))
  const server = await startProxy(t, {
    upstreams: { web: { endpoints: [upstream.port], policy: { 'retry.methods': ['POST'] } } },
    routes: [{ to: 'web' }],
  })
  t.equal((await requestRaw(server.port, request('POST', 'abc'))).status, 200)
  t.same(
    upstream.requests.map(({ body }) => body.toString()),
    ['abc', 'abc'],
  )
})

t.test('bodies are repeated byte for byte, framing and trailers included', async (t) => {
  for (const framing of ['counted', 'chunked'] as const) {
    for (const size of [1, 4096, 65_536]) {
      const body = randomBytes(size)
      const upstream = await startFaultyUpstream(t, inTurn('reset', 'reset-early', 'reset'))
      const server = await startProxy(t, [upstream.port], { settings: { 'upstream.tries': 4 } })
      t.equal((await requestRaw(server.port, request('PUT', body, framing))).status, 200, `${framing} ${size}`)
      t.equal(upstream.heads, 4)
      for (const each of upstream.requests) t.ok(each.body.equals(body))
      checkIdle(t, server)
    }
  }
})

t.test('a body that is longer than what is kept is not repeated', async (t) => {
  for (const [framing, bufferBytes] of [
    ['counted', 1000],
    ['chunked', 1000],
    ['counted', 0],
    ['chunked', 0],
  ] as const) {
    const upstream = await startFaultyUpstream(t, () => 'reset')
    const settings = { 'upstream.retry.bufferBytes': bufferBytes }
    const server = await startProxy(t, [upstream.port], { settings })
    const response = await requestRaw(server.port, request('PUT', randomBytes(1001), framing))
    t.equal(response.status, 502)
    t.equal(upstream.heads, 1, `${framing} ${bufferBytes}`)
    checkIdle(t, server)
  }
})

t.test('a body that is still coming goes on at the next endpoint', async (t) => {
  for (const framing of ['Content-Length: 9', 'Transfer-Encoding: chunked']) {
    const part = (text: string) => (framing.startsWith('C') ? text : `3\r\n${text}\r\n`)
    const upstream = await startRawUpstream(() => {})
    t.teardown(() => upstream.close())
    const server = await startProxy(t, [upstream.port], { settings: { 'upstream.requestBuffering': 'none' } })
    const client = await connectRaw(server.port)
    t.teardown(() => client.destroy())
    client.send(`PUT / HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n${part('abc')}`)
    const first = await upstream.connection(0)
    await first.until((text) => text.includes('abc'))
    first.socket.resetAndDestroy()
    client.send(part('def'))
    const second = await upstream.connection(1)
    await second.until((text) => text.includes('def'))
    client.send(part('ghi'))
    if (!framing.startsWith('C')) client.send('0\r\n\r\n')
    const all = await second.until(
      (text) => text.includes('ghi') && (framing.startsWith('C') || text.endsWith('0\r\n\r\n')),
    )
    t.match(all.replace(/^.*?\r\n\r\n/s, '').replace(/\r\n|\d/g, ''), /^abcdefghi$/)
    second.send(OK)
    t.equal((await client.response()).status, 200)
  }
})

t.test('Expect: 100-continue is answered once, however often the request is sent', async (t) => {
  const upstream = await startFaultyUpstream(t, inTurn('reset'))
  const server = await startProxy(t, [await findFreePort(), upstream.port], { settings: { 'upstream.tries': 4 } })
  const client = await connectRaw(server.port)
  client.send('PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n')
  t.equal((await client.response()).status, 100)
  t.equal((await client.send('abc').response()).status, 200)
  t.notMatch(client.text, /100 Continue/)
  client.destroy()
})

t.test('an answer that has begun is not asked for again', async (t) => {
  const upstream = await startFaultyUpstream(t, () => 'cut')
  const server = await startProxy(t, [upstream.port], { settings: { 'upstream.tries': 5 } })
  t.match(await requestRaw(server.port, GET), { status: 200, complete: false })
  t.equal(upstream.heads, 1)
  const partial = await startRawUpstream(async (connection) => {
    await connection.head()
    connection.send('HTTP/1.1 200 OK\r\nCon')
    await new Promise((resolve) => setTimeout(resolve, 50))
    connection.socket.resetAndDestroy()
  })
  t.teardown(() => partial.close())
  const other = await startProxy(t, [partial.port], { settings: { 'upstream.tries': 5 } })
  t.equal((await requestRaw(other.port, GET)).status, 502)
  t.equal(partial.connections.length, 1, 'not even where only a part of its head came')
  checkIdle(t, server)
  checkIdle(t, other)
})

t.test('another endpoint comes first, then one that was tried already', async (t) => {
  const ports: number[] = []
  const start = () =>
    startFaultyUpstream(t, (request) => {
      ports.push(request.socket.localPort!)
      return ports.length < 4 ? 'reset' : 'ok'
    })
  const [a, b] = [await start(), await start()]
  const server = await startProxy(t, [a.port, b.port], {
    settings: { 'upstream.tries': 4, 'upstream.retry.backoff': 1 },
  })
  t.equal((await requestRaw(server.port, GET)).status, 200)
  t.equal(ports.length, 4)
  for (const n of [1, 2, 3]) t.not(ports[n], ports[n - 1], 'never the one that failed last')
  t.match(await server.record(), { tries: 4, retries: { length: 3 } })
})

t.test('the log tells every try', async (t) => {
  const reset = await startFaultyUpstream(t, () => 'reset')
  const closed = await findFreePort()
  const server = await startProxy(t, [closed, reset.port])
  t.equal((await requestRaw(server.port, GET)).status, 502)
  const { error, detail, tries, retries } = await server.record()
  t.equal(error, 'PORTICO_UP_RESET')
  t.match(detail, /^127\.0\.0\.1:\d+ refused the connection; 127\.0\.0\.1:\d+: ECONNRESET \(2 tries\)$/)
  t.equal(tries, 2)
  t.same(retries, [{ reason: 'connect-failure', result: 'failed' }])
})

t.test('a try that is not answered in its time is made elsewhere', async (t) => {
  const slow = await startFaultyUpstream(t, () => 'hang')
  const quick = await startFaultyUpstream(t, () => 'ok')
  const settings = { 'upstream.retry.tryTimeout': 100 }
  const server = await startProxy(t, [slow.port, quick.port], { settings })
  for (const n of [0, 1]) t.equal((await requestRaw(server.port, request('PUT', 'abc'))).status, 200, `${n}`)
  t.equal(quick.heads, 2)
  t.equal(slow.heads, 1)
  const record = await server.record()
  t.match(record, { tries: 2, retries: [{ reason: 'timeout', result: 'answered' }], detail: /nothing for 100 ms/ })
  t.equal((await requestRaw(server.port, request('POST', 'abc'))).status, 504, 'a POST has the same limit, and one try')
  await slow.until(({ running }) => running === 0)
  checkIdle(t, server)
})

t.test('without a limit of their own, tries are not repeated when time is over', async (t) => {
  const slow = await startFaultyUpstream(t, () => 'hang')
  const server = await startProxy(t, [slow.port, slow.port], { settings: { 'timeouts.responseHeaders': 100 } })
  t.equal((await requestRaw(server.port, GET)).status, 504)
  t.equal(slow.heads, 1)
})

t.test('a malformed answer, or one with too large a head, is asked for again where the policy says so', async (t) => {
  const answers = [
    'HTP/1.1 200 OK\r\n\r\n',
    `HTTP/1.1 200 OK\r\nX-Long: ${'x'.repeat(70_000)}\r\n\r\n`,
    'HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n',
  ]
  for (const answer of answers) {
    for (const [method, conditions, status, tries] of [
      ['GET', ['bad-answer'], 200, 2],
      ['PUT', ['reset', 'bad-answer'], 200, 2],
      ['POST', ['bad-answer'], 502, 1],
      ['GET', ['connect-failure', 'reset', 'timeout', '5xx'], 502, 1],
    ] as const) {
      const upstream = await startRawUpstream(async (connection) => {
        await connection.head()
        connection.send(upstream.connections.length === 1 ? answer : OK)
      })
      t.teardown(() => upstream.close())
      const server = await startProxy(t, [upstream.port], {
        settings: { 'upstream.retry.conditions': [...conditions] },
      })
      const label = `${method} ${conditions} ${answer.slice(0, 30)}`
      t.equal((await requestRaw(server.port, request(method, method === 'GET' ? '' : 'abc'))).status, status, label)
      const record = await server.record()
      t.equal(record.tries, tries, label)
      if (tries === 2) t.same(record.retries, [{ reason: 'bad-answer', result: 'answered' }])
      else t.equal(record.error, 'PORTICO_UP_BAD_RESPONSE')
      checkIdle(t, server)
    }
  }
})

t.test('tries: 0 asks each endpoint once', async (t) => {
  for (const count of [1, 3, 6]) {
    const upstreams = await Promise.all(Array.from({ length: count }, () => startFaultyUpstream(t, () => 'reset')))
    const server = await startProxy(
      t,
      upstreams.map(({ port }) => port),
      { settings: { 'upstream.tries': 0, 'upstream.retry.backoff': 1 } },
    )
    t.equal((await requestRaw(server.port, GET)).status, 502)
    t.same(
      upstreams.map(({ heads }) => heads),
      Array(count).fill(1),
    )
    t.equal((await server.record()).tries, count)
    checkIdle(t, server)
  }
})

t.test('no try begins after the time within which tries may begin, and one that has begun goes on', async (t) => {
  const upstream = await startFaultyUpstream(t, async (_request, index) => {
    await new Promise((resolve) => setTimeout(resolve, 150))
    return index < 5 ? 503 : 'ok'
  })
  const settings = { 'upstream.tries': 10, 'upstream.retry.conditions': ['503'], 'upstream.retry.backoff': 1 }
  const server = await startProxy(t, [upstream.port], { settings: { ...settings, 'upstream.retry.within': 200 } })
  t.equal((await requestRaw(server.port, GET)).status, 503)
  t.equal(upstream.heads, 2, 'the second try began after 150 ms and was answered after 300')
  const free = await startProxy(t, [upstream.port], { settings })
  t.equal((await requestRaw(free.port, GET)).status, 200)
  checkIdle(t, server)
})

t.test('the time within which tries may begin counts from when all of the request has come', async (t) => {
  const upstream = await startFaultyUpstream(t, inTurn(503))
  const server = await startProxy(t, [upstream.port], {
    settings: { 'upstream.retry.conditions': ['503'], 'upstream.retry.within': 200, 'upstream.retry.backoff': 1 },
  })
  const client = await connectRaw(server.port)
  t.teardown(() => client.destroy())
  client.send('PUT / HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 6\r\n\r\nabc')
  await new Promise((resolve) => setTimeout(resolve, 400))
  t.equal((await client.send('def').response()).status, 200)
  t.equal(upstream.heads, 2)
})

t.test('all tries together have a limit', async (t) => {
  const slow = await startFaultyUpstream(t, () => 'hang')
  const settings = {
    'upstream.tries': 10,
    'upstream.retry.tryTimeout': 100,
    'upstream.timeouts.request': 350,
    'upstream.retry.backoff': 1,
  }
  const server = await startProxy(t, [slow.port], { settings })
  const response = await requestRaw(server.port, GET)
  t.equal(response.status, 504)
  t.equal(JSON.parse(response.body.toString()).code, 'PORTICO_UP_HEADERS_TIMEOUT')
  t.ok(slow.heads > 1 && slow.heads < 5, `${slow.heads} tries`)
  t.match(await server.record(), { detail: /no answer within 350 ms/ })
  const refused = await startProxy(t, [await findFreePort()], {
    settings: {
      'upstream.tries': 10,
      'upstream.timeouts.request': 150,
      'upstream.retry.backoff': 60_000,
      'upstream.retry.maxBackoff': 60_000,
    },
  })
  t.equal((await requestRaw(refused.port, GET)).status, 504, 'the time between tries counts too')
  checkIdle(t, server)
  checkIdle(t, refused)
})

t.test('an endpoint is not blamed for a client that stops sending', async (t) => {
  const upstream = await startFaultyUpstream(t, () => 'ok')
  const server = await startProxy(t, [upstream.port], {
    settings: {
      'timeouts.requestBodyIdle': 100,
      'upstream.ejection.consecutiveFailures': 1,
      'upstream.circuit.errorRate': 1,
      'upstream.circuit.minimumRequests': 1,
    },
  })
  const client = await connectRaw(server.port)
  const response = await client.send('POST / HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 9\r\n\r\nabc').response()
  t.equal(response.status, 408)
  t.equal(JSON.parse(response.body.toString()).code, 'PORTICO_REQ_TIMEOUT')
  t.match(await server.record(), { error: 'PORTICO_REQ_TIMEOUT', detail: /^the client sent too little/ })
  t.same(
    [...server.registry.states()].map(({ failures }) => failures),
    [0],
  )
  t.same([...server.registry.circuits()], [])
  t.equal((await requestRaw(server.port, GET)).status, 200)
  checkIdle(t, server)
})

t.test('an endpoint that answers as the request comes is not blamed for a client that stops', async (t) => {
  const upstream = await startRawUpstream(async (connection) => {
    await connection.head()
    connection.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n')
  })
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port], {
    settings: { 'upstream.timeouts.responseIdle': 50, 'upstream.requestBuffering': 'none' },
  })
  const client = await connectRaw(server.port)
  client.send('POST / HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 9\r\n\r\nabc')
  t.match(await server.record(), { status: 200, error: 'PORTICO_UP_STALLED' })
  t.same(
    [...server.registry.states()].map(({ failures }) => failures),
    [0],
  )
  client.destroy()
  checkIdle(t, server)
})

t.test('the time that a body takes is not counted in the limit of a request, and what follows is', async (t) => {
  const pause = () => new Promise((resolve) => setTimeout(resolve, 300))
  for (const [name, settings, framing, parts] of [
    ['a short body', {}, 'Content-Length: 9', ['abc', 'defghi']],
    ['one that is streamed', { 'upstream.requestBuffering': 'none' }, 'Content-Length: 9', ['abc', 'defghi']],
    ['chunks', {}, 'Transfer-Encoding: chunked', ['3\r\nabc\r\n', '0\r\n\r\n']],
    ['a long body', {}, 'Content-Length: 100000', ['x'.repeat(50_000), 'x'.repeat(50_000)]],
  ] as const) {
    for (const answer of ['ok', 'hang'] as const) {
      const upstream = await startFaultyUpstream(t, () => answer)
      const server = await startProxy(t, [upstream.port], {
        settings: { 'upstream.timeouts.request': 150, ...settings },
      })
      const client = await connectRaw(server.port)
      client.send(`POST / HTTP/1.1\r\nHost: gw.test\r\n${framing}\r\n\r\n${parts[0]}`)
      await pause()
      t.equal(client.text, '', `${name}: nothing is over`)
      const { status, body } = await client.send(parts[1]).response()
      t.equal(status, answer === 'ok' ? 200 : 504, `${name}, ${answer}`)
      if (answer === 'hang') t.match(body.toString(), /PORTICO_UP_HEADERS_TIMEOUT/)
      client.destroy()
      checkIdle(t, server)
    }
  }
  // A body that is here with its head has not kept anybody waiting.
  const slow = await startFaultyUpstream(t, () => 'hang')
  const settings = { 'upstream.timeouts.request': 150, 'upstream.tries': 10, 'upstream.retry.tryTimeout': 60 }
  const server = await startProxy(t, [slow.port], { settings: { ...settings, 'upstream.retry.methods': 'POST' } })
  const post = 'POST / HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 3\r\n\r\nabc'
  t.equal((await requestRaw(server.port, post)).status, 504)
  t.match(await server.record(), { detail: /no answer within 150 ms/ })
  checkIdle(t, server)
})

t.test('the limit of a request ends with the head of the answer', async (t) => {
  const upstream = await startRawUpstream(() => {})
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port], {
    settings: { 'upstream.timeouts.request': 150, 'upstream.retry.tryTimeout': 150 },
  })
  const client = await connectRaw(server.port)
  client.send(GET)
  const connection = await upstream.connection(0)
  await connection.head()
  connection.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no')
  await client.until((text) => text.endsWith('o'))
  await new Promise((resolve) => setTimeout(resolve, 400))
  connection.send('k')
  t.match(await client.response(), { status: 200, complete: true })
  client.destroy()
})

t.test('a status can be a reason, and the last answer goes to the client as it is', async (t) => {
  for (const [conditions, status, heads] of [
    [['gateway-error'], 503, 3],
    [['gateway-error'], 500, 1],
    [['5xx'], 500, 3],
    [['429'], 429, 3],
    [['connect-failure', 'reset', 'timeout'], 503, 1],
  ] as const) {
    const upstream = await startFaultyUpstream(t, () => status)
    const settings = { 'upstream.tries': 3, 'upstream.retry.conditions': conditions, 'upstream.retry.backoff': 1 }
    const server = await startProxy(t, [upstream.port], { settings })
    const response = await requestRaw(server.port, GET)
    t.match(response, { status, complete: true })
    t.equal(response.body.toString(), String(status))
    t.equal(upstream.heads, heads, `${conditions} ${status}`)
    const record = await server.record()
    t.equal(record.error, undefined)
    if (heads === 3) t.match(record.detail, new RegExp(`answered ${status}; .*answered ${status}`))
    checkIdle(t, server)
  }
})

t.test('an answer that is left aside never mixes with the next', async (t) => {
  const upstream = await startFaultyUpstream(t, (_request, index) => (index % 2 === 0 ? 503 : 'ok'))
  const settings = { 'upstream.retry.conditions': ['503'], 'upstream.retry.backoff': 1 }
  const server = await startProxy(t, [upstream.port], { settings })
  const client = await connectRaw(server.port)
  for (const method of ['GET', 'HEAD', 'PUT']) {
    const response = await client
      .send(request(method, method === 'PUT' ? 'abc' : ''))
      .response({ headOnly: method === 'HEAD' })
    t.equal(response.status, 200, method)
    if (method !== 'HEAD') t.equal(response.body.toString(), 'ok')
  }
  t.equal(upstream.heads, 6)
  client.destroy()
})

t.test('tries are bounded under total failure: the budget, and what is allowed anyway', async (t) => {
  for (const [budget, minimum, allowed] of [
    [20, 0, 60],
    [0, 1, 10],
    [0, 0, 0],
  ] as const) {
    const upstream = await startFaultyUpstream(t, () => 'reset')
    const settings = {
      'upstream.tries': 10,
      'upstream.retry.backoff': 1,
      'upstream.retry.maxBackoff': 1,
      'upstream.retry.budget': budget,
      'upstream.retry.budgetMinimum': minimum,
    }
    const server = await startProxy(t, [upstream.port], { settings })
    for (let round = 0; round < 15; round++) {
      const responses = await Promise.all(Array.from({ length: 20 }, () => requestRaw(server.port, GET)))
      for (const { status } of responses) if (status !== 502) t.fail(`status ${status}`)
    }
    t.ok(upstream.heads <= 300 + allowed, `${upstream.heads} tries of 300 requests, ${allowed} more are allowed`)
    t.ok(upstream.heads >= 300 + allowed * 0.9, 'and most of these were made')
    t.match(server.records.at(-1), { detail: /not tried again: over the retry budget/ })
    const refused = server.records.filter(({ retries }) => retries?.some(({ result }) => result === 'over-budget'))
    t.ok(refused.length > 200)
    checkIdle(t, server)
  }
})

t.test('an endpoint that is dead costs no request, whatever the budget', async (t) => {
  const upstream = await startFaultyUpstream(t, () => 'ok')
  const settings = { 'upstream.retry.budget': 0, 'upstream.retry.budgetMinimum': 0 }
  const server = await startProxy(t, [await findFreePort(), upstream.port], { settings })
  for (let n = 0; n < 40; n++) t.equal((await requestRaw(server.port, request('POST', 'abc'))).status, 200)
  t.equal(upstream.heads, 40)
})

t.test('tries are apart by a random time that doubles', async (t) => {
  const policy = { backoff: 25, maxBackoff: 1000 }
  const highest = (failed: number) => chooseBackoff(failed, policy, () => 1)
  t.same([1, 2, 3, 4, 5, 6, 7, 10].map(highest), [25, 50, 100, 200, 400, 800, 1000, 1000])
  t.equal(
    chooseBackoff(3, policy, () => 0),
    0,
  )
  t.equal(
    chooseBackoff(3, policy, () => 0.5),
    50,
  )
  const drawn = Array.from({ length: 1000 }, () => chooseBackoff(2, policy))
  t.ok(Math.max(...drawn) < 50 && Math.min(...drawn) >= 0)
  t.ok(Math.max(...drawn) > 40 && Math.min(...drawn) < 10, 'over all of the range')
})

t.test('a try that was planned and never began is counted nowhere', async (t) => {
  holdBackoff(t)
  const upstream = await startFaultyUpstream(t, () => 'reset')
  const settings = { ...LONG_BACKOFF, 'upstream.timeouts.request': 200 }
  const server = await startProxy(t, [upstream.port], { settings })
  t.equal((await requestRaw(server.port, GET)).status, 504)
  const { tries, retries, detail } = await server.record()
  t.same([tries, retries], [1, []])
  t.match(detail, /ECONNRESET; /, 'why another was wanted')
  t.notMatch(detail, /tries/)
  checkIdle(t, server)
})

t.test('a client that goes away stops everything', async (t) => {
  holdBackoff(t)
  const upstream = await startFaultyUpstream(t, () => 'reset')
  const server = await startProxy(t, [upstream.port], { settings: LONG_BACKOFF })
  const client = await connectRaw(server.port)
  client.send(GET)
  await until(() => [...server.registry.states()][0]!.failures > 0)
  client.destroy()
  t.match(await server.record(), { status: 499, tries: 1, retries: { length: 0 } }, 'the second try never began')
  t.equal(upstream.heads, 1)
  checkIdle(t, server)
})

t.test('HTTP/2 requests are tried again alike', async (t) => {
  const upstream = await startFaultyUpstream(t, (_request, index) => (index % 2 === 0 ? 'reset' : 'ok'))
  const server = await startProxy(t, [upstream.port])
  const session = connectH2(t, server.h2Port)
  const body = randomBytes(50_000)
  for (const [method, sent] of [
    ['GET', undefined],
    ['PUT', body],
  ] as const) {
    const response = await requestH2(session, { ':method': method, ':path': '/' }, sent ? { body: sent } : {})
    t.equal(response.status, 200, method)
    t.equal(response.body.toString(), 'ok')
  }
  t.ok(upstream.requests[2]!.body.equals(body) && upstream.requests[3]!.body.equals(body))
  const post = await requestH2(session, { ':method': 'POST', ':path': '/' }, { body: 'abc' })
  t.equal(post.status, 502)
  t.equal(upstream.methods.get('POST'), 1)
  checkIdle(t, server)
})

t.test('an upgrade is asked for again where nothing was answered', async (t) => {
  const KEY = 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n'
  const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'
  const behave = async (connection: RawConnection, index: number) => {
    await connection.head()
    if (index === 0) connection.socket.resetAndDestroy()
    else connection.send(SWITCH)
  }
  const upstream = await startRawUpstream(behave)
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port])
  const client = await connectRaw(server.port)
  client.send(`GET / HTTP/1.1\r\nHost: gw.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${KEY}\r\n`)
  t.equal((await client.response({ headOnly: true })).status, 101)
  const connection = await upstream.connection(1)
  connection.clear()
  client.send('frame')
  t.equal(await connection.until((text) => text.length >= 5), 'frame')
  client.end()
  connection.socket.end()
  await client.closed
  t.match(await server.record(), { status: 101, tunnel: true, tries: 2 })
  checkIdle(t, server)
})

t.test('a route can have another policy than its upstream', async (t) => {
  const upstream = await startFaultyUpstream(t, () => 503)
  const server = await startProxy(t, {
    upstreams: { web: { endpoints: [upstream.port], policy: { tries: 2 } } },
    routes: [
      { to: 'web' },
      { path: '/often', to: 'web', policy: { tries: 4, 'retry.conditions': ['503'], 'retry.backoff': 1 } },
      { path: '/short', to: 'web', policy: { 'timeouts.responseHeaders': 100 } },
    ],
  })
  const ask = async (path: string) => {
    const before = upstream.heads
    await requestRaw(server.port, `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
    return upstream.heads - before
  }
  t.equal(await ask('/'), 1)
  t.equal(await ask('/often'), 4)
  const slow = await startFaultyUpstream(t, () => 'hang')
  server.load({
    upstreams: { web: [slow.port] },
    routes: [{ to: 'web' }, { path: '/short', to: 'web', policy: { 'timeouts.responseHeaders': 100 } }],
  })
  t.equal((await requestRaw(server.port, 'GET /short HTTP/1.1\r\nHost: a\r\n\r\n')).status, 504)
})

t.test('a Service can have limits of time of its own', async (t) => {
  const upstream = await startRawUpstream(() => {})
  t.teardown(() => upstream.close())
  const ask = async (policy: Record<string, unknown>, bytes: string | Buffer) => {
    const server = await startProxy(t, {
      upstreams: { web: { endpoints: [upstream.port], policy } },
      routes: [{ to: 'web' }],
    })
    const response = await requestRaw(server.port, bytes)
    return JSON.parse(response.body.toString()).code
  }
  t.equal(await ask({ 'timeouts.responseHeaders': 100 }, GET), 'PORTICO_UP_HEADERS_TIMEOUT')
  const unfinished = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na'
  t.equal(await ask({ 'timeouts.requestBodyIdle': 100 }, unfinished), 'PORTICO_REQ_TIMEOUT')
  const stalling = await startRawUpstream(answerWith('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok'))
  t.teardown(() => stalling.close())
  const server = await startProxy(t, {
    upstreams: { web: { endpoints: [stalling.port], policy: { 'timeouts.responseIdle': 100 } } },
    routes: [{ to: 'web' }],
  })
  t.match(await requestRaw(server.port, GET), { status: 200, complete: false })
  t.match(await server.record(), { error: 'PORTICO_UP_STALLED' })
})

t.test('connecting has a limit of its own, and that of a try', async (t) => {
  // It takes connections, but never finishes a TLS handshake.
  const silent = await startRawUpstream(() => {})
  t.teardown(() => silent.close())
  for (const policy of [{ 'timeouts.connect': 150 }, { 'retry.tryTimeout': 150 }]) {
    const server = await startProxy(t, {
      upstreams: { web: { protocol: 'https', endpoints: [silent.port], policy: { tries: 1, ...policy } } },
      routes: [{ to: 'web' }],
    })
    const response = await requestRaw(server.port, request('POST', 'abc'))
    t.equal(response.status, 504)
    t.equal(JSON.parse(response.body.toString()).code, 'PORTICO_UP_CONNECT_TIMEOUT')
  }
})

t.test('a PUT outlives an idle connection that is closed as it is used again, its body too', async (t) => {
  const bodies: string[] = []
  const upstream = await startRawUpstream(async (connection) => {
    await connection.until((text) => text.endsWith('abc'))
    bodies.push('abc')
    connection.send(OK)
    await connection.head(2)
    connection.socket.resetAndDestroy()
  })
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port], {
    settings: { 'upstream.retry.budget': 0, 'upstream.retry.budgetMinimum': 0 },
  })
  const client = await connectRaw(server.port)
  for (let n = 0; n < 10; n++) t.equal((await client.send(request('PUT', 'abc')).response()).status, 200)
  t.equal(bodies.length, 10)
  client.destroy()
})

t.test('whatever happens, every request gets one answer and no count is left behind', async (t) => {
  const faults: readonly Fault[] = ['ok', 'ok', 'ok', 'reset', 'reset-early', 'cut', 'close', 503, 'hang']
  let seed = 20_261_126
  const random = () => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
    return seed / 2 ** 32
  }
  const start = () => startFaultyUpstream(t, () => faults[Math.floor(random() * faults.length)]!)
  const upstreams = [await start(), await start(), await start()]
  const settings = {
    'upstream.tries': 3,
    'upstream.maxRequests': 4,
    'upstream.maxQueue': 20,
    'upstream.retry.tryTimeout': 150,
    'upstream.retry.conditions': ['connect-failure', 'reset', 'timeout', '503'],
    'upstream.retry.backoff': 2,
    'timeouts.responseHeaders': 500,
  }
  const server = await startProxy(
    t,
    upstreams.map(({ port }) => port),
    { settings },
  )
  const allowed = new Set([200, 502, 503, 504])
  let posts = 0
  let flapping = true
  const flaps = (async () => {
    while (flapping) {
      await upstreams[0]!.kill()
      await new Promise((resolve) => setTimeout(resolve, 20))
      await upstreams[0]!.open()
      await new Promise((resolve) => setTimeout(resolve, 60))
    }
  })()
  const walk = async (n: number) => {
    for (let step = 0; step < 25; step++) {
      const method = ['GET', 'PUT', 'POST', 'HEAD'][Math.floor(random() * 4)]!
      if (method === 'POST') posts++
      const bytes = request(
        method,
        method === 'PUT' || method === 'POST' ? 'x'.repeat(Math.floor(random() * 9000)) : '',
      )
      const client = await connectRaw(server.port)
      client.send(bytes)
      if (random() < 0.1) {
        await new Promise((resolve) => setTimeout(resolve, random() * 30))
        client.destroy()
        continue
      }
      const response = await client.response({ headOnly: method === 'HEAD' })
      if (!allowed.has(response.status)) t.fail(`client ${n}: ${response.status}`)
      client.end()
      await client.closed
      t.notMatch(client.text, /HTTP\/1\.1 \d/, `${method}: no second answer`)
    }
  }
  await Promise.all(Array.from({ length: 24 }, (_, n) => walk(n)))
  flapping = false
  await flaps
  await server.proxy.whenIdle()
  t.equal(server.records.length, 24 * 25)
  const sent = upstreams.reduce((sum, { methods }) => sum + (methods.get('POST') ?? 0), 0)
  t.ok(sent <= posts, `${sent} of ${posts} POSTs were seen, none twice`)
  for (const { peak } of upstreams) t.ok(peak <= 8, `${peak} at once: 4 under way, and what was just given up`)
  checkIdle(t, server)
})
