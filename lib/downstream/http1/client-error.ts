/** What node:http says of bytes that it cannot read as a request, as an error of a request. */
import { GatewayError, headTooLarge, headTooLate, type RequestErrorCode } from '../../base/errors.ts'
import { trailersTooLarge } from '../../request/trailers.ts'
import type { Settings } from '../../settings/table.ts'

/** An error of node:http's parser (`HPE_…`), of its timers (`ERR_HTTP_REQUEST_TIMEOUT`) or of the socket. */
export type ClientError = Error & { code?: string }

/** `isInBody`: the head of the request was read. Undefined: the connection is lost, so no answer can be sent. */
export function explainClientError(
  error: ClientError,
  isInBody: boolean,
  { limits, timeouts }: Settings,
): GatewayError | undefined {
  if (error.code === 'HPE_HEADER_OVERFLOW') return isInBody ? trailersTooLarge() : headTooLarge(limits.headerBytes)
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return headTooLate(timeouts.requestHeaders, error.message, error)
  const code = findCode(error.code)
  return code && new GatewayError(code, `${error.message} (${error.code})`, error)
}

function findCode(code: string | undefined): RequestErrorCode | undefined {
  switch (code) {
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return 'PORTICO_REQ_TOO_LARGE'
    case 'HPE_UNKNOWN_METHOD':
      return 'PORTICO_REQ_METHOD_NOT_ALLOWED'
    default:
      return code?.startsWith('HPE_') ? 'PORTICO_REQ_MALFORMED' : undefined
  }
}
