/** The complete HTTP/1 server of a listener: strict parsing, time limits, and every event Node would answer by itself led to the proxy. */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Clock } from '../../base/clock.ts'
import type { Settings } from '../../settings/table.ts'
import { ConnectionSet } from '../connection-set.ts'
import { type IdleSource, RequestWatch, RequestWatches } from '../idle-connection.ts'
import type { Proxy as GatewayProxy } from '../proxy.ts'
import { RequestGate } from './request-gate.ts'

/** How often head and keep-alive times are checked, in milliseconds: they are exact to this. */
const CHECK_INTERVAL = 1000

/** Node 20 does not know the option: every Upgrade is an 'upgrade' there. */
type UpgradeOptions = ServerOptions & { shouldUpgradeCallback: (request: IncomingMessage) => boolean }

export type Http1Door = IdleSource & {
  readonly server: Server
  /** Takes a connection that another server accepted, with what was read of it and does not stand in it again. */
  accept(socket: Socket, read?: Buffer): void
  /** Closes connections that carry no request; the proxy answers the others with `Connection: close`. */
  drain(): void
  close(): void
}

export type Http1DoorOptions = {
  settings: Settings
  proxy: GatewayProxy
  onRequest: RequestListener
  clock: Clock
}

/** Its server takes connections by `accept` alone and never listens itself. */
export function createHttp1Door({ settings, proxy, onRequest, clock }: Http1DoorOptions): Http1Door {
  const { timeouts, limits } = settings
  const server = createServer({
    insecureHTTPParser: false,
    maxHeaderSize: limits.headerBytes,
    headersTimeout: timeouts.requestHeaders,
    requestTimeout: 0, // Progress is timed, not the whole: an honest slow upload may take hours.
    keepAliveTimeout: timeouts.keepAlive,
    connectionsCheckingInterval: Math.min(CHECK_INTERVAL, timeouts.requestHeaders),
    requireHostHeader: false, // The proxy judges Host, so that the refusal is logged and counted.
    noDelay: true,
    keepAlive: true,
    shouldUpgradeCallback: (request) => proxy.wantsUpgrade(request),
  } as UpgradeOptions)
  // Beyond this number Node drops fields in silence; the size of the head bounds them, and the proxy counts them.
  server.maxHeadersCount = 0
  // A client that sends FIN after its request still gets its answer (SL-08).
  Object.assign(server, { httpAllowHalfOpen: true })

  const connections = new ConnectionSet()
  const watches = new RequestWatches()
  server.prependListener('connection', (socket: Socket) => {
    connections.add(socket)
    // A replayed upgrade comes as the same connection again.
    if (!watches.find(socket)) watches.add(socket, new RequestWatch(clock, () => socket.destroy()))
  })
  const noteRequest = ({ socket }: IncomingMessage, response: ServerResponse): void => {
    const watch = watches.find(socket)
    watch?.begin()
    response.once('close', () => watch?.end())
  }
  for (const event of ['request', 'checkContinue', 'checkExpectation']) server.prependListener(event, noteRequest)
  // What comes of these stays under way for as long as the connection lives.
  for (const event of ['upgrade', 'connect']) server.on(event, (_request, socket) => watches.find(socket)?.begin())
  server.on(
    'connection',
    (socket: Socket) => new RequestGate(socket, (error) => server.emit('clientError', error, socket)),
  )
  for (const event of ['request', 'checkContinue', 'checkExpectation']) server.on(event, serve)
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) =>
    proxy.handleUpgrade(request, socket, joinEarly(head, request)),
  )
  server.on('connect', (request: IncomingMessage, socket: Socket, head: Buffer) =>
    proxy.handleConnect(request, socket, joinEarly(head, request)),
  )
  server.on('clientError', (error: Error, socket: Duplex) => {
    RequestGate.of(socket as Socket)?.silence()
    proxy.handleClientError(error, socket)
  })
  // Node starts the check of head and keep-alive times on this event only.
  server.emit('listening')

  function serve(request: IncomingMessage, response: ServerResponse): void {
    RequestGate.of(request.socket)?.begin(request, response)
    onRequest(request, response)
  }

  return {
    server,
    listConnections: () => watches.listConnections(),
    accept: (socket, read) => {
      server.emit('connection', socket)
      socket.resume()
      if (read) socket.emit('data', read)
    },
    drain: () => {
      server.closeIdleConnections()
      // Node does not count a connection as idle that has not sent anything yet.
      for (const socket of connections) if (socket.bytesRead === 0) socket.destroy()
    },
    close: () => {
      server.close()
    },
  }
}

/** All that has come behind an upgrade; the connection is the proxy's from here on. */
function joinEarly(head: Buffer, request: IncomingMessage): Buffer {
  const rest = RequestGate.of(request.socket)?.release(request)
  return rest ? Buffer.concat([head, rest]) : head
}
