/** A client that pipelines without end: its worker keeps little of what it sends, and has time for the others. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { WorkerRow } from '../lib/report/views.ts'
import { connectRaw, connectRawTls, type RawClient } from './helpers/raw-client.ts'
import { ONE_ROUTE, type RunningGateway, runGateway, visit } from './helpers/running-gateway.ts'

/** Requests of other hosts are answered by the gateway. */
const MANIFESTS = ONE_ROUTE.replace('{http:', '{host: web.test, http:')

const MIB = 1_048_576
/** Many times as much as the kernel holds for the two sockets. */
const SENT = 32 * MIB
const MAX_GROWTH = 48 * MIB
const MIN_MS = 800
const MIN_ASKED = 15

/** `Keep-Alive` leads out of the fast lane. */
const REQUESTS = {
  'that the gateway answers': 'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
  'for an endpoint': 'GET / HTTP/1.1\r\nHost: web.test\r\n\r\n',
  'that the gateway answers, by node:http': 'GET / HTTP/1.1\r\nHost: a\r\nKeep-Alive: 1\r\n\r\n',
  'for an endpoint, by node:http': 'GET / HTTP/1.1\r\nHost: web.test\r\nKeep-Alive: 1\r\n\r\n',
  'behind one that is not answered': 'GET /never HTTP/1.1\r\nHost: web.test\r\n\r\n',
  'behind one that is not answered, by node:http': 'GET /never HTTP/1.1\r\nHost: web.test\r\nKeep-Alive: 1\r\n\r\n',
}

const residentBytes = (pid: number): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024

async function start(t: Test): Promise<RunningGateway & { pid: number }> {
  const upstream = createServer((request, response) => {
    if (request.url !== '/never') response.end('ok')
  }).listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  t.teardown(() => {
    upstream.close()
    upstream.closeAllConnections()
  })
  const running = await runGateway(t, MANIFESTS, {
    endpoints: { web: [(upstream.address() as AddressInfo).port] },
    flags: { workers: '1', 'admin.enabled': 'true', 'admin.port': '0' },
  })
  const client = await connectRaw(running.admin)
  client.send('GET /api/v1/workers HTTP/1.1\r\nHost: localhost\r\n\r\n')
  const [worker] = JSON.parse((await client.response()).body.toString()) as WorkerRow[]
  client.destroy()
  // What the first requests have compiled and allocated is no growth.
  for (const scheme of ['http', 'https']) for (let n = 0; n < 200; n++) await visit(running, `${scheme}://web.test/`)
  return { ...running, pid: worker!.pid! }
}

/** Sends as much as is taken, and reads what comes, until it is stopped; returns how many answers came. */
async function pipeline(client: RawClient, requests: string, stopped: Promise<unknown>): Promise<number> {
  let answers = 0
  let isStopped = false
  client.socket.on('data', (data: Buffer) => {
    client.clear()
    answers += data.toString('latin1').split('HTTP/1.1 ').length - 1
  })
  void stopped.then(() => {
    isStopped = true
  })
  const block = Buffer.from(requests.repeat(Math.ceil(65_536 / requests.length)))
  for (let sent = 0; sent < SENT && !isStopped; sent += block.length) await Promise.race([client.flush(block), stopped])
  await stopped
  return answers
}

t.test('what one connection pipelines does not pile up, and another one is answered all along', async (t) => {
  const running = await start(t)
  for (const scheme of ['http', 'https'] as const) {
    for (const [title, requests] of Object.entries(REQUESTS)) {
      const client = await (scheme === 'http' ? connectRaw(running.http) : connectRawTls(running.https))
      const other = await connectRaw(running.http)
      const before = residentBytes(running.pid)
      let peak = before
      let stop: () => void = () => {}
      const stopped = new Promise<void>((resolve) => {
        stop = resolve
      })
      const pipelining = pipeline(client, requests, stopped)
      let asked = 0
      for (const end = Date.now() + MIN_MS; Date.now() < end || asked < MIN_ASKED; asked++) {
        other.send('GET / HTTP/1.1\r\nHost: web.test\r\n\r\n')
        const { status } = await other.response()
        if (status !== 200) t.fail(`another client got ${status}`)
        peak = Math.max(peak, residentBytes(running.pid))
        await sleep(10)
      }
      stop()
      const answers = await pipelining
      const growth = Math.round((peak - before) / MIB)
      t.comment(`${scheme}, requests ${title}: ${answers} answers, ${asked} of another client, ${growth} MiB more`)
      t.ok(peak - before < MAX_GROWTH, `${scheme}, requests ${title}: ${growth} MiB more`)
      client.destroy()
      other.destroy()
    }
  }
})
