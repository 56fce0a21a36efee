/** Fastify in front of the HTTP/1 door: one catch-all that gives every request to the gateway as the client sent it. */
import { type IncomingMessage, METHODS, type RequestListener, type Server, type ServerResponse } from 'node:http'
import fastifyHttpProxy from '@fastify/http-proxy'
import Fastify, { type FastifyInstance } from 'fastify'
import { NO_SCHEMAS } from '../../base/no-schemas.ts'
import { ignoreError } from '../connection-set.ts'

export type CatchAll = {
  readonly app: FastifyInstance
  /** Takes the requests of the server; not before `app` is ready. */
  readonly onRequest: RequestListener
}

/** Fastify sees the target `/` and methods without bodies only, so it refuses, decodes and parses nothing. */
export function createCatchAll(
  server: Server,
  serve: (request: IncomingMessage, response: ServerResponse) => void,
): CatchAll {
  let onRequest: RequestListener | undefined
  const app = Fastify({
    serverFactory: (handler) => {
      onRequest = handler as RequestListener
      return server
    },
    schemaController: NO_SCHEMAS,
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
      serve(raw, reply.raw)
      return reply
    },
  })
  if (!onRequest) throw new Error('Fastify did not ask for a server')
  return { app, onRequest }
}
