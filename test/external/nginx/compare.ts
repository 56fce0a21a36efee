/** What a client and the servers behind a gateway saw of one request, in words that do not depend on the gateway; and where two differ. */
import { connectRaw, type RawResponse } from '../../helpers/raw-client.ts'
import type { Backend, Seen } from './backend.ts'
import type { AskedFor, Case } from './case.ts'

/** By what was seen: `outcome` is the status, who answered, and who was asked. */
export type Sight = ReadonlyMap<string, string>

export type Difference = Readonly<{ case: Case; request: AskedFor; key: string; nginx: string; portico: string }>

/** Of the connection, or of the moment. */
const NOT_COMPARED =
  /^(?:connection|keep-alive|date|transfer-encoding|content-length|etag|last-modified|accept-ranges|host-port)$/

export async function look(port: number, { host }: Case, request: AskedFor, backend: Backend): Promise<Sight> {
  const before = backend.seen.length
  const client = await connectRaw(port, request.from === undefined ? {} : { localAddress: request.from })
  let response: RawResponse
  try {
    response = await client.send(printRequest(host, request)).response({ headOnly: request.method === 'HEAD' })
  } finally {
    client.destroy()
  }
  // What the default backend says, Portico says itself (G10).
  const seen = backend.seen.slice(before).filter(({ server }) => server !== 'nobody')
  return describe(response, request, request.host ?? host, seen)
}

export function printRequest(host: string, request: AskedFor): string {
  const { method = 'GET', target, fields = [], body, isChunked = false } = request
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const head = `${method} ${target} HTTP/1.1\r\nHost: ${request.host ?? host}\r\n${lines}`
  if (body === undefined) return `${head}\r\n`
  if (!isChunked) return `${head}Content-Length: ${body.length}\r\n\r\n${body}`
  return `${head}Transfer-Encoding: chunked\r\n\r\n${body === '' ? '' : `${body.length.toString(16)}\r\n${body}\r\n`}0\r\n\r\n`
}

function describe(response: RawResponse, request: AskedFor, host: string, seen: readonly Seen[]): Sight {
  const body = response.body.toString('latin1')
  const by =
    /^answer of (\w+)\n$/.exec(body)?.[1] ?? (request.method === 'HEAD' || body === '' ? 'nobody knows' : 'gateway')
  const isOwn = by === 'gateway' || !seen.some(({ server }) => server !== 'auth')
  const sight = new Map([
    [
      'outcome',
      `${response.status}${isOwn ? '' : ` by ${by}`}, asked: ${seen.map(({ server }) => server).join(' ') || 'none'}`,
    ],
  ])
  for (const [name, value] of gather(response.headers)) {
    // ingress-nginx takes the name of nginx out (G13), which needs a module.
    if (name === 'server' && value.startsWith('nginx')) continue
    // An answer that the gateway makes has a body of its own.
    if (isOwn && /^(?:content-type|vary|retry-after|cache-control|x-content-type-options)$/.test(name)) continue
    sight.set(
      `answer ${name}`,
      name === 'location' ? readLocation(value, host) : name === 'set-cookie' ? readCookie(value) : value,
    )
  }
  const asked = request.fields?.some(([name]) => name.toLowerCase() === 'x-request-id')
  for (const { server, method, target, fields, body } of seen) {
    sight.set(`${server} request`, `${method} ${target}`)
    if (body !== '') sight.set(`${server} body`, String(body.length))
    for (const [name, value] of gather(fields))
      sight.set(`${server} ${name}`, name === 'x-request-id' && !asked ? String(value.length) : value)
  }
  return sight
}

/** Names in lower case, with all their values. */
function gather(fields: readonly string[]): ReadonlyMap<string, string> {
  const gathered = new Map<string, string>()
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!.toLowerCase()
    if (NOT_COMPARED.test(name)) continue
    const before = gathered.get(name)
    gathered.set(name, before === undefined ? fields[at + 1]! : `${before} | ${fields[at + 1]!}`)
  }
  return gathered
}

/**
 * A reference that is relative leads to the same place (RFC 9110 section 10.2.2). The nginx of this test cannot
 * encode the URL to come back to; the nginx of ingress-nginx can.
 */
function readLocation(location: string, host: string): string {
  const whole = /^\/(?!\/)/.test(location) ? `http://${host}${location}` : location
  return whole.replace(/(?<=[?&](?:rd|back)=).*$/, (back) =>
    /^https?:\/\/[^/]*\//.test(back) ? back : decodeURIComponent(back),
  )
}

/** Names of attributes have no case (RFC 6265 section 5.2). */
function readCookie(cookie: string): string {
  return cookie.replace(/; ([A-Za-z]+)/g, (attribute) => attribute.toLowerCase())
}

/** Where the outcomes differ, nothing else is worth a word. */
export function compare(found: Case, request: AskedFor, nginx: Sight, portico: Sight): readonly Difference[] {
  const keys =
    nginx.get('outcome') === portico.get('outcome') ? new Set([...nginx.keys(), ...portico.keys()]) : ['outcome']
  return [...keys]
    .filter((key) => nginx.get(key) !== portico.get(key))
    .map((key) => ({ case: found, request, key, nginx: nginx.get(key) ?? '-', portico: portico.get(key) ?? '-' }))
}

export function printDifference(difference: Difference): string {
  const { case: found, request, key, nginx, portico } = difference
  const { nginx: annotations, paths } = Object.values(found.ingresses)[0]!
  const head = printRequest(found.host, request).split('\r\n\r\n')[0]!.split('\r\n').join(' | ')
  return `${found.area}: ${key}: nginx ${nginx}, Portico ${portico}\n  ${head}${request.from ? ` from ${request.from}` : ''}\n  ${JSON.stringify(annotations)} ${JSON.stringify(paths)}`
}

/** The text with the dot segments of its path resolved (RFC 3986 section 5.2.4). */
export function resolveDots(text: string): string {
  const [, before = '', target = ''] = /^([^/].*?[^/:]|)(\/(?!\/).*)$/.exec(text) ?? []
  const { pathname, search } = new URL(`http://x${target}`)
  return `${before}${pathname}${search}`
}
