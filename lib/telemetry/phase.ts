/** Where a request ended that did not go well, in one word. */
import type { RequestErrorCode } from '../base/errors.ts'
import type { RequestRecord } from './record.ts'

export type Phase =
  /** Its head or body was being read and checked. */
  | 'request'
  /** A route was looked for. */
  | 'route'
  /** A filter, or a limit of the gateway's, decided about it. */
  | 'filter'
  /** An endpoint was to be picked. */
  | 'pick'
  /** A connection to the endpoint was to be had. */
  | 'connect'
  /** The head of the answer was awaited. */
  | 'answer'
  /** The body of the answer was under way. */
  | 'body'

/** ABORTED is where it had come to. */
const PHASES: Readonly<Record<Exclude<RequestErrorCode, 'PORTICO_REQ_ABORTED'>, Phase>> = {
  PORTICO_REQ_MALFORMED: 'request',
  PORTICO_REQ_BAD_TARGET: 'request',
  PORTICO_REQ_BAD_PATH: 'request',
  PORTICO_REQ_BAD_HOST: 'request',
  PORTICO_REQ_BAD_HEADER: 'request',
  PORTICO_REQ_BAD_FRAMING: 'request',
  PORTICO_REQ_BAD_CODING: 'request',
  PORTICO_REQ_UNAUTHORIZED: 'filter',
  PORTICO_REQ_CLIENT_DENIED: 'filter',
  PORTICO_REQ_NO_ROUTE: 'route',
  PORTICO_REQ_METHOD_NOT_ALLOWED: 'request',
  PORTICO_REQ_TIMEOUT: 'request',
  PORTICO_REQ_TOO_LARGE: 'request',
  PORTICO_REQ_TARGET_TOO_LONG: 'request',
  PORTICO_REQ_EXPECTATION: 'request',
  PORTICO_REQ_TOO_MANY: 'filter',
  PORTICO_REQ_RATE_LIMITED: 'filter',
  PORTICO_REQ_HEADERS_TOO_LARGE: 'request',
  PORTICO_UP_NO_SERVICE: 'pick',
  PORTICO_UP_NO_ENDPOINTS: 'pick',
  PORTICO_UP_AFFINITY_LOST: 'pick',
  PORTICO_UP_NAME_UNRESOLVED: 'connect',
  PORTICO_UP_ADDRESS_DENIED: 'connect',
  PORTICO_UP_OVERLOADED: 'pick',
  PORTICO_UP_CIRCUIT_OPEN: 'pick',
  PORTICO_UP_CONNECT_REFUSED: 'connect',
  PORTICO_UP_CONNECT_FAILED: 'connect',
  PORTICO_UP_CONNECT_TIMEOUT: 'connect',
  PORTICO_UP_TLS: 'connect',
  PORTICO_UP_RESET: 'answer',
  PORTICO_UP_BAD_RESPONSE: 'answer',
  PORTICO_UP_HEADERS_TIMEOUT: 'answer',
  PORTICO_UP_TRUNCATED: 'body',
  PORTICO_UP_STALLED: 'body',
  PORTICO_GW_NOT_READY: 'route',
  PORTICO_GW_GUARD_INVALID: 'filter',
  PORTICO_GW_GUARD_UNSUPPORTED: 'filter',
  PORTICO_GW_AUTH_UNAVAILABLE: 'filter',
  PORTICO_GW_DESCRIPTORS: 'connect',
  PORTICO_GW_BUFFERS_FULL: 'request',
  PORTICO_GW_OVERLOADED: 'filter',
  PORTICO_GW_UNEXPECTED: 'request',
}

/** Undefined: the request went well. */
export function findPhase({ error, labels, endpoint, upstreamMs }: RequestRecord): Phase | undefined {
  if (error === undefined) return undefined
  if (error !== 'PORTICO_REQ_ABORTED') return PHASES[error]
  if (upstreamMs !== undefined) return 'body'
  if (endpoint !== undefined) return 'answer'
  return labels === undefined ? 'request' : 'pick'
}
