import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import t from 'tap'
import { type ProxyServer, startProxy } from '../helpers/proxy-server.ts'
import { requestRaw } from '../helpers/raw-client.ts'
import { type RawConnection, type RawUpstream, startRawUpstream } from '../helpers/raw-upstream.ts'
import { until } from '../helpers/until.ts'

type Closing = Readonly<{
  /** Who uses a connection that has been idle for so long finds that it is just being closed, milliseconds. */
  from: number
  /** It is closed after so long. */
  after: number
  /** Field lines of the answers. */
  fields?: string
}>

async function startClosing(t: Test, { from, after, fields = '' }: Closing): Promise<RawUpstream> {
  const serve = async (connection: RawConnection): Promise<void> => {
    let answeredAt = Number.POSITIVE_INFINITY
    for (;;) {
      await connection.until(isWhole)
      if (connection.hasEnded) return
      if (performance.now() - answeredAt >= from) {
        connection.socket.resetAndDestroy()
        return
      }
      connection.clear()
      connection.send(`HTTP/1.1 200 OK\r\n${fields}Content-Length: 2\r\n\r\nok`)
      const at = performance.now()
      answeredAt = at
      setTimeout(() => answeredAt === at && connection.socket.destroy(), after).unref()
    }
  }
  const upstream = await startRawUpstream(serve)
  t.teardown(() => upstream.close())
  return upstream
}

function isWhole(text: string): boolean {
  const end = text.indexOf('\r\n\r\n')
  const length = Number(/content-length: (\d+)\r\n/i.exec(text)?.[1] ?? 0)
  return end >= 0 && text.length >= end + 4 + length
}

async function ask({ port }: ProxyServer, method: string, bodyLength: number): Promise<number> {
  const framing = bodyLength > 0 ? `Content-Length: ${bodyLength}\r\n` : ''
  const request = `${method} / HTTP/1.1\r\nHost: a\r\n${framing}\r\n${'x'.repeat(bodyLength)}`
  return (await requestRaw(port, request)).status
}

const NOT_REPEATED: readonly (readonly [method: string, bodyLength: number])[] = [
  ['POST', 2],
  ['POST', 0],
  ['PATCH', 2],
  // More than is kept.
  ['PUT', 2000],
]

t.test('a request that may not be repeated goes on no connection that may be about to close', async (t) => {
  const play = async ([method, bodyLength]: (typeof NOT_REPEATED)[number]): Promise<void> => {
    const upstream = await startClosing(t, { from: 1000, after: 60_000 })
    const server = await startProxy(t, [upstream.port], { settings: { 'upstream.retry.bufferBytes': 1000 } })
    t.equal(await ask(server, 'GET', 0), 200)
    await sleep(1100)
    t.equal(await ask(server, method, bodyLength), 200, `${method} with ${bodyLength} bytes`)
    t.equal(upstream.connections.length, 2, 'on a new one')
    t.equal(await ask(server, method, bodyLength), 200)
    t.equal(upstream.connections.length, 2, 'on one that was used just now')
    await upstream.connections[0]!.ended()
    t.pass('which is in the place of the old one')
  }
  await Promise.all(NOT_REPEATED.map(play))
})

t.test('one that may be repeated takes any, and is sent again', async (t) => {
  const upstream = await startClosing(t, { from: 1000, after: 60_000 })
  const server = await startProxy(t, [upstream.port])
  t.equal(await ask(server, 'GET', 0), 200)
  await sleep(1100)
  t.equal(await ask(server, 'PUT', 2), 200)
  t.match(server.records.at(-1), { tries: 2, retries: [{ reason: 'stale', result: 'answered' }] }, 'and is counted')
  t.equal(server.records.at(-1)?.detail, undefined, 'though nothing has failed')
})

t.test('what was seen of an endpoint counts', async (t) => {
  const upstream = await startClosing(t, { from: 100, after: 150 })
  const server = await startProxy(t, [upstream.port])
  t.equal(await ask(server, 'GET', 0), 200)
  const first = await upstream.connection(0)
  await first.closed
  await until(() => [...server.registry.states()].every(({ connections }) => connections === 0))
  for (let n = 0; n < 10; n++) {
    t.equal(await ask(server, 'POST', 2), 200)
    await sleep(120)
  }
  t.equal(upstream.connections.length, 11)
  const before = upstream.connections.length
  for (let n = 0; n < 5; n++) t.equal(await ask(server, 'POST', 2), 200)
  t.ok(upstream.connections.length < before + 5, 'those close behind each other share one')
})

t.test('and what it says', async (t) => {
  const upstream = await startClosing(t, { from: 3500, after: 4000, fields: 'Keep-Alive: timeout=4\r\n' })
  const server = await startProxy(t, [upstream.port])
  t.equal(await ask(server, 'POST', 2), 200)
  await sleep(1500)
  t.equal(await ask(server, 'POST', 2), 200)
  t.equal(upstream.connections.length, 1, 'it leaves connections open for longer than others')
})
