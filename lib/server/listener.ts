/** One port: a Fastify instance over the front server that holds the doors, with its connections, drain and close. */

import { type IncomingMessage, METHODS, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, createServer, type Server as NetServer, type Socket } from 'node:net'
import fastifyHttpProxy from '@fastify/http-proxy'
import Fastify, { type FastifyInstance } from 'fastify'
import { type Clock, systemClock } from '../base/clock.ts'
import type { Certificate, CertificateBinding } from '../model/certificate.ts'
import type { Proxy as GatewayProxy } from '../proxy/proxy.ts'
import type { HostIndex } from '../routing/host-index.ts'
import type { Settings } from '../settings-table.ts'
import type { Log } from '../telemetry/log.ts'
import { LogThrottle } from '../telemetry/log-throttle.ts'
import { ConnectionSet, ignoreError } from './connection-set.ts'
import { FastLane } from './fast-lane.ts'
import { createHttp1Door, type Http1Door } from './http1-door.ts'
import { createHttp2Door } from './http2-door.ts'
import { createTlsFront } from './tls-front.ts'

export type ListenerOptions = {
  name: 'http' | 'https'
  /** As they are at the start; what may change while running is asked by the functions below. */
  settings: Settings
  proxy: GatewayProxy
  certificates: () => HostIndex<CertificateBinding> | undefined
  /** `https` alone needs it. */
  defaultCertificate: Certificate | undefined
  /** `settings.https.strictSni` as it is now; left out, as it was at the start. */
  strictSni?: () => boolean
  /** A bound TCP handle to listen on, in place of address and port: another process holds the port. */
  handle?: object
  /** 32 bytes from which session ticket keys are made, so that all processes that have them resume each other's sessions; left out, Node makes its own. */
  ticketSecret?: Buffer
  clock?: Clock
  log: Log
}

export type Listener = {
  readonly name: 'http' | 'https'
  /** Rejects with Node's error: its `code` is EADDRINUSE, EACCES … */
  listen(): Promise<{ address: string; port: number }>
  /** Takes no more connections, closes those that carry no request, and lets the others finish. */
  drain(): void
  /** Cuts what is left; resolves when all is closed. */
  close(): Promise<void>
  readonly connections: number
}

/** What stands between the port and Fastify. */
type Front = {
  /** What listens. */
  server: NetServer
  drain(): void
  close(): void
}

/** Throws when the default certificate cannot be used. */
export function createListener(options: ListenerOptions): Listener {
  const { name, settings, log } = options
  const connections = new ConnectionSet()
  let front: Front | undefined
  const app = createFastify(options.proxy, (onRequest) => {
    front = name === 'http' ? createHttpFront(options, onRequest) : createHttpsFront(options, onRequest)
    return front.server
  })
  if (!front) throw new Error('Fastify did not ask for a server')
  const { server, drain: drainDoors, close: closeDoors } = front

  const throttle = new LogThrottle(options.clock ?? systemClock)
  server.prependListener('connection', (socket) => connections.add(socket))
  server.on('error', (error) => {
    // Before that, whoever called `listen` is told.
    if (server.listening) log.error({ err: error, listener: name }, 'listener failed')
  })
  if (settings.limits.connections > 0) server.maxConnections = settings.limits.connections
  server.on('drop', () => {
    if (throttle.admit('drop')) log.warn({ listener: name }, 'connections refused: limits.connections is reached')
  })

  let isDraining = false
  const drain = () => {
    if (isDraining) return
    isDraining = true
    // Not Fastify's close, which would set a header on every answer from now on, past the proxy.
    server.close()
    drainDoors()
  }

  return {
    name,
    listen: async () => {
      const { address, port } = settings[name]
      if (options.handle) {
        await app.ready()
        await listenOnHandle(server, options.handle)
      } else await listenOn(app, address, port)
      const bound = server.address() as AddressInfo
      return { address: bound.address, port: bound.port }
    },
    drain,
    close: async () => {
      drain()
      connections.destroy()
      closeDoors()
      await app.close()
    },
    get connections() {
      return connections.size
    },
  }
}

function createHttpFront(options: ListenerOptions, onRequest: RequestListener): Front {
  const { settings, proxy } = options
  if (!settings.fastLane.enabled) return createHttp1Door({ settings, proxy, onRequest, detached: false })
  const http1 = createHttp1Front(options, 'http', onRequest)
  // Half open: a client that sends FIN after its request still gets its answer (SL-08).
  const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, http1.accept)
  return { server, drain: http1.drain, close: http1.close }
}

/** HTTP/1 and HTTP/2 are separate servers behind one TLS server, so that HTTP/1 keeps all of Node's checks. */
function createHttpsFront(options: ListenerOptions, onRequest: RequestListener): Front {
  const { settings, proxy, log, defaultCertificate, ticketSecret, clock = systemClock } = options
  if (!defaultCertificate) throw new Error('https needs a default certificate')
  const http1 = createHttp1Front(options, 'https', onRequest)
  const http2 = createHttp2Door({ settings, proxy, clock, log })
  const server = createTlsFront({
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
    server,
    drain: () => {
      http1.drain()
      http2.drain()
    },
    close: http1.close,
  }
}

/** What takes HTTP/1 connections that another server accepted: the fast lane, with the door for all else behind it, or that door alone. */
function createHttp1Front(
  { settings, proxy, clock = systemClock }: ListenerOptions,
  scheme: 'http' | 'https',
  onRequest: RequestListener,
): Pick<Http1Door, 'accept' | 'drain' | 'close'> {
  const door = createHttp1Door({ settings, proxy, onRequest, detached: true })
  if (!settings.fastLane.enabled) return door
  const lane = new FastLane({ settings, proxy, clock, scheme, handOver: door.accept })
  return {
    accept: (socket: Socket) => lane.accept(socket),
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
function createFastify(proxy: GatewayProxy, createServer: (onRequest: RequestListener) => NetServer): FastifyInstance {
  const app = Fastify({
    // The front of the HTTPS listener is a TLS server; Fastify only calls listen, address, close and on.
    serverFactory: (handler) => createServer(handler as RequestListener) as Server,
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

/** `::` is every address, also where the machine has no IPv6. */
async function listenOn(app: FastifyInstance, host: string, port: number): Promise<void> {
  try {
    await app.listen({ host, port })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (host !== '::' || (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL')) throw error
    await app.listen({ host: '0.0.0.0', port })
  }
}

function listenOnHandle(server: NetServer, handle: object): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(handle, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
