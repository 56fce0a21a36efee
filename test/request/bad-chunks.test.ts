import type { Test } from 'tap'
import t from 'tap'
import { makeCertificate } from '../helpers/certificates.ts'
import { connectH2, requestH2 } from '../helpers/h2-client.ts'
import { type ProxyServer, startProxy } from '../helpers/proxy-server.ts'
import { connectRaw, connectRawTls, parseResponse } from '../helpers/raw-client.ts'
import { startRawUpstream } from '../helpers/raw-upstream.ts'

type Got = Readonly<{ status: number; body: string; isWhole: boolean }>
type Get = (t: Test, server: ProxyServer) => Promise<Got>

function overHttp1(isSecure: boolean): Get {
  return async (_t, { port, tlsPort }) => {
    const client = isSecure ? await connectRawTls(tlsPort) : await connectRaw(port)
    await client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n').closed
    const response = parseResponse(client.received, true)?.response
    return { status: response?.status ?? 0, body: `${response?.body}`, isWhole: response?.complete === true }
  }
}

const overHttp2: Get = async (t, { h2Port }) => {
  const session = connectH2(t, h2Port)
  const response = await requestH2(session, { ':path': '/', ':authority': 'a' })
  session.destroy()
  return { status: response.status, body: `${response.body}`, isWhole: response.rstCode === 0 }
}

const DOORS: Readonly<Record<string, Get>> = {
  'HTTP/1.1': overHttp1(false),
  'HTTP/1.1 over TLS': overHttp1(true),
  'HTTP/2': overHttp2,
}

const HEAD = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
const GOOD = '5\r\nhello\r\n'

/** No body, each for a reason of its own. */
const BAD: Readonly<Record<string, string>> = {
  'a bad size': 'xyz\r\nhello\r\n0\r\n\r\n',
  'a chunk longer than its size': '1\r\nhello\r\n0\r\n\r\n',
  'too many extensions': `5${';a=b'.repeat(5000)}\r\nhello\r\n0\r\n\r\n`,
  'a bad trailer': '0\r\nX : y\r\n\r\n',
  'a trailer that frames': '0\r\nContent-Length: 5\r\n\r\n',
}

/** Answers with these pieces, each once the one before has reached the client, and then with a FIN where `ends`. */
async function startAnswering(t: Test, pieces: readonly string[], ends: boolean) {
  const upstream = await startRawUpstream(async (connection) => {
    await connection.head()
    for (const [n, piece] of pieces.entries()) {
      if (n > 0) await new Promise((resolve) => setTimeout(resolve, 30))
      connection.send(piece)
    }
    if (ends) connection.socket.end()
  })
  t.teardown(() => upstream.close())
  return startProxy(t, [upstream.port], { certificate: await makeCertificate({ names: ['a'] }) })
}

for (const [door, get] of Object.entries(DOORS)) {
  t.test(`${door}: what is no body from the beginning is 502`, async (t) => {
    for (const [name, bad] of Object.entries(BAD)) {
      for (const before of ['', GOOD]) {
        const server = await startAnswering(t, [HEAD + before + bad], false)
        const got = await get(t, server)
        t.match(
          got,
          { status: 502, body: /PORTICO_UP_BAD_RESPONSE/, isWhole: true },
          `${name} behind ${before.length} bytes`,
        )
        t.match(await server.record(), { status: 502, error: 'PORTICO_UP_BAD_RESPONSE', detail: /malformed chunks/ })
      }
    }
  })

  t.test(`${door}: what is none later is cut, and told`, async (t) => {
    for (const [name, bad] of Object.entries(BAD)) {
      const server = await startAnswering(t, [HEAD + GOOD, bad], false)
      t.same(await get(t, server), { status: 200, body: 'hello', isWhole: false }, name)
      t.match(await server.record(), { status: 200, error: 'PORTICO_UP_BAD_RESPONSE', detail: /malformed chunks/ })
    }
  })

  t.test(`${door}: an answer that ends too soon is cut, and told`, async (t) => {
    const counted = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n'
    for (const [bytes, body] of [
      [HEAD, ''],
      [`${HEAD}5\r\n`, ''],
      [HEAD + GOOD, 'hello'],
      [`${HEAD + GOOD}0\r\n`, 'hello'],
      [counted, ''],
      [`${counted}hell`, 'hell'],
    ] as const) {
      const server = await startAnswering(t, [bytes], true)
      t.same(await get(t, server), { status: 200, body, isWhole: false }, JSON.stringify(bytes))
      t.match(await server.record(), { status: 200, error: 'PORTICO_UP_TRUNCATED' })
    }
  })
}

t.test('the head of an answer does not wait for its first chunk', async (t) => {
  const upstream = await startRawUpstream(async (connection) => {
    await connection.head()
    connection.send(`${HEAD}5\r\n`)
  })
  t.teardown(() => upstream.close())
  const server = await startProxy(t, [upstream.port])
  const client = await connectRaw(server.port)
  await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n').until((text) => text.includes('\r\n\r\n'))
  t.match(client.text, /^HTTP\/1.1 200 /)
  client.destroy()
})

for (const [door, isSecure] of [
  ['HTTP/1.1', false],
  ['HTTP/1.1 over TLS', true],
] as const) {
  t.test(`${door}: a request whose body is none is 400`, async (t) => {
    for (const [name, bad] of Object.entries(BAD)) {
      for (const pieces of [[bad], [GOOD + bad], ['', bad], [GOOD, bad]]) {
        const upstream = await startRawUpstream(() => {})
        t.teardown(() => upstream.close())
        const server = await startProxy(t, [upstream.port], { certificate: await makeCertificate({ names: ['a'] }) })
        const client = isSecure ? await connectRawTls(server.tlsPort) : await connectRaw(server.port)
        const [first, second] = pieces
        client.send(`POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${first}`)
        if (second !== undefined) {
          await (await upstream.connection(0)).head()
          client.send(second)
        }
        const { status } = await client.response()
        t.equal(status, name === 'too many extensions' ? 413 : 400, `${name} as ${JSON.stringify(pieces).slice(0, 40)}`)
        t.match(await server.record(), { status, error: /^PORTICO_REQ_(MALFORMED|TOO_LARGE)$/ })
        await client.closed
        for (const { text } of upstream.connections)
          t.notMatch(text, /0\r\n\r\n$/, 'and is no whole one for the endpoint')
      }
    }
  })
}
