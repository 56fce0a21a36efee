/**
 * Connections that are cut at every byte, by clients and by upstreams, through both doors: nothing that is cut is taken for
 * whole, and nothing of it is left behind.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { connectRaw, parseResponse, requestRaw } from '../helpers/raw-client.ts'
import type { RawConnection } from '../helpers/raw-upstream.ts'
import { expectNothingOpen, type RawGateway, startRawGateway } from './raw-gateway.ts'

const BODY = 'hello, world'
const ANSWERS: Readonly<Record<string, string>> = {
  counted: `HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`,
  chunked: `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7\r\n, world\r\n0\r\nX-T: 1\r\n\r\n`,
  hinted: `HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`,
  delimited: `HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n${BODY}`,
}

/** Answers `/<kind>/<bytes>/<end>` with so many bytes of that answer, and ends the connection so. */
async function cutAsTold(connection: RawConnection): Promise<void> {
  await serveAsTold(connection)
  connection.socket.end()
}

async function serveAsTold(connection: RawConnection): Promise<void> {
  for (;;) {
    await connection.head()
    const [head, ...rest] = connection.text.split('\r\n\r\n')
    if (rest.length === 0) return
    const [, kind = '', bytes = '', end = ''] = /^\w+ \/(\w+)\/(\d+)\/(\w+)/.exec(head ?? '') ?? []
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head ?? '')?.[1] ?? 0)
    const chunked = /\r\ntransfer-encoding: chunked/i.test(head ?? '')
    await connection.until((text) => {
      const body = text.slice(text.indexOf('\r\n\r\n') + 4)
      return chunked ? body.endsWith('0\r\n\r\n') : body.length >= length
    })
    if (connection.hasEnded) return
    connection.clear()
    const answer = ANSWERS[kind] ?? ''
    const sent = answer.slice(0, Number(bytes))
    if (sent !== '') connection.send(sent)
    if (end === 'stay' && sent.length === answer.length && kind !== 'delimited') continue
    if (end === 'reset') connection.socket.resetAndDestroy()
    return
  }
}

/** Nothing is in flight, no connection to the upstream stays open, and the next request is served. */
async function expectNothingLeft(t: Test, started: RawGateway): Promise<void> {
  const response = await requestRaw(started.running.http, get('/counted/999/stay'))
  t.equal(response.body.toString(), BODY, 'requests are served as before')
  await expectNothingOpen(t, started)
}

const get = (target: string, fields: string = '') => `GET ${target} HTTP/1.1\r\nHost: a.test\r\n${fields}\r\n`

// Many connections, one after the other.
t.setTimeout(300_000)

for (const fastLane of [true, false]) {
  const door = fastLane ? 'the fast lane' : 'node:http'

  t.test(`${door}: an answer that the upstream cuts at any byte is never whole for the client`, async (t) => {
    const started = await startRawGateway(t, fastLane, cutAsTold, '200ms')
    for (const [kind, answer] of Object.entries(ANSWERS)) {
      for (const end of ['fin', 'reset'] as const) {
        for (let bytes = 0; bytes < answer.length; bytes++) {
          const client = await connectRaw(started.running.http)
          client.send(get(`/${kind}/${bytes}/${end}`, 'Connection: close\r\n'))
          await client.closed
          const final = readFinal(client.received)
          const name = `${kind}, ${bytes} bytes and ${end}`
          // A body that ends with the connection is whole when it ends well, however short; and libuv tells of a reset that
          // comes together with bytes as of an end.
          const mayBeWhole = kind === 'delimited' && bytes >= answer.length - BODY.length
          if (final === undefined || final.status === 502) continue
          if (final.status !== 200) t.fail(`${name}: ${final.status}`)
          else if (final.complete && !mayBeWhole) t.fail(`${name}: whole, ${final.body}`)
          else if (!BODY.startsWith(final.body.toString())) t.fail(`${name}: ${final.body}`)
        }
      }
    }
    await expectNothingLeft(t, started)
  })

  t.test(`${door}: a request that the client cuts at any byte leaves nothing behind`, async (t) => {
    const started = await startRawGateway(t, fastLane, cutAsTold, '200ms')
    const requests = [
      get('/counted/999/stay', 'Cookie: a=b\r\n'),
      `POST /counted/999/stay HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello`,
      `POST /chunked/999/stay HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5;a\r\nhello\r\n0\r\n\r\n`,
    ]
    for (const request of requests) {
      for (const how of ['end', 'reset', 'destroy'] as const) {
        for (let bytes = 0; bytes <= request.length; bytes++) {
          const client = await connectRaw(started.running.http)
          await client.flush(request.slice(0, bytes))
          if (bytes % 2 === 0) await nextTurn()
          client[how]()
          await client.closed
          const final = readFinal(client.received)
          if (final?.status === 200 && bytes < request.length) t.fail(`${bytes} bytes and ${how} were answered`)
        }
      }
    }
    await expectNothingLeft(t, started)
  })

  t.test(`${door}: a client that goes away at any byte of its answer leaves nothing behind`, async (t) => {
    const started = await startRawGateway(t, fastLane, cutAsTold, '200ms')
    for (const kind of Object.keys(ANSWERS)) {
      for (const how of ['end', 'reset', 'destroy'] as const) {
        for (let bytes = 1; bytes < 250; bytes += 3) {
          const client = await connectRaw(started.running.http)
          client.send(get(`/${kind}/999/stay`).repeat(1 + (bytes % 3)))
          await client.until((text) => text.length >= bytes).catch(() => {})
          client[how]()
          await client.closed
        }
      }
    }
    await expectNothingLeft(t, started)
  })
}

/** The last answer in `bytes`, interim ones passed over; undefined where none began. */
function readFinal(bytes: Buffer) {
  for (let left = bytes; ; ) {
    const parsed = parseResponse(left, true)
    if (!parsed || parsed.response.status >= 200) return parsed?.response
    left = left.subarray(parsed.length)
  }
}
