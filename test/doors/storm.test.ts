/**
 * Many clients at once, who pipeline, break off and go away, before an upstream that does the same: every whole answer is
 * the one to its own request, and nothing is left behind.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { Random } from '../fuzz/random.ts'
import { connectRaw, type RawClient } from '../helpers/raw-client.ts'
import type { RawConnection } from '../helpers/raw-upstream.ts'
import { expectNothingOpen, startRawGateway } from './raw-gateway.ts'

const CLIENTS = 40
const CONNECTIONS = 12

/** Answers every request with its path and body, in ways that `random` chooses. */
function createMirror(random: Random) {
  const turns = async (most: number) => {
    for (let left = random.below(most); left > 0; left--) await nextTurn()
  }
  return async (connection: RawConnection): Promise<void> => {
    for (;;) {
      await connection.until((text) => readRequest(text) !== undefined)
      const request = readRequest(connection.text)
      if (request === undefined) break
      const { path, body, length } = request
      const rest = connection.text.slice(length)
      if (rest !== '') throw new Error(`bytes behind a request: ${rest}`)
      connection.clear()
      await turns(4)
      const content = `${path} ${body}`
      const way = random.below(20)
      if (way === 0) {
        connection.socket.resetAndDestroy()
        return
      }
      const answer =
        way < 8
          ? `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${content.length.toString(16)}\r\n${content}\r\n0\r\n\r\n`
          : `HTTP/1.1 200 OK\r\nContent-Length: ${content.length}\r\n\r\n${content}`
      const cut = way === 1 || way === 9 ? random.below(answer.length) : answer.length
      // Less than all, so that a surplus always comes together with some of the answer.
      const middle = random.below(Math.max(1, cut))
      connection.send(answer.slice(0, middle))
      if (random.oneIn(2)) await turns(3)
      // Then an answer that nobody asked for, which must not be anybody's.
      const surplus = way === 2 || way === 10 ? 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n/evil bad' : ''
      connection.send(answer.slice(middle, cut) + surplus)
      if (cut < answer.length || way === 11) break
    }
    connection.socket.end()
  }
}

/** The first request of `text`, as the gateway frames it; undefined while it is not whole. */
function readRequest(text: string): { path: string; body: string; length: number } | undefined {
  const end = text.indexOf('\r\n\r\n') + 4
  if (end < 4) return undefined
  const head = text.slice(0, end)
  const path = /^\w+ (\S+)/.exec(head)?.[1] ?? ''
  if (/\r\ntransfer-encoding: chunked/i.test(head)) {
    const stop = text.indexOf('\r\n0\r\n\r\n', end - 2)
    if (stop < 0) return undefined
    const body = text.slice(end, stop).replace(/(?:^|\r\n)[0-9a-f]+\r\n/g, '')
    return { path, body, length: stop + 7 }
  }
  const size = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0)
  return text.length < end + size ? undefined : { path, body: text.slice(end, end + size), length: end + size }
}

type Tally = { whole: number; failed: number }

/** One connection: requests in a pipeline or one after the other, at times broken off. */
async function playConnection(client: RawClient, name: string, random: Random, tally: Tally): Promise<void> {
  const expected: string[] = []
  const requests = Array.from({ length: 1 + random.below(5) }, (_, at) => {
    const path = `/${name}-${at}`
    const body = `body of ${name}-${at}`
    switch (random.below(3)) {
      case 0:
        expected.push(`${path} `)
        return `GET ${path} HTTP/1.1\r\nHost: a.test\r\n\r\n`
      case 1:
        expected.push(`${path} ${body}`)
        return `POST ${path} HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${body.length}\r\n\r\n${body}`
      default:
        expected.push(`${path} ${body}`)
        return `POST ${path} HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
    }
  })
  const bytes = Buffer.from(requests.join(''), 'latin1')
  const leaves = random.oneIn(4)
  const sent = leaves ? bytes.subarray(0, random.below(bytes.length)) : bytes
  for (const piece of random.split(sent, 6)) {
    if (client.hasEnded) break
    await client.flush(piece)
    if (random.oneIn(2)) await nextTurn()
  }
  if (leaves) {
    for (let left = random.below(6); left > 0; left--) await nextTurn()
    client[random.pick(['reset', 'destroy', 'end'] as const)]()
    await client.closed
    return
  }
  for (const content of expected) {
    const response = await client.response().catch(() => undefined)
    if (response === undefined || !response.complete) {
      tally.failed++
      break
    }
    if (response.status === 200) {
      tally.whole++
      if (response.body.toString() !== content) throw new Error(`asked ${content}, got ${response.body}`)
    } else {
      tally.failed++
      if (response.status !== 502) throw new Error(`asked ${content}, got ${response.status}`)
    }
  }
  client.destroy()
  await client.closed
}

// Many connections; all at once, but on machines that may be slow.
t.setTimeout(300_000)

for (const fastLane of [true, false]) {
  t.test(`${fastLane ? 'the fast lane' : 'node:http'} keeps requests and answers together in a storm`, async (t) => {
    const seed = Date.now() % 0x1_0000_0000
    t.comment(`seed ${seed}`)
    const random = new Random(seed)
    const started = await startRawGateway(t, fastLane, createMirror(random), '300ms')
    const tally: Tally = { whole: 0, failed: 0 }
    const clients = Array.from({ length: CLIENTS }, async (_, client) => {
      for (let at = 0; at < CONNECTIONS; at++) {
        await playConnection(await connectRaw(started.running.http), `${client}-${at}`, random, tally)
      }
    })
    await Promise.all(clients)
    t.ok(tally.whole > CLIENTS * CONNECTIONS, `${tally.whole} whole answers, ${tally.failed} that failed`)
    t.ok(tally.failed > 0)
    await expectNothingOpen(t, started)
  })
}
