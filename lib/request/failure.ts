/** How a failed request is answered: the one place that turns a GatewayError into a response. */
import type { GatewayError } from '../base/errors.ts'
import { composeOwnLines } from './headers.ts'

export type FailureAnswer = Readonly<{
  status: number
  /** Field lines, without Content-Length. */
  lines: string
  body: Buffer
}>

/** The methods that are allowed everywhere. Others may be (WebDAV's, say); CONNECT and TRACE never are. */
export const ALLOW_LINE = 'Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n'

/** Seconds; sent with 503 of which nothing is known: they are over soon or not at all. */
const RETRY_AFTER = 1

/** JSON, or HTML where the client prefers it. Repeats nothing that the client sent, and names no address. `now` in milliseconds since the epoch. */
export function composeFailure(
  error: GatewayError,
  requestId: string,
  accept: string | undefined,
  now: number,
): FailureAnswer {
  const { status, retryAfter } = error
  const html = prefersHtml(accept)
  const body = Buffer.from(html ? printHtml(error, requestId) : printJson(error, requestId))
  let lines = `Content-Type: ${html ? 'text/html' : 'application/json'}; charset=utf-8\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n`
  const mayRetry = retryAfter !== undefined || status === 503 || status === 429
  if (mayRetry) lines += `Retry-After: ${retryAfter ?? RETRY_AFTER}\r\n`
  if (status === 405) lines += ALLOW_LINE
  lines += error.lines
  return { status, lines: composeOwnLines(lines, requestId, now), body }
}

/** Names text/html, and no JSON before it: what a browser's navigation sends. */
function prefersHtml(accept: string | undefined): boolean {
  if (accept === undefined) return false
  const html = accept.indexOf('text/html')
  const json = accept.search(/application\/(?:[\w.+-]*\+)?json/)
  return html >= 0 && (json < 0 || html < json)
}

function printJson(error: GatewayError, requestId: string): string {
  return `${JSON.stringify({ status: error.status, code: error.code, message: error.sentence, requestId })}\n`
}

/** A request id holds only letters, digits, dot, hyphen and underscore (request-id), so nothing needs escaping. */
function printHtml(error: GatewayError, requestId: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${error.status}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;margin:15vh auto;max-width:36rem;padding:0 1rem;color:#222}small{color:#666}</style>
<h1>${error.status}</h1>
<p>${error.sentence}</p>
<p><small>${error.code}<br>${requestId}</small></p>
</html>
`
}
