/** What takes the connections of ports that serve HTTP, or HTTPS, once somebody has accepted them: the doors, with Fastify behind them. */

import { type IncomingMessage, METHODS, type RequestListener, type Server } from 'node:http'
import type { Socket } from 'node:net'
import fastifyHttpProxy from '@fastify/http-proxy'
import Fastify, { type FastifyInstance } from 'fastify'
import { type Clock, systemClock } from '../base/clock.ts'
import type { Certificate, CertificateBinding } from '../model/certificate.ts'
import type { HostIndex } from '../routing/host-index.ts'
import type { Settings } from '../settings/table.ts'
import type { Log } from '../telemetry/log.ts'
import { ignoreError } from './connection-set.ts'
import { FastLane } from './fast-lane/fast-lane.ts'
import { createHttp1Door, type Http1Door } from './http1/http1-door.ts'
import { createHttp2Door } from './http2/http2-door.ts'
import type { IdleSource } from './idle-connection.ts'
import type { Proxy as GatewayProxy } from './proxy.ts'
import { createTlsFront } from './tls/tls-front.ts'

export type HttpFrontOptions = {
  /** As they are at the start; what may change while running is asked by the functions below. */
  settings: Settings
  proxy: GatewayProxy
  certificates: () => HostIndex<CertificateBinding> | undefined
  /** `https` alone needs it. */
  defaultCertificate: Certificate | undefined
  /** `settings.https.strictSni` as it is now; left out, as it was at the start. */
  strictSni?: () => boolean
  /** 32 bytes from which session ticket keys are made, so that all processes that have them resume each other's sessions; left out, Node makes its own. */
  ticketSecret?: Buffer
  clock?: Clock
  log: Log
}

export type HttpFront = IdleSource & {
  /** Before this resolves, no connection may come. */
  ready(): Promise<void>
  /** Takes a connection whose peer may shut down its side alone (`allowHalfOpen`), with bytes that were read put back into it. */
  accept(socket: Socket): void
  /** Closes connections that carry no request; the others when they have answered theirs. */
  drain(): void
  /** When its connections are closed. */
  close(): Promise<void>
}

/** Throws when the default certificate cannot be used. */
export function createHttpFront(scheme: 'http' | 'https', options: HttpFrontOptions): HttpFront {
  let doors: Doors | undefined
  const app = createFastify(options.proxy, (onRequest) => {
    doors = scheme === 'http' ? createHttp1Doors(options, 'http', onRequest) : createHttpsDoors(options, onRequest)
    return doors.server
  })
  if (!doors) throw new Error('Fastify did not ask for a server')
  const { accept, listConnections, drain, close } = doors
  return {
    ready: async () => {
      await app.ready()
    },
    accept,
    listConnections,
    drain,
    close: async () => {
      close()
      await app.close()
    },
  }
}

/** `server` is the one of node:http, which never listens. */
type Doors = Pick<Http1Door, 'server' | 'accept' | 'listConnections' | 'drain' | 'close'>

/** HTTP/1 and HTTP/2 are separate servers behind one TLS server, so that HTTP/1 keeps all of Node's checks. */
function createHttpsDoors(options: HttpFrontOptions, onRequest: RequestListener): Doors {
  const { settings, proxy, log, defaultCertificate, ticketSecret, clock = systemClock } = options
  if (!defaultCertificate) throw new Error('https needs a default certificate')
  const http1 = createHttp1Doors(options, 'https', onRequest)
  const http2 = createHttp2Door({ settings, proxy, clock, log })
  const accept = createTlsFront({
    settings,
    certificates: options.certificates,
    defaultCertificate,
    strictSni: options.strictSni ?? (() => settings.https.strictSni),
    ticketSecret,
    onHttp1: http1.accept,
    onHttp2: http2.accept,
    clock,
    log,
  })
  return {
    server: http1.server,
    accept,
    listConnections: function* () {
      yield* http1.listConnections()
      yield* http2.listConnections()
    },
    drain: () => {
      http1.drain()
      http2.drain()
    },
    close: http1.close,
  }
}

/** What takes HTTP/1 connections that another server accepted: the fast lane, with the door for all else behind it, or that door alone. */
function createHttp1Doors(
  { settings, proxy, clock = systemClock }: HttpFrontOptions,
  scheme: 'http' | 'https',
  onRequest: RequestListener,
): Doors {
  const door = createHttp1Door({ settings, proxy, onRequest, clock })
  if (!settings.fastLane.enabled) return door
  const lane = new FastLane({ settings, proxy, clock, scheme, handOver: door.accept })
  return {
    server: door.server,
    accept: (socket: Socket) => lane.accept(socket),
    listConnections: function* () {
      yield* lane.listConnections()
      yield* door.listConnections()
    },
    drain: () => {
      lane.drain()
      door.drain()
    },
    close: door.close,
  }
}

/**
 * Fastify with one catch-all that gives every request to the proxy as the client sent it. Fastify sees the target `/` and
 * methods without bodies only, so it refuses, decodes and parses nothing.
 */
function createFastify(proxy: GatewayProxy, createServer: (onRequest: RequestListener) => Server): FastifyInstance {
  const app = Fastify({
    serverFactory: (handler) => createServer(handler as RequestListener),
    rewriteUrl: () => '/',
    exposeHeadRoutes: false,
    return503OnClosing: false,
    forceCloseConnections: false,
    clientErrorHandler: ignoreError, // The HTTP/1 door listens itself.
  })
  // CONNECT never comes as a request: it has an event of its own.
  for (const method of METHODS) app.addHttpMethod(method, { hasBody: false, overrideExisting: true })
  app.register(fastifyHttpProxy, {
    upstream: '',
    replyOptions: { getUpstream: () => '' },
    proxyPayloads: false,
    httpMethods: METHODS,
    routes: ['/'],
    handler: (request, reply) => {
      reply.hijack()
      const raw = request.raw as IncomingMessage & { originalUrl: string }
      raw.url = raw.originalUrl
      proxy.handleRequest(raw, reply.raw)
      return reply
    },
  })
  return app
}
