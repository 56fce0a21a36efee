/** A bug in the handling of one connection: that one ends, is counted and logged, and all others are served. Every place is made to throw. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { systemClock } from '../lib/base/clock.ts'
import { contain, onContained, type Place } from '../lib/base/contain.ts'
import { DeadlineWatch, UNWATCHED } from '../lib/base/deadline.ts'
import { ConnectionSet } from '../lib/downstream/connection-set.ts'
import { FastExchange } from '../lib/downstream/fast-lane/fast-exchange.ts'
import { LaneConnection } from '../lib/downstream/fast-lane/lane-connection.ts'
import { Http1Exchange } from '../lib/downstream/http1/http1-exchange.ts'
import { RequestGate } from '../lib/downstream/http1/request-gate.ts'
import { Http2Exchange } from '../lib/downstream/http2/http2-exchange.ts'
import { CertificatePicker } from '../lib/downstream/tls/certificate-picker.ts'
import { DatagramSession } from '../lib/l4/datagram-session.ts'
import { Relays } from '../lib/l4/relay.ts'
import { HangupWatch, type Unread } from '../lib/platform/hangup-watch.ts'
import { Attempts } from '../lib/request/attempts.ts'
import { Forward } from '../lib/request/forward.ts'
import { RequestHandler } from '../lib/request/handler.ts'
import { ClientShares } from '../lib/upstream/choice/client-share.ts'
import { RequestQueue } from '../lib/upstream/choice/request-queue.ts'
import { connectEndpoint } from '../lib/upstream/transport/connect.ts'
import { Connection } from '../lib/upstream/transport/connection.ts'
import { Http1Call } from '../lib/upstream/transport/http1-call.ts'
import { defaultCertificate } from './downstream/start-listener.ts'
import { findFreePort, findFreePorts } from './helpers/free-ports.ts'
import { connectH2 } from './helpers/h2-client.ts'
import { connectRaw, connectRawTls, type RawClient } from './helpers/raw-client.ts'
import { type StartedTraffic, startTraffic } from './helpers/start-traffic.ts'
import { until } from './helpers/until.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const UNUSUAL = 'GET / HTTP/1.1\r\nHost: a\r\nKeep-Alive: 1\r\n\r\n'
const POST = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
const CHUNKS = '3\r\nabc\r\n0\r\n\r\n'
const UNUSUAL_POST = POST.replace('Host', 'Keep-Alive: 1\r\nHost')
const UPGRADE = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n'
const PLAIN_UPGRADE = UPGRADE.replace('echo', 'h2c')

type Prototype = { [method: string]: (...given: never[]) => unknown }

/** A bug: `method` throws the next time it is called. */
function plant(t: Test, prototype: object, method: string): { readonly wasThrown: boolean } {
  const owner = prototype as Prototype
  const original = owner[method]
  if (typeof original !== 'function') throw new TypeError(`there is no ${method}`)
  const bug = { wasThrown: false }
  const restore = () => {
    owner[method] = original
  }
  owner[method] = () => {
    bug.wasThrown = true
    restore()
    throw new Error(`a bug in ${method}`)
  }
  t.teardown(restore)
  return bug
}

type Gateway = StartedTraffic & { http: number; https: number; statuses: string[] }

async function start(t: Test): Promise<Gateway> {
  const upstream = createServer((request, response) => {
    request.resume().on('end', () => {
      // Chunked.
      response.write('o')
      setImmediate(() => response.end('k'))
    })
  }).listen(0, '127.0.0.1')
  upstream.on('upgrade', (_request, socket) =>
    socket.end('HTTP/1.1 101 OK\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n'),
  )
  await once(upstream, 'listening')
  t.teardown(() => {
    upstream.close()
    upstream.closeAllConnections()
  })
  const [relayPort = 0, udpPort = 0] = await findFreePorts(2)
  const { port } = upstream.address() as AddressInfo
  const started = await startTraffic(
    t,
    {
      upstreams: { web: [port], udp: { endpoints: [port], transport: 'UDP' } },
      routes: [{ to: 'web' }],
      listeners: [
        { to: 'web', port: relayPort },
        { to: 'udp', port: udpPort, transport: 'UDP' },
      ],
    },
    { 'http.port': 0, 'http.address': '127.0.0.1', 'https.port': 0, 'https.address': '127.0.0.1', 'log.access': true },
    { defaultCertificate: await defaultCertificate() },
  )
  const http = (await started.traffic.listen('http')).port
  const https = (await started.traffic.listen('https')).port
  return { ...started, http, https, statuses: [] }
}

const containedAt = ({ counts }: Gateway, place: Place): number => counts.contained.get(place) ?? 0

/** Nothing is left of it, and others are served. */
async function expectHarmless(t: Test, gateway: Gateway): Promise<void> {
  const { traffic, http, https } = gateway
  await until(() => traffic.inFlight === 0)
  for (const client of [await connectRaw(http), await connectRawTls(https)]) {
    for (const request of [GET, UNUSUAL]) {
      const { status } = await client.send(request).response()
      if (status !== 200) t.fail(`another request got ${status}`)
    }
    client.destroy()
  }
  for (const state of traffic.endpoints()) t.equal(state.inFlight, 0)
}

type Case = readonly [
  place: Place,
  prototype: object,
  method: string,
  scheme: 'http' | 'https',
  bytes: string,
  /** Whether a request was being served, whose record says so. */
  recorded?: boolean,
]

/** What stands behind `|` is sent when the rest was taken in. */
const CASES: readonly Case[] = [
  // Connections, before anything of them is served.
  ['accept', ConnectionSet.prototype, 'add', 'http', GET],
  ['tls', CertificatePicker.prototype, 'pick', 'https', GET],
  // The fast lane: reads, lent and not, and what a request makes of them.
  ['lane', LaneConnection.prototype, 'receive', 'http', GET],
  ['lane', LaneConnection.prototype, 'receive', 'https', GET],
  ['request', LaneConnection.prototype, 'onExchangeClose', 'http', 'GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['lane', LaneConnection.prototype, 'readOn', 'http', GET + GET],
  ['lane', FastExchange.prototype, 'receive', 'http', `${POST}|${CHUNKS}`, true],
  ['lane', FastExchange.prototype, 'flushKept', 'http', GET],
  // node:http.
  ['http1', RequestGate.prototype, 'begin', 'http', UNUSUAL],
  ['http1', RequestGate.prototype, 'passOn', 'http', UNUSUAL + UNUSUAL],
  ['http1', RequestGate.prototype, 'release', 'http', UPGRADE],
  ['http1', RequestHandler.prototype, 'handle', 'http', UNUSUAL],
  ['http1', RequestHandler.prototype, 'handle', 'http', UPGRADE],
  ['http1', RequestHandler.prototype, 'handle', 'http', PLAIN_UPGRADE],
  ['http1', RequestHandler.prototype, 'handle', 'https', UNUSUAL],
  ['http1', Forward.prototype, 'onBodyData', 'http', `${UNUSUAL_POST}|${CHUNKS}`, true],
  ['http1', Forward.prototype, 'onBodyEnd', 'https', `${UNUSUAL_POST}|${CHUNKS}`, true],
  // Any door.
  ['request', Forward.prototype, 'start', 'http', GET, true],
  ['request', Forward.prototype, 'start', 'http', UNUSUAL, true],
  // Endpoints.
  ['upstream', Forward.prototype, 'onReady', 'http', GET, true],
  ['upstream', Forward.prototype, 'onHead', 'http', GET, true],
  ['upstream', Forward.prototype, 'onData', 'http', GET, true],
  ['upstream', Forward.prototype, 'onEnd', 'http', GET, true],
  ['upstream', Forward.prototype, 'onHead', 'https', UNUSUAL, true],
  ['upstream', Forward.prototype, 'onUpgrade', 'http', UPGRADE, true],
  ['upstream', Connection.prototype, 'lease', 'http', GET, true],
  ['upstream', Http1Call.prototype, 'onBytes', 'http', GET, true],
  ['upstream', FastExchange.prototype, 'end', 'http', GET, true],
  ['upstream', Http1Exchange.prototype, 'sendHead', 'http', UNUSUAL],
]

t.test('whatever throws costs its own connection alone, and is counted, logged and in the record', async (t) => {
  const gateway = await start(t)
  for (const [place, prototype, method, scheme, bytes, recorded = false] of CASES) {
    const title = `${method} at ${place}, ${scheme}`
    const before = containedAt(gateway, place)
    const lines = gateway.lines.length
    // A connection to the endpoint that this one gets was used before.
    const client: Promise<RawClient> = scheme === 'http' ? connectRaw(gateway.http) : connectRawTls(gateway.https)
    client.catch(() => {})
    const bug = plant(t, prototype, method)
    await client.then(
      async (connected) => {
        const [first = '', second] = bytes.split('|')
        connected.send(first)
        if (second !== undefined) {
          await until(() => gateway.traffic.inFlight === 1)
          await new Promise((resolve) => setTimeout(resolve, 30))
          connected.send(second)
        }
        await until(() => bug.wasThrown)
        if (recorded) await until(() => gateway.traffic.inFlight === 0)
        else if (place !== 'upstream') await connected.closed
        connected.destroy()
      },
      () => until(() => bug.wasThrown),
    )
    if (method !== 'sendHead') t.equal(containedAt(gateway, place), before + 1, title)
    await until(() => gateway.traffic.inFlight === 0)
    const errors = gateway.lines.slice(lines).filter(({ code }) => code === 'PORTICO_GW_UNEXPECTED')
    if (recorded) t.equal(errors.length, 1, `${title}: recorded once`)
    await expectHarmless(t, gateway)
  }
  t.ok(gateway.lines.some(({ where, err }) => where === 'upstream' && /a bug in/.test(JSON.stringify(err))))
})

t.test('HTTP/2: a stream ends, its connection goes on', async (t) => {
  const gateway = await start(t)
  const session = connectH2(t, gateway.https, { tls: true })
  session.on('error', () => {})
  const ask = (body?: string) =>
    new Promise<number | string>((resolve) => {
      const stream = session.request({ ':path': '/', ':method': body === undefined ? 'GET' : 'POST', host: 'a' })
      stream.on('error', () => {})
      stream.on('response', (headers) => resolve(headers[':status'] ?? 0))
      stream.on('close', () => resolve('closed'))
      stream.end(body)
      stream.resume()
    })
  for (const [place, prototype, method, body] of [
    ['http2', RequestHandler.prototype, 'handle', undefined],
    ['http2', Forward.prototype, 'onBodyData', 'abc'],
    ['http2', Forward.prototype, 'onBodyEnd', 'abc'],
    ['http2', Attempts.prototype, 'end', undefined],
    ['upstream', Http2Exchange.prototype, 'end', undefined],
  ] as const) {
    const before = containedAt(gateway, place)
    const bug = plant(t, prototype, method)
    await ask(body)
    await until(() => bug.wasThrown)
    await until(() => containedAt(gateway, place) === before + 1)
    await until(() => gateway.traffic.inFlight === 0)
    t.equal(await ask(), 200, `after ${method}`)
  }
})

t.test('relays and datagrams', async (t) => {
  const gateway = await start(t)
  const [relay = 0, udp = 0] = Object.values(gateway.ports)
  for (const [place, prototype, method] of [
    ['accept', Relays.prototype, 'open'],
    ['upstream', Connection.prototype, 'detach'],
  ] as const) {
    const bug = plant(t, prototype, method)
    const client = await connectRaw(relay)
    await client.closed
    t.ok(bug.wasThrown)
    t.equal(containedAt(gateway, place), 1, method)
    await until(() => gateway.traffic.inFlight === 0)
    const next = await connectRaw(relay)
    t.equal((await next.send(GET).response()).status, 200)
    next.destroy()
  }
  const socket = createSocket('udp4')
  t.teardown(() => socket.close())
  const bug = plant(t, DatagramSession.prototype, 'send')
  socket.send('x', udp, '127.0.0.1')
  await until(() => bug.wasThrown)
  t.equal(containedAt(gateway, 'relay'), 1)
  t.equal(gateway.traffic.connections().get('default/udp:80') ?? 0, 0)
})

t.test('a time limit that throws is looked at no more; the others are', async (t) => {
  const seen: unknown[] = []
  t.teardown(onContained((place, error) => seen.push(place, error)))
  const watch = new DeadlineWatch(systemClock)
  const bug = new Error('a bug')
  const ended: string[] = []
  const bad = {
    deadlineAt: 0,
    watchIndex: UNWATCHED,
    onDeadline: () => {
      throw bug
    },
    breakOff: (error: { code: string }) => void ended.push(error.code),
  }
  let rounds = 0
  const good = { deadlineAt: 0, watchIndex: UNWATCHED, onDeadline: () => void rounds++ }
  for (const timed of [good, bad]) watch.add(timed)
  await new Promise((resolve) => setTimeout(resolve, 200).ref())
  t.ok(rounds >= 2, `the other was looked at ${rounds} times`)
  t.same(seen, ['deadline', bug])
  t.same(ended, ['PORTICO_GW_UNEXPECTED'])
  for (const timed of [good, bad]) watch.delete(timed)
})

t.test('one whose hang-up is looked for; the others are looked at as before', async (t) => {
  const seen: Place[] = []
  t.teardown(onContained((place) => seen.push(place)))
  const watch = new HangupWatch(systemClock)
  const ended: string[] = []
  let looks = 0
  const watched = (onStill: () => void): Unread => ({
    sighting: undefined,
    isUnread: true,
    clientSocket: undefined,
    endpointSocket: undefined,
    onStill,
    breakOff: ({ code }) => void ended.push(code),
  })
  const good = watched(() => void looks++)
  const bad = watched(() => {
    watch.delete(bad)
    throw new Error('a bug')
  })
  for (const unread of [good, bad]) watch.add(unread)
  const awake = setInterval(() => {}, 1000)
  t.teardown(() => clearInterval(awake))
  await until(() => looks >= 3)
  t.same(ended, ['PORTICO_GW_UNEXPECTED'])
  t.same(seen, ['deadline'])
  watch.delete(good)
})

t.test('the turn of one that waits, and the outcome of a connection attempt', async (t) => {
  const seen: Place[] = []
  t.teardown(onContained((place) => seen.push(place)))
  const shares = new ClientShares()
  const queue = new RequestQueue(shares, () => systemClock.monotonic())
  const turns: string[] = []
  const enter = (name: string, onTurn: () => boolean) =>
    queue.enter(
      {
        share: shares.find('client'),
        isHeld: false,
        onTurn,
        onOvertaken: () => {},
        breakOff: () => void turns.push(`${name} ended`),
      },
      10,
      1000,
    )
  enter('bad', () => {
    throw new Error('a bug')
  })
  enter('good', () => {
    turns.push('good asked')
    return false
  })
  queue.notify()
  await until(() => turns.length === 2)
  t.same(turns, ['bad ended', 'good asked'])
  t.equal(queue.size, 1)
  t.same(seen, ['queue'])
  const port = await findFreePort()
  const told: string[] = []
  connectEndpoint([{ address: '127.0.0.1', port, tls: undefined }], 1000, {
    onSocket: () => void told.push('socket'),
    onError: ({ code }) => void told.push(code),
    onFailure: () => {
      throw new Error('a bug')
    },
  })
  await until(() => told.length > 0)
  t.same(told, ['PORTICO_GW_UNEXPECTED'])
  t.same(seen, ['queue', 'upstream'])
})

t.test('what is thrown as one is ended is counted too', async (t) => {
  const seen: unknown[] = []
  t.teardown(onContained((_place, error) => seen.push(error)))
  const [first, second] = [new Error('first'), new Error('second')]
  contain('lane', first, {
    breakOff: () => {
      throw second
    },
  })
  t.same(seen, [first, second])
})
