/** Behind the last answer of a connection nothing means anything, and what is pipelined waits for its turn: whatever comes, at every door. */
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startEchoUpstream } from '../helpers/echo-upstream.ts'
import { connectRaw, connectRawTls, type RawClient } from '../helpers/raw-client.ts'
import { type RawConnection, startRawUpstream } from '../helpers/raw-upstream.ts'
import { startTraffic } from '../helpers/start-traffic.ts'
import { until } from '../helpers/until.ts'
import { defaultCertificate } from './start-listener.ts'

const HANDSHAKE =
  'GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

type Door = Readonly<{ name: string; connect(): Promise<RawClient>; inFlight(): number }>

/** HTTP and HTTPS, with the fast lane and without it; `/` and all behind it lead to `upstreamPort`. */
async function startDoors(t: Test, upstreamPort: number): Promise<readonly Door[]> {
  const doors: Door[] = []
  for (const fastLane of [true, false]) {
    const { traffic } = await startTraffic(
      t,
      { upstreams: { web: [upstreamPort] }, routes: [{ to: 'web' }] },
      {
        'http.port': 0,
        'http.address': '127.0.0.1',
        'https.port': 0,
        'https.address': '127.0.0.1',
        'fastLane.enabled': fastLane,
      },
      { defaultCertificate: await defaultCertificate() },
    )
    const http = (await traffic.listen('http')).port
    const https = (await traffic.listen('https')).port
    const lane = fastLane ? '' : ' without the fast lane'
    const track = async (opened: Promise<RawClient>) => {
      const client = await opened
      t.teardown(() => client.destroy())
      return client
    }
    const inFlight = () => traffic.inFlight
    doors.push(
      { name: `http${lane}`, connect: () => track(connectRaw(http)), inFlight },
      { name: `https${lane}`, connect: () => track(connectRawTls(https)), inFlight },
    )
  }
  return doors
}

/** Whatever answers came, by status. */
const statuses = (text: string): string[] => [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status!)

t.test('a request line that is none, with a handshake behind it, is refused and the connection closed', async (t) => {
  const upstream = await startEchoUpstream()
  t.teardown(() => upstream.close())
  for (const { name, connect, inFlight } of await startDoors(t, upstream.port)) {
    for (const rest of [HANDSHAKE, GET + HANDSHAKE, 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n', 'garbage\r\n\r\n']) {
      const client = await connect()
      client.send(`HEAD /x?n=100HTTP/1.0\r\nHost: a\r\nConnection: keep-alive, X\r\n\r\n${rest}`)
      await client.closed
      t.same(statuses(client.text), ['400'], name)
    }
    const other = await connect()
    t.equal((await other.send(GET).response()).status, 200)
    await until(() => inFlight() === 0)
  }
  t.notOk(
    upstream.requests.some(({ url }) => url !== '/'),
    'nothing of it was served',
  )
})

t.test('behind an early answer nothing is served: neither a body, nor a request, nor an upgrade', async (t) => {
  const early = async (connection: RawConnection) => {
    await connection.until((text) => text.includes('\r\n\r\n'))
    connection.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno')
  }
  const upstream = await startRawUpstream(early)
  t.teardown(() => upstream.close())
  const refused: readonly (readonly [head: string, status: string])[] = [
    ['POST / HTTP/1.1\r\nHost: a\r\nExpect: what\r\nContent-Length: 5\r\n\r\n', '417'],
    ['POST /%00 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n', '400'],
    ['POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n', '200'],
  ]
  for (const { name, connect, inFlight } of await startDoors(t, upstream.port)) {
    for (const [head, status] of refused) {
      const client = await connect()
      client.send(head)
      await client.until((text) => text.includes(`HTTP/1.1 ${status}`))
      const asked = upstream.connections.length
      client.send(`hello${GET}${HANDSHAKE}`)
      await client.closed
      t.same(statuses(client.text), [status], `${name}: ${head}`)
      t.equal(upstream.connections.length, asked, 'nothing behind it was sent on')
    }
    await until(() => inFlight() === 0)
  }
})

t.test('a pipelined upgrade waits its turn: the answers before it come first, whole', async (t) => {
  const upstream = await startRawUpstream(async (connection) => {
    for (;;) {
      const text = await connection.until((received) => received.includes('\r\n\r\n'))
      if (connection.hasEnded) return
      connection.clear()
      if (text.startsWith('GET /chat ')) {
        connection.send('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi')
        return
      }
      await sleep(50)
      connection.send('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst')
    }
  })
  t.teardown(() => upstream.close())
  for (const { name, connect } of await startDoors(t, upstream.port)) {
    const client = await connect()
    client.send(`${GET}${GET}${HANDSHAKE}early`)
    const text = await client.until((received) => received.endsWith('\r\n\r\nhi'))
    t.same(statuses(text), ['200', '200', '101'], name)
    t.match(text, /first.*first.*101.*hi$/s)
    client.destroy()
  }
})

t.test('pipelined requests of every framing are answered one after the other, however they are cut', async (t) => {
  const upstream = await startEchoUpstream()
  t.teardown(() => upstream.close())
  const chunked = '3;a=b\r\nab\n\r\n2\r\n\r\n\r\n0\r\nX-Sum: 1\r\n\r\n'
  const text = [
    '\r\nGET /1 HTTP/1.1\r\nHost: a\r\n\r\n',
    'POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab\r\n\r\ncde',
    `PUT /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}`,
    'PROPFIND /4 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n\n\n',
    `POST /5 HTTP/1.1\r\nHost: a\r\nKeep-Alive: 1\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}`,
    'HEAD /6 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    GET,
  ].join('')
  for (const { name, connect } of await startDoors(t, upstream.port)) {
    for (let at = 1; at < text.length; at += 7) {
      const client = await connect()
      client.socket.setNoDelay(true)
      const before = upstream.requests.length
      await client.flush(text.slice(0, at))
      client.send(text.slice(at))
      await client.closed
      const asked = upstream.requests.slice(before).map(({ url, bodyLength }) => `${url} ${bodyLength}`)
      const expected = ['/1 0', '/2 9', '/3 5', '/4 2', '/5 5', '/6 0']
      if (asked.join() !== expected.join()) t.fail(`${name}, cut at ${at}: ${asked.join()}`)
      if (statuses(client.text).length !== 6) t.fail(`${name}, cut at ${at}: ${client.text}`)
    }
    t.pass(name)
  }
})

t.test('what was sent before a FIN is answered: requests, an upgrade that is none, and what is broken', async (t) => {
  const upstream = await startEchoUpstream()
  t.teardown(() => upstream.close())
  const plain = HANDSHAKE.replace('websocket', 'h2c')
  for (const { name, connect } of await startDoors(t, upstream.port)) {
    for (const [rest, expected] of [
      [GET, ['200', '200', '200']],
      [plain, ['200', '200', '200']],
      ['GET / HT', ['200', '200', '400']],
      ['POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf', ['200', '200', '400']],
    ] as const) {
      const client = await connect()
      client.send(GET + GET + rest).end()
      await client.closed
      t.same(statuses(client.text), expected, `${name}: ${rest}`)
    }
  }
})
