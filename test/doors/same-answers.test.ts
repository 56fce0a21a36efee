/**
 * Two gateways over the same manifests, one with the fast lane and one without: whatever a client sends and an upstream
 * answers, both say the same to the client, to the upstream, in the log and in the metrics.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { IncomingMessage } from 'node:http'
import { isDeepStrictEqual } from 'node:util'
import t, { type Test } from 'tap'
import { CLIENT_CASES, type ClientCase } from './client-cases.ts'
import { play, readCounters, startSide } from './side.ts'

/**
 * Where node:http decides and cannot be asked to do otherwise: it leaves out a hint whose Link it does not understand, and
 * it hangs up behind the last whole request once the client's FIN has come, where the lane still says what was wrong
 * with the bytes between.
 */
const DIFFERENT = /103-odd-link|^(CL too small|0\.CL with an early answer|a pipeline with rubbish in it), FIN/

type Compared = { flags?: Readonly<Record<string, string>>; tls?: boolean }

async function compare(
  t: Test,
  cases: readonly ClientCase[],
  { flags = {}, tls = false }: Compared = {},
): Promise<void> {
  const [lane, node] = await Promise.all([startSide(t, true, flags), startSide(t, false, flags)])
  const read = countNodeRequests(t)
  let reused = 0
  for (const each of cases) {
    if (DIFFERENT.test(each.name)) continue
    const [byLane, byNode] = await Promise.all([play(lane, each, tls), play(node, each, tls)])
    if (!isDeepStrictEqual(byLane, byNode)) t.same(byLane, byNode, each.name)
    if (byLane.reused) reused++
  }
  t.ok(reused > cases.length / 10, `${reused} of ${cases.length} connections carried one more request`)
  const [laneCounters, nodeCounters] = await Promise.all([readCounters(lane), readCounters(node)])
  t.ok(laneCounters.length > 10)
  t.same(laneCounters, nodeCounters, 'the metrics are the same')
  const [byLane, byNode] = [lane, node].map(({ running }) => read(tls ? running.https : running.http))
  t.ok(byLane! < byNode! / 2, `node:http read ${byNode} requests without the lane, ${byLane} behind it`)
}

/** How many requests node:http has read on a port of this process. */
function countNodeRequests(t: Test): (port: number) => number {
  const counts = new Map<number, number>()
  const count = (message: unknown) => {
    const { localPort = 0 } = (message as { request: IncomingMessage }).request.socket
    counts.set(localPort, (counts.get(localPort) ?? 0) + 1)
  }
  subscribe('http.server.request.start', count)
  t.teardown(() => unsubscribe('http.server.request.start', count))
  return (port) => counts.get(port) ?? 0
}

// Many connections, one after the other at each pair of gateways, many of which wait for a time limit.
t.setTimeout(300_000)
t.jobs = 6

const PARTS = 3
for (let part = 0; part < PARTS; part++) {
  t.test(`both doors answer alike, ask the upstream alike, log and count alike: part ${part + 1}`, async (t) => {
    await compare(
      t,
      CLIENT_CASES.filter((_, at) => at % PARTS === part),
    )
  })
}

t.test('so they do over TLS', async (t) => {
  const cases = CLIENT_CASES.filter(({ name }, at) => /ordinary|pipeline|early|half|slowly/.test(name) || at % 5 === 0)
  await compare(t, cases, { tls: true })
})

t.test('so they do for a trusted proxy, with Forwarded', async (t) => {
  const cases = CLIENT_CASES.filter(({ name }) => /forwarded|claims|request id|ordinary|host|cookie/i.test(name))
  await compare(t, cases, { flags: { trustedProxies: '127.0.0.0/8', forwardedHeader: 'true' } })
})

t.test('so they do where underscores are kept or refused, and bodies are bounded', async (t) => {
  const cases = CLIENT_CASES.filter(
    // Of a body that is both too large and broken, chance decides which is found first.
    ({ name, ending }) => ending !== 'fin' && /underscore|name|ordinary|^(GET|POST|PUT|DELETE) with/i.test(name),
  )
  await compare(t, cases, { flags: { underscoresInHeaders: 'keep', 'limits.bodyBytes': '4' } })
  const named = cases.filter(({ name }) => /underscore|name|ordinary/.test(name))
  await compare(t, named, { flags: { underscoresInHeaders: 'reject' } })
})
