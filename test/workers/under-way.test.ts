/** A request that is under way when a configuration comes into force ends under the one that it began with. */
import { once } from 'node:events'
import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type RawUpstream, startRawUpstream } from '../helpers/raw-upstream.ts'
import { startTraffic } from '../helpers/start-traffic.ts'

const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const BUSY = 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n'

type Changes = Readonly<Record<string, unknown>>

/** One endpoint that answers when the test says, and the gateway before it. */
async function start(t: Test, before: Changes, policy: Changes = {}) {
  const upstream = await startRawUpstream(() => {})
  t.teardown(() => upstream.close())
  const words = { upstreams: { web: [upstream.port] }, routes: [{ to: 'web', policy }] }
  const common = { 'http.address': '127.0.0.1', 'http.port': 0 }
  const { traffic, load } = await startTraffic(t, words, { ...common, ...before })
  const { port } = await traffic.listen('http')
  return {
    upstream,
    reload: (after: Changes, routePolicy: Changes = {}) =>
      load({ ...words, routes: [{ to: 'web', policy: routePolicy }] }, { ...common, ...after }),
    send: () => send(port),
  }
}

/** Resolves to the status. */
function send(port: number): Promise<number | undefined> {
  const sent = request({ port, host: '127.0.0.1', headers: { host: 'a.test', 'x-forwarded-for': '192.0.2.7' } })
  sent.end()
  return once(sent, 'response').then(([response]) => {
    response.resume()
    return response.statusCode
  })
}

/** The head of the request that came as the `n`-th, from 0. */
async function headOf(upstream: RawUpstream, n: number): Promise<string> {
  return (await upstream.connection(n)).head()
}

t.test('it is tried again, under the Host and for the client, as it was to be when it came', async (t) => {
  const { upstream, reload, send } = await start(t, {
    'upstream.tries': 2,
    'upstream.retry.conditions': ['503'],
    trustedProxies: ['127.0.0.0/8'],
  })
  const first = send()
  t.match(await headOf(upstream, 0), /^Host: a\.test\r$/im)
  await reload({ 'upstream.tries': 1, 'upstream.host': 'other.test', trustedProxies: [] })
  upstream.connections[0]!.send(BUSY).socket.end()

  const again = await headOf(upstream, 1)
  t.match(again, /^Host: a\.test\r$/im)
  t.match(again, /^X-Forwarded-For: 192\.0\.2\.7, 127\.0\.0\.1\r$/im)
  upstream.connections[1]!.send(ANSWER).socket.end()
  t.equal(await first, 200)

  const second = send()
  const head = await headOf(upstream, 2)
  t.match(head, /^Host: other\.test\r$/im)
  t.match(head, /^X-Forwarded-For: 127\.0\.0\.1\r$/im)
  upstream.connections[2]!.send(BUSY).socket.end()
  t.equal(await second, 503)
  t.equal(upstream.connections.length, 3)
})

t.test('its time limits are those from when it came, shorter or longer', async (t) => {
  const { upstream, reload, send } = await start(t, { 'timeouts.responseHeaders': 20_000 })
  const patient = send()
  await headOf(upstream, 0)
  await reload({ 'timeouts.responseHeaders': 250 })
  const hurried = send()
  await headOf(upstream, 1)
  await reload({ 'timeouts.responseHeaders': 20_000 })
  t.equal(await hurried, 504)
  await sleep(300)
  upstream.connections[0]!.send(ANSWER)
  t.equal(await patient, 200)
})

t.test('what an Ingress has for its routes is resolved with the snapshot too', async (t) => {
  const { upstream, reload, send } = await start(t, {}, { 'timeouts.responseHeaders': 20_000 })
  const patient = send()
  await headOf(upstream, 0)
  await reload({}, { 'timeouts.responseHeaders': 250 })
  t.equal(await send(), 504)
  upstream.connections[0]!.send(ANSWER)
  t.equal(await patient, 200)
})
