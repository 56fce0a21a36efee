/** Who is silent: an endpoint that takes no connection, or the client. What is done about it, and whom the log names. */
import t, { type Test } from 'tap'
import { NO_BLACK_HOLES, startBlackHole } from '../helpers/black-hole.ts'
import { startProxy } from '../helpers/proxy-server.ts'
import { connectRaw, requestRaw } from '../helpers/raw-client.ts'
import { answerWith, startRawUpstream } from '../helpers/raw-upstream.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const GET = 'GET / HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n'
const POST = 'POST / HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc'

/** 127.0.0.9 is silent; with `answers` 127.0.0.1 is another endpoint, on the same port. */
async function start(t: Test, answers: boolean, settings: Readonly<Record<string, unknown>>) {
  const upstream = await startRawUpstream(answerWith(OK))
  t.teardown(() => upstream.close())
  await startBlackHole(t, '127.0.0.9', upstream.port)
  const hosts = answers ? ['127.0.0.9', '127.0.0.1'] : ['127.0.0.9']
  return startProxy(
    t,
    hosts.map((host) => `${host}:${upstream.port}`),
    { settings },
  )
}

t.test(
  'a silent endpoint gives way to another one, long before its time is over',
  { skip: NO_BLACK_HOLES },
  async (t) => {
    for (const request of [GET, POST]) {
      const server = await start(t, true, { 'timeouts.connect': 600_000 })
      t.equal((await requestRaw(server.port, request)).status, 200)
      t.match(await server.record(), {
        tries: 2,
        retries: [{ reason: 'connect-failure', result: 'answered' }],
        detail: /^127\.0\.0\.9:\d+ did not accept within 1000 ms$/,
      })
    }
  },
)

t.test('where there is no other, it has its time, once', { skip: NO_BLACK_HOLES }, async (t) => {
  for (const [answers, settings] of [
    [false, {}],
    [true, { 'upstream.tries': 1 }],
    [true, { 'upstream.retry.conditions': ['reset'] }],
  ] as const) {
    const server = await start(t, answers, { 'timeouts.connect': 1200, ...settings })
    const response = await requestRaw(server.port, GET)
    t.equal(response.status, 504)
    t.equal(JSON.parse(response.body.toString()).code, 'PORTICO_UP_CONNECT_TIMEOUT')
    t.match(await server.record(), { tries: 1, detail: /^127\.0\.0\.9:\d+ did not accept within 1200 ms$/ })
  }
})

t.test('an address that no way leads to is not asked twice', async (t) => {
  // The kernel has no way there for TCP, whatever its routes are.
  const server = await startProxy(t, ['255.255.255.255:80'])
  t.equal((await requestRaw(server.port, GET)).status, 502)
  t.match(await server.record(), { tries: 1, detail: '255.255.255.255:80: ENETUNREACH' })
})

t.test('it is asked again where the limit of a try is shorter', { skip: NO_BLACK_HOLES }, async (t) => {
  const server = await start(t, false, { 'upstream.retry.tryTimeout': 100 })
  t.equal((await requestRaw(server.port, GET)).status, 504)
  t.match(await server.record(), { tries: 2 })
})

t.test('a client that does not get on is named, and the endpoint is not', async (t) => {
  const silent = await startRawUpstream(() => {})
  t.teardown(() => silent.close())
  for (const [settings, head, detail] of [
    [
      { 'timeouts.requestBodyIdle': 150 },
      'Content-Length: 9\r\n',
      'the client sent too little of the request body for 150 ms',
    ],
    [
      { 'timeouts.requestBodyIdle': 150, 'upstream.requestBuffering': 'none' },
      'Content-Length: 9\r\n',
      'the client sent too little of the request body for 150 ms',
    ],
    [
      { 'timeouts.requestBodyIdle': 150 },
      'Transfer-Encoding: chunked\r\n',
      'the client sent too little of the request body for 150 ms',
    ],
  ] as const) {
    const server = await startProxy(t, [silent.port], { settings })
    const client = await connectRaw(server.port)
    t.teardown(() => client.destroy())
    client.send(`POST / HTTP/1.1\r\nHost: gw.test\r\n${head}\r\n`)
    t.equal((await client.response()).status, 408)
    t.match(await server.record(), { error: 'PORTICO_REQ_TIMEOUT', detail })
  }
})

t.test('where the answer has begun, and the request has not ended, both are named', async (t) => {
  const begun = await startRawUpstream(async (connection) => {
    await connection.head()
    connection.send('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok')
  })
  t.teardown(() => begun.close())
  const server = await startProxy(t, [begun.port], {
    settings: { 'timeouts.responseIdle': 150, 'upstream.requestBuffering': 'none' },
  })
  const client = await connectRaw(server.port)
  t.teardown(() => client.destroy())
  client.send('POST / HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 9\r\n\r\nabc')
  await client.closed
  t.match(await server.record(), {
    error: 'PORTICO_UP_STALLED',
    detail: `the client and 127.0.0.1:${begun.port}: nothing for 150 ms`,
  })
})
