/** One port: a Fastify instance over the front server that holds the doors, with its connections, drain and close. */

import { type IncomingMessage, METHODS, type RequestListener, type Server } from 'node:http'
import type { AddressInfo, Server as NetServer } from 'node:net'
import fastifyHttpProxy from '@fastify/http-proxy'
import Fastify, { type FastifyInstance, type FastifyListenOptions } from 'fastify'
import { type Clock, systemClock } from '../base/clock.ts'
import type { Certificate, CertificateBinding } from '../model/certificate.ts'
import type { Proxy as GatewayProxy } from '../proxy/proxy.ts'
import type { HostIndex } from '../routing/host-index.ts'
import type { Settings } from '../settings-table.ts'
import type { Log } from '../telemetry/log.ts'
import { LogThrottle } from '../telemetry/log-throttle.ts'
import { ConnectionSet, ignoreError } from './connection-set.ts'
import { createHttp1Door } from './http1-door.ts'
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
  /** A socket bound by another process, to be listened on; left out: one of its own. */
  handle?: object
  /** What TLS session tickets are sealed with, shared by processes that serve one port; left out: a secret of its own. */
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
      await listenOn(app, address, port, options.handle)
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

function createHttpFront({ settings, proxy }: ListenerOptions, onRequest: RequestListener): Front {
  return createHttp1Door({ settings, proxy, onRequest, detached: false })
}

/** HTTP/1 and HTTP/2 are separate servers behind one TLS server, so that HTTP/1 keeps all of Node's checks. */
function createHttpsFront(options: ListenerOptions, onRequest: RequestListener): Front {
  const { settings, proxy, log, defaultCertificate, ticketSecret, clock = systemClock } = options
  if (!defaultCertificate) throw new Error('https needs a default certificate')
  const http1 = createHttp1Door({ settings, proxy, onRequest, detached: true })
  const http2 = createHttp2Door({ settings, proxy, clock, log })
  const server = createTlsFront({
    settings,
    certificates: options.certificates,
    defaultCertificate,
    strictSni: options.strictSni ?? (() => settings.https.strictSni),
    ...(ticketSecret && { ticketSecret }),
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
async function listenOn(app: FastifyInstance, host: string, port: number, handle?: object): Promise<void> {
  if (handle) {
    // Fastify hands its options on to Node, which listens on a `handle` among them and on nothing else.
    await app.listen({ host, port, handle } as FastifyListenOptions)
    return
  }
  try {
    await app.listen({ host, port })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (host !== '::' || (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL')) throw error
    await app.listen({ host: '0.0.0.0', port })
  }
}
