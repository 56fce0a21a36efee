/** The servers behind both gateways: endpoints, pages of errors, an auth server and the default backend, which record what they get. */
import { createServer, type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'
import type { Places } from './case.ts'

export type Seen = Readonly<{
  server: keyof Places
  method: string
  target: string
  /** Names and values in turn. */
  fields: readonly string[]
  body: string
}>

type Reply = Readonly<{ status: number; fields?: OutgoingHttpHeaders }>

/** What an endpoint answers, by the field `X-Reply` of the request. */
export const REPLIES = {
  well: { status: 200, fields: { Server: 'endpoint', 'X-Powered-By': 'node' } },
  cookies: {
    status: 200,
    fields: { 'Set-Cookie': ['a=1; Path=/app/; Domain=inner.test; HttpOnly', 'b=2; path=/; Secure', 'c=3'] },
  },
  inner: { status: 302, fields: { Location: 'http://inner.test/app/next?x=1' } },
  outer: { status: 301, fields: { Location: 'https://else.test/' } },
  path: { status: 303, fields: { Location: '/next' } },
  cors: { status: 200, fields: { 'Access-Control-Allow-Origin': 'https://wrong.test', 'X-Team': 'red' } },
  forbidden: { status: 403 },
  missing: { status: 404 },
  teapot: { status: 418 },
  broken: { status: 500 },
  busy: { status: 503, fields: { 'Retry-After': '7' } },
} satisfies Readonly<Record<string, Reply>>

export class Backend {
  /** In the order of their coming. */
  readonly seen: Seen[] = []

  async start(t: Test): Promise<Places> {
    const [web, pages, auth, nobody] = await Promise.all([
      this.#listen(t, 'web', (request) => REPLIES[(request.headers['x-reply'] ?? 'well') as keyof typeof REPLIES]),
      this.#listen(t, 'pages', (request) => ({
        status: Number(request.headers['x-code']),
        fields: { 'X-Page': 'yes' },
      })),
      this.#listen(t, 'auth', judge),
      this.#listen(t, 'nobody', () => ({ status: 404 })),
    ])
    return { web, pages, auth, nobody }
  }

  async #listen(t: Test, name: keyof Places, reply: (request: IncomingMessage) => Reply): Promise<number> {
    const server = createServer(async (request: IncomingMessage, response: ServerResponse) => {
      let body = ''
      request.setEncoding('latin1')
      for await (const piece of request) body += piece
      const { method = '', url = '', rawHeaders } = request
      this.seen.push({ server: name, method, target: url, fields: rawHeaders, body })
      const { status, fields = {} } = reply(request)
      const text = `answer of ${name}\n`
      response.writeHead(status, { 'Content-Type': 'text/plain', 'Content-Length': text.length, ...fields })
      response.end(method === 'HEAD' ? '' : text)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.teardown(() => {
      server.closeAllConnections()
      server.close()
    })
    return (server.address() as AddressInfo).port
  }
}

/** The auth server's answer, which the request's field `X-Key` decides. */
function judge(request: IncomingMessage): Reply {
  const cookie = { 'Set-Cookie': 'session=fresh; Path=/' }
  switch (request.headers['x-key']) {
    case 'in':
      return { status: 202, fields: { 'X-User': 'anna', 'X-Groups': 'a,b', ...cookie } }
    case 'bare':
      return { status: 200 }
    case 'no':
      return { status: 403 }
    case 'broken':
      return { status: 500 }
    default:
      return { status: 401, fields: { 'WWW-Authenticate': 'Bearer realm="auth"', ...cookie } }
  }
}
