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
import type { Clock } from '../base/clock.ts'
import type { Proxy as GatewayProxy } from '../proxy/proxy.ts'
import type { Settings } from '../settings-table.ts'
import { ConnectionSet } from './connection-set.ts'
import { Http1Feed } from './http1-feed.ts'
import { type IdleSource, RequestWatch, RequestWatches } from './idle-connection.ts'
import { readOn } from './put-back.ts'

/** How often head and keep-alive times are checked, in milliseconds: they are exact to this. */
const CHECK_INTERVAL = 1000

/** Node 20 does not know the option: every Upgrade is an 'upgrade' there. */
type UpgradeOptions = ServerOptions & { shouldUpgradeCallback: (request: IncomingMessage) => boolean }

export type Http1Door = IdleSource & {
  readonly server: Server
  /** Takes a connection that another server accepted; what was read of it already stands in it again. */
  accept(socket: Socket): void
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
  const server = createServer(
    {
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
    } as UpgradeOptions,
    serve,
  )
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
    (socket: Socket) => new Http1Feed(socket, (error) => server.emit('clientError', error, socket)),
  )
  server.on('checkContinue', serve)
  server.on('checkExpectation', serve)
  server.on('upgrade', (request, socket, head) =>
    proxy.handleUpgrade(request, socket, joinUnread(head, socket as Socket)),
  )
  server.on('connect', (request, socket, head) =>
    proxy.handleConnect(request, socket, joinUnread(head, socket as Socket)),
  )
  server.on('clientError', (error, socket) => proxy.handleClientError(error, socket))
  // Node starts the check of head and keep-alive times on this event only.
  server.emit('listening')

  function serve(request: IncomingMessage, response: ServerResponse): void {
    Http1Feed.of(request.socket)?.begin(request)
    onRequest(request, response)
  }

  return {
    server,
    listConnections: () => watches.listConnections(),
    accept: (socket) => {
      server.emit('connection', socket)
      if (socket.readableLength > 0) readOn(socket)
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

/** All that has come behind the head; the connection is the proxy's from here on. */
function joinUnread(head: Buffer, socket: Socket): Buffer {
  const unread = Http1Feed.of(socket)?.release()
  return unread ? Buffer.concat([head, unread]) : head
}
