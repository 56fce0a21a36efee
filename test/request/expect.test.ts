import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import t from 'tap'
import { makeCertificate } from '../helpers/certificates.ts'
import { connectH2 } from '../helpers/h2-client.ts'
import { type ProxyServer, startProxy } from '../helpers/proxy-server.ts'
import { connectRaw, connectRawTls } from '../helpers/raw-client.ts'
import { type RawConnection, startRawUpstream } from '../helpers/raw-upstream.ts'

/** A client that announces a body, and holds it back. */
type Expecting = {
  /** Interim answers that have come so far. */
  readonly interim: readonly number[]
  /** Once another interim answer has come. */
  next(): Promise<number>
  send(body: string): void
  final(): Promise<{ status: number; body: string }>
  /** The gateway has ended what carries the request. */
  ended(): Promise<void>
  close(): void
}
type Connect = (t: Test, server: ProxyServer, method: string, length: number) => Promise<Expecting>

function overHttp1(isSecure: boolean): Connect {
  return async (_t, { port, tlsPort }, method, length) => {
    const raw = isSecure ? await connectRawTls(tlsPort) : await connectRaw(port)
    raw.send(`${method} / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: ${length}\r\n\r\n`)
    const interim: number[] = []
    const take = async (): Promise<{ status: number; body: string }> => {
      const { status, body } = await raw.response()
      if (status < 200) interim.push(status)
      return { status, body: body.toString() }
    }
    return {
      interim,
      next: async () => (await take()).status,
      send: (body) => void raw.send(body),
      async final() {
        for (;;) {
          const answer = await take()
          if (answer.status >= 200) return answer
        }
      },
      ended: () => raw.closed,
      close: () => raw.destroy(),
    }
  }
}

const overHttp2: Connect = async (t, { h2Port }, method, length) => {
  const stream = connectH2(t, h2Port).request({
    ':method': method,
    ':path': '/',
    ':authority': 'a',
    expect: '100-continue',
    'content-length': length,
  })
  const interim: number[] = []
  let body = ''
  let status = 0
  stream.on('error', () => {})
  stream.on('headers', (fields) => interim.push(Number(fields[':status'])))
  stream.on('response', (fields) => {
    status = Number(fields[':status'])
  })
  stream.setEncoding('latin1').on('data', (chunk: string) => {
    body += chunk
  })
  const ended = once(stream, 'close')
  return {
    interim,
    next: async () => {
      const [fields] = await once(stream, 'headers')
      return fields[':status']
    },
    send: (bytes) => void stream.end(bytes),
    async final() {
      await ended
      return { status, body }
    },
    ended: async () => void (await ended),
    close: () => stream.destroy(),
  }
}

const DOORS: Readonly<Record<string, Connect>> = {
  'HTTP/1.1': overHttp1(false),
  'HTTP/1.1 over TLS': overHttp1(true),
  'HTTP/2': overHttp2,
}

const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'
const HINT = 'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n'
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

async function start(t: Test, settings: Readonly<Record<string, unknown>> = {}, count = 1) {
  const certificate = await makeCertificate({ names: ['a'] })
  const upstreams = await Promise.all(Array.from({ length: count }, () => startRawUpstream(() => {})))
  for (const upstream of upstreams) t.teardown(() => upstream.close())
  const ports = upstreams.map(({ port }) => port)
  return { server: await startProxy(t, ports, { settings, certificate }), upstreams }
}

/** What came behind the head. */
function bodyOf(text: string): string {
  return text.slice(text.indexOf('\r\n\r\n') + 4)
}

for (const [door, connect] of Object.entries(DOORS)) {
  t.test(`${door}: the endpoint asks for the body`, async (t) => {
    const { server, upstreams } = await start(t)
    const client = await connect(t, server, 'POST', 3)
    const connection = await upstreams[0]!.connection(0)
    t.match(await connection.head(), /\r\nExpect: 100-continue\r\n/)
    await sleep(100)
    t.same(client.interim, [], 'nobody else does')
    t.equal(bodyOf(connection.text), '')
    connection.send(HINT)
    t.equal(await client.next(), 103, 'a hint is none')
    connection.send(CONTINUE + CONTINUE)
    t.equal(await client.next(), 100)
    client.send('abc')
    await connection.until((text) => bodyOf(text) === 'abc')
    connection.send(OK)
    t.match(await client.final(), { status: 200, body: 'ok' })
    t.same(client.interim, [103, 100], 'once')
    client.close()
  })

  t.test(`${door}: or it answers, and no body is sent`, async (t) => {
    const { server, upstreams } = await start(t)
    for (const [n, status] of [401, 413, 417, 200].entries()) {
      const client = await connect(t, server, 'POST', 1_000_000)
      const connection = await upstreams[0]!.connection(n)
      await connection.head()
      connection.send(`HTTP/1.1 ${status} Said\r\nContent-Length: 2\r\n\r\nno`)
      t.same(await client.final(), { status, body: 'no' })
      t.same(client.interim, [])
      await client.ended()
      await connection.ended()
      t.equal(bodyOf(connection.text), '', 'and no other request comes where a body was announced')
      t.match(await server.record(), { status, error: undefined, bytesIn: 0 })
    }
  })

  t.test(`${door}: one that says nothing gets the body after a second`, async (t) => {
    const { server, upstreams } = await start(t)
    const client = await connect(t, server, 'POST', 3)
    const connection = await upstreams[0]!.connection(0)
    await connection.head()
    const since = performance.now()
    t.equal(await client.next(), 100)
    t.ok(performance.now() - since > 900)
    client.send('abc')
    await connection.until((text) => bodyOf(text) === 'abc')
    connection.send(CONTINUE + OK)
    t.match(await client.final(), { status: 200 })
    t.same(client.interim, [100], 'its own 100 comes too late')
    client.close()
  })

  t.test(`${door}: what the gateway refuses asks no endpoint`, async (t) => {
    const { server, upstreams } = await start(t, { 'limits.bodyBytes': 100 })
    const client = await connect(t, server, 'POST', 101)
    t.match(await client.final(), { status: 413 })
    t.same(client.interim, [])
    t.same(upstreams[0]!.connections, [])
    client.close()
  })

  t.test(`${door}: nobody times a body that was not asked for`, async (t) => {
    const { server, upstreams } = await start(t, { 'timeouts.requestBodyIdle': 300 })
    const client = await connect(t, server, 'POST', 3)
    const connection = await upstreams[0]!.connection(0)
    await connection.head()
    await sleep(600)
    t.equal(server.proxy.inFlight, 1)
    connection.send(CONTINUE)
    t.equal(await client.next(), 100)
    t.match(await client.final(), { status: 408 }, 'but one that was')
    await connection.ended()
    client.close()
  })

  t.test(`${door}: as long as it was not asked for, it can go elsewhere`, async (t) => {
    const settings = { 'upstream.retry.bufferBytes': 0, 'upstream.retry.conditions': ['reset', '503'] }
    for (const refuse of [
      (connection: RawConnection) => void connection.socket.resetAndDestroy(),
      (connection: RawConnection) => void connection.send('HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n'),
    ]) {
      const { server, upstreams } = await start(t, settings, 2)
      const client = await connect(t, server, 'PUT', 3)
      const first = await Promise.race(upstreams.map((upstream) => upstream.connection(0)))
      await first.head()
      refuse(first)
      const second = await upstreams.find(({ connections }) => !connections.includes(first))!.connection(0)
      t.match(await second.head(), /\r\nExpect: 100-continue\r\n/)
      t.same(client.interim, [])
      second.send(CONTINUE)
      t.equal(await client.next(), 100)
      client.send('abc')
      await second.until((text) => bodyOf(text) === 'abc')
      second.send(OK)
      t.match(await client.final(), { status: 200 })
      t.match(await server.record(), { tries: 2 })
      client.close()
    }
  })

  t.test(`${door}: what was asked for once is not asked for again`, async (t) => {
    const { server, upstreams } = await start(t, {}, 2)
    const client = await connect(t, server, 'PUT', 3)
    const first = await Promise.race(upstreams.map((upstream) => upstream.connection(0)))
    await first.head()
    first.send(CONTINUE)
    t.equal(await client.next(), 100)
    client.send('abc')
    await first.until((text) => bodyOf(text) === 'abc')
    first.socket.resetAndDestroy()
    const second = await upstreams.find(({ connections }) => !connections.includes(first))!.connection(0)
    t.notMatch(await second.until((text) => bodyOf(text) === 'abc'), /expect/i)
    second.send(OK)
    t.match(await client.final(), { status: 200 })
    t.same(client.interim, [100])
    client.close()
  })

  t.test(`${door}: an endpoint that ends without a word is a failure`, async (t) => {
    const { server, upstreams } = await start(t)
    const client = await connect(t, server, 'POST', 3)
    const connection = await upstreams[0]!.connection(0)
    await connection.head()
    connection.socket.end()
    t.match(await client.final(), { status: 502 })
    t.match(await server.record(), { error: 'PORTICO_UP_RESET', tries: 1 }, 'which a POST is not sent again for')
    client.close()
  })

  t.test(`${door}: a client that goes meanwhile takes its request along`, async (t) => {
    const { server, upstreams } = await start(t)
    const client = await connect(t, server, 'POST', 3)
    const connection = await upstreams[0]!.connection(0)
    await connection.head()
    client.close()
    await connection.ended()
    // HTTP/1.1 still tries to say that the request is not whole.
    t.match((await server.record()).error, /^PORTICO_REQ_(ABORTED|MALFORMED)$/)
  })
}

t.test('a client of HTTP/1.0 cannot expect anything, nor can one without a body', async (t) => {
  const { server, upstreams } = await start(t)
  for (const [n, request] of [
    'POST / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc',
    'GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n',
  ].entries()) {
    const client = await connectRaw(server.port)
    client.send(request)
    const connection = await upstreams[0]!.connection(n)
    const text = await connection.until((seen) => (n === 1 ? seen.endsWith('\r\n\r\n') : bodyOf(seen) === 'abc'))
    t.notMatch(text, /expect/i)
    connection.send(`HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok`)
    t.equal((await client.response()).status, 200)
    client.destroy()
  }
})
