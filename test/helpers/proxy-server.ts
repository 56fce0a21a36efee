/** The handler of requests behind plain servers: HTTP/1 and HTTP/1 over TLS, with the fast lane in front, and HTTP/2; on ports of 127.0.0.1, closed with the test. */
import {
  createServer as createHttp2Server,
  createSecureServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import { type AddressInfo, createServer as createNetServer, type Server as NetServer, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import type { Test } from 'tap'
import { systemClock } from '../../lib/base/clock.ts'
import { FastLane } from '../../lib/downstream/fast-lane/fast-lane.ts'
import { Http1Door } from '../../lib/downstream/http1/http1-door.ts'
import { Http2Exchange } from '../../lib/downstream/http2/http2-exchange.ts'
import { RequestHandler } from '../../lib/request/handler.ts'
import { setOrigin } from '../../lib/request/origin.ts'
import type { Spools, SpoolsOptions } from '../../lib/request/spools.ts'
import type { Settings } from '../../lib/settings/table.ts'
import type { Snapshot } from '../../lib/snapshot/snapshot.ts'
import type { RequestRecord } from '../../lib/telemetry/record.ts'
import { EndpointRegistry } from '../../lib/upstream/choice/registry.ts'
import type { Pem } from './certificates.ts'
import { FAST_LANE } from './fast-lane.ts'
import { makeSettings } from './settings.ts'
import { type EndpointWords, type ModelWords, makeSnapshot } from './snapshot.ts'
import { makeSpools } from './spools.ts'

export type ProxyServer = {
  readonly proxy: RequestHandler
  readonly registry: EndpointRegistry
  readonly spools: Spools
  /** HTTP/1, plain. */
  readonly port: number
  /** HTTP/2 with prior knowledge, plain. */
  readonly h2Port: number
  /** HTTP/1 over TLS and HTTP/2 over TLS; 0 without a certificate. */
  readonly tlsPort: number
  readonly h2TlsPort: number
  readonly records: readonly RequestRecord[]
  /** The next record to come after those taken already. */
  record(): Promise<RequestRecord>
  /** Swaps the snapshot. */
  load(words: ModelWords, settings?: Readonly<Record<string, unknown>>): void
  drain(): void
}

export type ProxyServerOptions = {
  settings?: Readonly<Record<string, unknown>>
  certificate?: Pem
  spools?: Partial<SpoolsOptions>
  /** No snapshot until `load` is called. */
  unready?: boolean
}

/** `words` as a list of endpoints is one route for everything. */
export async function startProxy(
  t: Test,
  words: ModelWords | readonly EndpointWords[],
  options: ProxyServerOptions = {},
): Promise<ProxyServer> {
  let settings: Settings = makeSettings(options.settings)
  let snapshot: Snapshot | undefined
  let draining = false
  const records: RequestRecord[] = []
  let taken = 0
  let waiters: (() => void)[] = []
  const registry = new EndpointRegistry({ settings: () => settings, clock: systemClock })
  const onFinish = (record: RequestRecord): void => {
    records.push(record)
    const waiting = waiters
    waiters = []
    for (const resolve of waiting) resolve()
  }
  const spools = makeSpools(t, { limits: () => settings.buffering, ...options.spools })
  const proxy = new RequestHandler({
    snapshot: () => snapshot,
    clock: systemClock,
    spools,
    isDraining: () => draining,
    onFinish,
  })
  const load: ProxyServer['load'] = (next, changes) => {
    if (changes) settings = makeSettings(changes)
    snapshot = makeSnapshot(next, settings, registry)
    registry.retain(snapshot.pools)
  }
  if (!options.unready) load(isList(words) ? { upstreams: { web: words }, routes: [{ to: 'web' }] } : words)

  const http2Server = createHttp2Server()
  const serveStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, raw: string[] = []) =>
    proxy.handle(new Http2Exchange(stream, headers, flags, raw))
  http2Server.on('stream', serveStream)
  const door = new Http1Door({ settings, handler: proxy, onFinish, clock: systemClock })
  await door.ready()
  t.teardown(() => door.close())
  const createFront = (scheme: 'http' | 'https'): { accept(socket: Socket): void } =>
    FAST_LANE ? new FastLane({ settings, handler: proxy, clock: systemClock, scheme, door }) : door
  const front = createFront('http')
  const plain = createNetServer({ allowHalfOpen: true, noDelay: true }, (socket) => front.accept(socket))
  // As the ports of listeners do.
  const takeOver = (place: string) => (socket: Socket) => setOrigin(socket, { place, path: undefined })
  for (const server of [plain, http2Server]) server.prependListener('connection', takeOver('http'))
  const servers: NetServer[] = [plain, http2Server]
  if (options.certificate) {
    const pem = { cert: options.certificate.certificate, key: options.certificate.key }
    const secure = createSecureServer({ ...pem, allowHTTP1: false })
    secure.on('stream', serveStream)
    const tlsFront = createFront('https')
    const tls = createTlsServer({ ...pem, allowHalfOpen: true }, (socket) =>
      tlsFront.accept(socket.on('error', () => {})),
    )
    for (const server of [tls, secure]) server.prependListener('secureConnection', takeOver('https'))
    servers.push(tls, secure)
  }
  const sockets = new Set<{ destroy(): void }>()
  for (const server of servers) {
    server.on('connection', (socket) => {
      // A replayed upgrade comes as the same connection again.
      if (sockets.has(socket)) return
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => sockets.delete(socket))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  }
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
    await registry.close()
  })
  const [port = 0, h2Port = 0, tlsPort = 0, h2TlsPort = 0] = servers.map(
    (server) => (server.address() as AddressInfo).port,
  )
  return {
    proxy,
    registry,
    spools,
    port,
    h2Port,
    tlsPort,
    h2TlsPort,
    records,
    load,
    drain() {
      draining = true
    },
    async record() {
      while (records.length <= taken) await new Promise<void>((resolve) => waiters.push(resolve))
      return records[taken++]!
    },
  }
}

function isList(words: ModelWords | readonly EndpointWords[]): words is readonly EndpointWords[] {
  return Array.isArray(words)
}
