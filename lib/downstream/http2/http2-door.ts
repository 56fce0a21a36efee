/** The HTTP/2 server of a listener, on Node's 'stream' event: bounded streams, windows and headers, rapid-reset guard, GOAWAY. */
import {
  constants,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { Socket } from 'node:net'
import type { Clock } from '../../base/clock.ts'
import { containAt, containingAt } from '../../base/contain.ts'
import { HALF_CLOSED_MS, hangupWatch, type Unread } from '../../platform/hangup-watch.ts'
import type { ExchangeHandler } from '../../request/exchange.ts'
import { findPeerAddress } from '../../request/origin.ts'
import type { Settings } from '../../settings/table.ts'
import type { Log } from '../../telemetry/log.ts'
import { ignoreError } from '../connection-set.ts'
import { type IdleSource, RequestWatch, RequestWatches, SILENT_MS } from '../idle-connection.ts'
import { Http2Exchange } from './http2-exchange.ts'
import { ResetBudget } from './reset-budget.ts'

/** What a client may send unasked, in bytes: on one stream, and on all streams of a connection together. */
const STREAM_WINDOW = 256 * 1024
const CONNECTION_WINDOW = 1024 * 1024

/** How long a client may take to close a connection that is over, in milliseconds. */
const CLOSE_GRACE = 1000

/** How long a connection without streams is looked at after its last byte, in milliseconds: there may be many of them. */
const IDLE_WATCH = 5000

export type Http2Door = IdleSource & {
  accept(socket: Socket): void
  /** GOAWAY on every connection: streams in flight end as they would, new ones are refused. */
  drain(): void
}

export type Http2DoorOptions = Readonly<{ settings: Settings; handler: ExchangeHandler; clock: Clock; log: Log }>

export function createHttp2Door({ settings, handler, clock, log }: Http2DoorOptions): Http2Door {
  const { limits, timeouts } = settings
  const sessions = new Set<ServerHttp2Session>()
  const watches = new RequestWatches()
  let draining = false
  /** The socket of the session that is being made: a session does not let its own socket be destroyed. */
  let accepted: Socket | undefined

  const server = createServer({
    settings: {
      maxConcurrentStreams: limits.streamsPerConnection,
      initialWindowSize: STREAM_WINDOW,
      maxHeaderListSize: limits.headerBytes,
    },
    // Twice the limit, so that the handler can say 431 to what is only a little too much; beyond it the stream is reset.
    maxHeaderListPairs: limits.headerCount * 2,
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
  })
  server.on('sessionError', ignoreError)
  server.on(
    'session',
    containingAt('http2', (session: ServerHttp2Session) => {
      session.setLocalWindowSize(CONNECTION_WINDOW)
      sessions.add(session)
      session.once('close', () => sessions.delete(session))
      session.on('error', (error) => log.debug({ err: error }, 'HTTP/2 connection failed'))
      if (accepted) guardSession(session, accepted)
      if (draining) session.close()
    }),
  )

  function guardSession(session: ServerHttp2Session, socket: Socket): void {
    const resets = new ResetBudget(clock)
    const watch = new RequestWatch(socket, { clock, isReceiving, close: closeIdle })
    watches.add(watch)
    let open = 0
    let lastStream = 0
    /** Bytes that hold no head under way, as far as is known. */
    let settled = socket.bytesRead
    let changedAt = Number.NEGATIVE_INFINITY
    // A client that says no more than the protocol demands receives nothing.
    session.on('remoteSettings', settle)
    session.on('localSettings', settle)
    // Only streams count as life: neither PINGs nor a head that never ends keep a connection.
    let timer = setTimeout(close, timeouts.requestHeaders).unref()
    socket.once('close', () => clearTimeout(timer))
    // When a write fails while the session receives, or the connection breaks (Node 20), the session may read no more and never hear of the end.
    const unread: Unread = {
      sighting: undefined,
      get isUnread() {
        return !socket.destroyed && (open > 0 || (unread.sighting?.stillMs ?? 0) < IDLE_WATCH)
      },
      clientSocket: socket,
      endpointSocket: undefined,
      onStill: (sighting) => {
        // A client of HTTP/2 that has sent its FIN wants no more, and a session that leaves bytes unread will never read again.
        const isOver =
          sighting.client?.isReset || sighting.hasClientLeft(HALF_CLOSED_MS) || sighting.isClientUnread(HALF_CLOSED_MS)
        if (!isOver) return
        // The socket first: a session that waits for a write that is lost must not try to send a GOAWAY.
        socket.destroy()
        session.destroy()
      },
    }
    hangupWatch.add(unread)

    function settle(): void {
      settled = socket.bytesRead
    }

    /** The session tells of whole heads alone, so that other bytes may be the beginning of one, for a while. */
    function isReceiving(now: number): boolean {
      if (socket.bytesRead !== settled) {
        settle()
        changedAt = now
      }
      return now - changedAt < SILENT_MS
    }

    /** By itself the session's GOAWAY would also name a stream whose head is not whole, and its client could not ask again (RFC 9113 §6.8). */
    function closeIdle(): void {
      if (session.destroyed) {
        socket.destroy()
        return
      }
      if (lastStream > 0) session.goaway(constants.NGHTTP2_NO_ERROR, lastStream)
      // A GOAWAY names no later stream than the one before it, which goes out first.
      setImmediate(() => session.destroy())
    }

    /** Sends GOAWAY, and soon ends the session, even one that waits for the rest of a head. */
    function close(): void {
      hangupWatch.add(unread)
      session.close()
      timer = setTimeout(end, CLOSE_GRACE).unref()
    }

    /** What has been written still goes out; a client that neither takes it nor closes its side is cut. */
    function end(): void {
      session.destroy()
      if (socket.writableFinished) {
        socket.destroy()
        return
      }
      timer = setTimeout(() => socket.destroy(), timeouts.writeStall).unref()
      socket.once('finish', () => {
        clearTimeout(timer)
        timer = setTimeout(() => socket.destroy(), CLOSE_GRACE).unref()
      })
    }

    session.on('stream', containingAt('http2', onStream))

    function onStream(
      stream: ServerHttp2Stream,
      headers: IncomingHttpHeaders,
      flags: number,
      rawHeaders: string[] = [],
    ): void {
      stream.on('error', ignoreError)
      open++
      lastStream = stream.id ?? lastStream
      watch.begin()
      hangupWatch.add(unread)
      clearTimeout(timer)
      stream.once('close', () => {
        try {
          onStreamClose(stream)
        } catch (thrown) {
          containAt('http2', thrown, session)
        }
      })
      handler.handle(new Http2Exchange(stream, headers, flags, rawHeaders))
    }

    function onStreamClose(stream: ServerHttp2Stream): void {
      open--
      watch.end()
      settle()
      if (!stream.aborted && stream.rstCode === constants.NGHTTP2_NO_ERROR) resets.restore()
      else if (!session.destroyed && !resets.spend()) {
        log.warn({ peer: findPeerAddress(socket) }, 'HTTP/2 connection closed: too many streams were reset')
        session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM)
        session.destroy()
      }
      if (open > 0 || socket.destroyed) return
      clearTimeout(timer)
      if (session.closed || session.destroyed) close()
      else timer = setTimeout(close, timeouts.keepAlive).unref()
    }
  }

  return {
    accept: (socket) => {
      accepted = socket
      server.emit('connection', socket)
      accepted = undefined
    },
    listConnections: () => watches.listConnections(),
    drain: () => {
      draining = true
      for (const session of sessions) session.close()
    },
  }
}
