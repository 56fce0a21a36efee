/** The head of a request as an endpoint of HTTP/1.1 gets it. HOT */
import type { UpstreamRequest } from './call.ts'

/** `hostLine` is the Host line that the endpoint has of its own, `''` where the client's authority is passed on. */
export function composeRequestHead(request: UpstreamRequest, hostLine: string): string {
  const { method, target, authority, host, lines, addedLines, contentLength, upgrade } = request
  // HTTP/1.1 wants a Host from everyone, an empty one where there is no authority (RFC 9112 §3.2).
  const fields =
    hostLine === '' && host === authority
      ? lines
      : `${hostLine || `Host: ${authority}\r\n`}${host === undefined ? lines : withoutHost(lines)}`
  const head = `${method} ${target} HTTP/1.1\r\n${fields}${addedLines}`
  let hop = ''
  if (upgrade !== undefined) hop = `Connection: Upgrade\r\nUpgrade: ${upgrade}\r\n`
  else if (request.acceptsTrailers) hop = 'TE: trailers\r\n'
  if (request.expectsContinue) hop += 'Expect: 100-continue\r\n'
  let framing = ''
  if (contentLength !== undefined) framing = `Content-Length: ${contentLength}\r\n`
  else if (request.hasBody) framing = 'Transfer-Encoding: chunked\r\n'
  else if (mayHaveBody(method)) framing = 'Content-Length: 0\r\n'
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
