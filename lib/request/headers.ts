/** The heads that the gateway writes, as text: the request's for the upstream and the answer's for the client. HOT */
import type { ResponseHead } from '../http1/response-head.ts'
import type { RequestContext } from './context.ts'
import { printDate } from './date.ts'
import { composeForwarded } from './forwarded-lines.ts'

/**
 * The whole head of the request as the upstream gets it; `upgrade` is the protocol asked for, if any, `hostLine` the Host line
 * of the endpoint, `''` where it is the client's. With `expectsContinue` the endpoint is to say whether it wants the body.
 */
export function composeRequestHead(
  context: RequestContext,
  upgrade: string | undefined,
  hostLine: string,
  expectsContinue: boolean,
): string {
  const { exchange, settings, id, authority, query } = context
  const { lines, host, contentLength, acceptsTrailers } = context.fields!
  // HTTP/1.1 wants a Host from everyone, an empty one where there is no authority (RFC 9112 §3.2).
  const fields =
    hostLine === '' && host === authority
      ? lines
      : `${hostLine || `Host: ${authority}\r\n`}${host === undefined ? lines : withoutHost(lines)}`
  const forwarded = composeForwarded(context, settings)
  const head = `${exchange.method} ${context.path!.path}${query} HTTP/1.1\r\n${fields}X-Request-Id: ${id}\r\n${forwarded}`
  let hop = ''
  if (upgrade !== undefined) hop = `Connection: Upgrade\r\nUpgrade: ${upgrade}\r\n`
  else if (acceptsTrailers) hop = 'TE: trailers\r\n'
  if (expectsContinue) hop += 'Expect: 100-continue\r\n'
  let framing = ''
  if (contentLength !== undefined) framing = `Content-Length: ${contentLength}\r\n`
  else if (exchange.hasBody) framing = 'Transfer-Encoding: chunked\r\n'
  else if (mayHaveBody(exchange.method)) framing = 'Content-Length: 0\r\n'
  return `${head}${hop}${framing}\r\n`
}

function withoutHost(lines: string): string {
  return lines.replace(/^host:[^\n]*\n/im, '')
}

/** RFC 9110 §8.6: methods that anticipate content say so when there is none. */
function mayHaveBody(method: string): boolean {
  switch (method) {
    case 'GET':
    case 'HEAD':
    case 'DELETE':
    case 'OPTIONS':
      return false
    default:
      return true
  }
}

/** The field lines of an upstream's answer as the client gets them; `now` in milliseconds since the epoch. */
export function composeAnswerLines(head: ResponseHead, id: string, now: number): string {
  const server = head.hasServer ? '' : 'Server: portico\r\n'
  const date = head.hasDate ? '' : `Date: ${printDate(now)}\r\n`
  return `${head.lines}${server}${date}X-Request-Id: ${id}\r\n`
}

/** The field lines that every answer of the gateway itself has. */
export function composeOwnLines(lines: string, id: string, now: number): string {
  return `${lines}Server: portico\r\nDate: ${printDate(now)}\r\nX-Request-Id: ${id}\r\n`
}

/** What an interim answer may tell the client: it is a hint of what the response will hold, so it holds no more than that (RFC 8297 §2). */
export function filterHints(headers: readonly string[]): readonly string[] {
  const kept: string[] = []
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at]!.toLowerCase()
    if (name === 'link' || name === 'content-security-policy') kept.push(headers[at]!, headers[at + 1]!)
  }
  return kept
}
