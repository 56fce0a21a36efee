/** The HTTP/2 server of a listener, on Node's 'stream' event: bounded streams, windows and headers, rapid-reset guard, GOAWAY. */
import { constants, createServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { Clock } from '../base/clock.ts'
import type { Proxy as GatewayProxy } from '../proxy/proxy.ts'
import type { Settings } from '../settings-table.ts'
import type { Log } from '../telemetry/log.ts'
import { ignoreError } from './connection-set.ts'
import { ResetBudget } from './reset-budget.ts'

/** What a client may send unasked, in bytes: on one stream, and on all streams of a connection together. */
const STREAM_WINDOW = 256 * 1024
const CONNECTION_WINDOW = 1024 * 1024

export type Http2Door = {
  accept(socket: Socket): void
  /** GOAWAY on every connection: streams in flight end as they would, new ones are refused. */
  drain(): void
}

export type Http2DoorOptions = { settings: Settings; proxy: GatewayProxy; clock: Clock; log: Log }

export function createHttp2Door({ settings, proxy, clock, log }: Http2DoorOptions): Http2Door {
  const { limits, timeouts } = settings
  const sessions = new Set<ServerHttp2Session>()
  let draining = false

  const server = createServer({
    settings: {
      maxConcurrentStreams: limits.streamsPerConnection,
      initialWindowSize: STREAM_WINDOW,
      maxHeaderListSize: limits.headerBytes,
    },
    // Twice the limit, so that the proxy can say 431 to what is only a little too much; beyond it the stream is reset.
    maxHeaderListPairs: limits.headerCount * 2,
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
  })
  server.on('sessionError', ignoreError)
  server.on('session', (session) => {
    session.setLocalWindowSize(CONNECTION_WINDOW)
    sessions.add(session)
    session.once('close', () => sessions.delete(session))
    session.on('error', (error) => log.debug({ err: error }, 'HTTP/2 connection failed'))
    guardSession(session)
    if (draining) session.close()
  })

  function guardSession(session: ServerHttp2Session): void {
    const resets = new ResetBudget(clock)
    let open = 0
    // Only streams count as life: neither PINGs nor a head that never ends keep a connection.
    let idle = closeAfter(session, timeouts.requestHeaders)
    session.once('close', () => clearTimeout(idle))

    session.on('stream', (stream: ServerHttp2Stream, headers, flags, rawHeaders: string[] = []) => {
      stream.on('error', ignoreError)
      open++
      clearTimeout(idle)
      stream.once('close', () => {
        open--
        if (!stream.aborted && stream.rstCode === constants.NGHTTP2_NO_ERROR) resets.restore()
        else if (!session.destroyed && !resets.spend()) {
          log.warn({ peer: session.socket?.remoteAddress }, 'HTTP/2 connection closed: too many streams were reset')
          session.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM)
          session.destroy()
        }
        if (open === 0 && !session.destroyed) idle = closeAfter(session, timeouts.keepAlive)
      })
      proxy.handleStream(stream, headers, flags, rawHeaders)
    })
  }

  return {
    accept: (socket) => {
      server.emit('connection', socket)
    },
    drain: () => {
      draining = true
      for (const session of sessions) session.close()
    },
  }
}

function closeAfter(session: ServerHttp2Session, delay: number): NodeJS.Timeout {
  const timer = setTimeout(() => session.close(), delay)
  timer.unref()
  return timer
}
