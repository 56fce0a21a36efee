/** Trailers that travel on, in either direction. HOT */
import { GatewayError } from '../base/errors.ts'
import { sayBytes } from '../base/measure.ts'
import { isFieldValue, isToken } from '../http1/bytes.ts'
import { MAX_TRAILER_BYTES, MAX_TRAILERS } from '../http1/chunked-decoder.ts'
import { END_TO_END, HOP_BY_HOP, isForwardingClaim } from '../http1/field-names.ts'
import type { Settings } from '../settings/table.ts'

/** What a trailer may not say (RFC 9110 §6.5.1): framing, routing, identity and how to read the body. */
const NOT_IN_TRAILERS = new Set([
  ...HOP_BY_HOP,
  ...END_TO_END,
  'expect',
  'max-forwards',
  'content-range',
  'x-request-id',
  'x-portico-explain',
])

/** The trailers of a request that travel on, names and values in turn; or why it is refused. The decoder of chunks has the same bounds, other doors have none. */
export function readTrailers(
  trailers: readonly string[],
  { underscoresInHeaders }: Settings,
): readonly string[] | GatewayError {
  if (trailers.length === 0) return trailers
  if (trailers.length > 2 * MAX_TRAILERS) return trailersTooLarge()
  const kept: string[] = []
  let bytes = 0
  for (let at = 0; at + 1 < trailers.length; at += 2) {
    const name = trailers[at]!
    const value = trailers[at + 1]!
    bytes += name.length + value.length + 4
    if (name.includes('_')) {
      if (underscoresInHeaders === 'reject') {
        return new GatewayError('PORTICO_REQ_BAD_HEADER', 'the name of a trailer contains an underscore')
      }
      // CGI-like servers read the name as the one with hyphens, so it may say no more than that.
      if (underscoresInHeaders === 'drop' || !mayTravel(name.replaceAll('_', '-'), value)) continue
    }
    if (mayTravel(name, value)) kept.push(name, value)
  }
  return bytes > MAX_TRAILER_BYTES ? trailersTooLarge() : kept
}

/** Too many trailers, or too large ones: the client is told both limits, which no setting changes. */
export function trailersTooLarge(): GatewayError {
  const limits = `${MAX_TRAILERS} of them, with ${sayBytes(MAX_TRAILER_BYTES)} together`
  const sentence = `The trailers of the request are too large: there may be ${limits}.`
  return new GatewayError('PORTICO_REQ_HEADERS_TOO_LARGE', `trailers: more than ${limits}`, undefined, { sentence })
}

/** The trailers of an endpoint's answer that travel on. */
export function filterTrailers(trailers: readonly string[]): readonly string[] {
  if (trailers.length === 0) return trailers
  const kept: string[] = []
  for (let at = 0; at + 1 < trailers.length; at += 2) {
    if (mayTravel(trailers[at]!, trailers[at + 1]!)) kept.push(trailers[at]!, trailers[at + 1]!)
  }
  return kept
}

function mayTravel(name: string, value: string): boolean {
  const lower = name.toLowerCase()
  if (NOT_IN_TRAILERS.has(lower) || isForwardingClaim(lower)) return false
  // A trailer that no codec can write would break off a message that is whole apart from it.
  return isToken(name) && isFieldValue(value)
}
