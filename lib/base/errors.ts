/** Failures of requests: the catalogue of codes, each with its status, the party at fault, and whether another try is safe. */
import { printDuration, sayBytes } from './measure.ts'

/** `downstream`: the client; `upstream`: an endpoint or its Service; `gateway`: Portico itself or its limits. */
export type Fault = 'downstream' | 'upstream' | 'gateway'
/** `always`: nothing of the request was sent; `idempotent`: only a method that may be repeated (RFC 9110 §9.2.2); `never`. */
export type Retry = 'always' | 'idempotent' | 'never'

/**
 * Every request failure Portico can answer with. `lib/base/codes.md` lists the same codes for people; a test holds the
 * two together. The sentence goes to the client: it names no address and repeats nothing the client sent.
 */
export const REQUEST_ERRORS = {
  PORTICO_REQ_MALFORMED: [400, 'downstream', 'never', 'The request is malformed.'],
  PORTICO_REQ_BAD_TARGET: [400, 'downstream', 'never', 'The request target is not allowed.'],
  PORTICO_REQ_BAD_PATH: [400, 'downstream', 'never', 'The request path is not allowed.'],
  PORTICO_REQ_BAD_HOST: [400, 'downstream', 'never', 'The Host header is missing or malformed.'],
  PORTICO_REQ_BAD_HEADER: [400, 'downstream', 'never', 'A request header is malformed or repeated.'],
  PORTICO_REQ_BAD_FRAMING: [400, 'downstream', 'never', 'The request body is not framed correctly.'],
  PORTICO_REQ_BAD_CODING: [400, 'downstream', 'never', 'The request body cannot be decompressed.'],
  PORTICO_REQ_UNAUTHORIZED: [401, 'downstream', 'never', 'A valid user name and password are needed.'],
  PORTICO_REQ_CLIENT_DENIED: [403, 'downstream', 'never', 'The address of the client is not allowed here.'],
  PORTICO_REQ_NO_ROUTE: [404, 'downstream', 'never', 'No route matches this host and path.'],
  PORTICO_REQ_METHOD_NOT_ALLOWED: [405, 'downstream', 'never', 'This method is not allowed here.'],
  PORTICO_REQ_TIMEOUT: [408, 'downstream', 'never', 'The request did not arrive in time.'],
  PORTICO_REQ_TOO_LARGE: [413, 'downstream', 'never', 'The request body is too large.'],
  PORTICO_REQ_TARGET_TOO_LONG: [414, 'downstream', 'never', 'The request target is too long.'],
  PORTICO_REQ_EXPECTATION: [417, 'downstream', 'never', 'The expectation cannot be met.'],
  PORTICO_REQ_TOO_MANY: [429, 'downstream', 'never', 'The client has too many requests under way.'],
  PORTICO_REQ_RATE_LIMITED: [429, 'downstream', 'never', 'The client sends too many requests.'],
  PORTICO_REQ_HEADERS_TOO_LARGE: [431, 'downstream', 'never', 'The request headers are too large.'],
  /** The client went away; 499 is nginx's status for the log alone. */
  PORTICO_REQ_ABORTED: [499, 'downstream', 'never', 'The client closed the request.'],
  PORTICO_UP_NO_SERVICE: [503, 'upstream', 'never', 'The service for this route is missing or cannot be used.'],
  PORTICO_UP_NO_ENDPOINTS: [503, 'upstream', 'never', 'The service has no endpoint ready.'],
  PORTICO_UP_AFFINITY_LOST: [503, 'upstream', 'never', 'The endpoint that holds this session is not available.'],
  PORTICO_UP_NAME_UNRESOLVED: [503, 'upstream', 'always', 'The service cannot be found at the moment.'],
  PORTICO_UP_ADDRESS_DENIED: [503, 'upstream', 'never', 'The service is not at an allowed address.'],
  PORTICO_UP_OVERLOADED: [503, 'upstream', 'always', 'The service is overloaded.'],
  PORTICO_UP_CIRCUIT_OPEN: [503, 'upstream', 'never', 'The service is failing and is given a pause.'],
  PORTICO_UP_CONNECT_REFUSED: [502, 'upstream', 'always', 'The service refused the connection.'],
  PORTICO_UP_CONNECT_FAILED: [502, 'upstream', 'always', 'The service cannot be reached.'],
  PORTICO_UP_CONNECT_TIMEOUT: [504, 'upstream', 'always', 'The service did not accept the connection in time.'],
  PORTICO_UP_TLS: [502, 'upstream', 'never', 'The connection to the service could not be secured.'],
  PORTICO_UP_RESET: [502, 'upstream', 'idempotent', 'The service closed the connection before answering.'],
  /** Tried again only if `retry.conditions` names `bad-answer`. */
  PORTICO_UP_BAD_RESPONSE: [502, 'upstream', 'idempotent', 'The service gave a malformed answer.'],
  /** Tried again only if the try had a time limit of its own (`tryTimeout`), below that of the whole answer. */
  PORTICO_UP_HEADERS_TIMEOUT: [504, 'upstream', 'idempotent', 'The service did not answer in time.'],
  /** The answer had begun: the client's connection or stream is cut, no status can be sent any more. */
  PORTICO_UP_TRUNCATED: [502, 'upstream', 'never', 'The answer of the service broke off.'],
  PORTICO_UP_STALLED: [504, 'upstream', 'never', 'The answer of the service stalled.'],
  PORTICO_GW_NOT_READY: [503, 'gateway', 'always', 'The gateway has no configuration yet.'],
  PORTICO_GW_GUARD_INVALID: [503, 'gateway', 'never', 'The service is not available.'],
  PORTICO_GW_GUARD_UNSUPPORTED: [503, 'gateway', 'never', 'The route asks for a check that the gateway cannot make.'],
  PORTICO_GW_AUTH_UNAVAILABLE: [503, 'gateway', 'never', 'The request cannot be authorized at the moment.'],
  PORTICO_GW_DESCRIPTORS: [503, 'gateway', 'never', 'The gateway is overloaded.'],
  PORTICO_GW_BUFFERS_FULL: [503, 'gateway', 'never', 'The gateway has no room for the request at the moment.'],
  PORTICO_GW_OVERLOADED: [503, 'gateway', 'never', 'The gateway is overloaded.'],
  PORTICO_GW_UNEXPECTED: [500, 'gateway', 'never', 'The gateway failed.'],
} as const satisfies Record<string, readonly [number, Fault, Retry, string]>

export type RequestErrorCode = keyof typeof REQUEST_ERRORS

export function statusOf(code: RequestErrorCode): number {
  return REQUEST_ERRORS[code][0]
}

/** True if the route is closed, since a guard of it cannot be honoured: all its requests are refused. */
export function isClosedBy(code: RequestErrorCode): boolean {
  return code === 'PORTICO_GW_GUARD_UNSUPPORTED' || code === 'PORTICO_GW_GUARD_INVALID'
}

/** What the answer to a failed request has beside what follows from the code. */
export type AnswerParts = Readonly<{
  /** In place of the code's status. */
  status?: number | undefined
  /** Seconds until another request may succeed, if that is known. */
  retryAfter?: number | undefined
  /** Field lines. */
  lines?: string
  /** In place of the code's sentence. */
  sentence?: string
}>

const NO_PARTS: AnswerParts = Object.freeze({})

/** The failure of one request. `detail` is for the log alone and may name addresses; a client sees `sentence`. */
export class GatewayError extends Error {
  readonly code: RequestErrorCode
  readonly status: number
  readonly fault: Fault
  readonly retry: Retry
  readonly sentence: string
  readonly detail: string
  readonly retryAfter: number | undefined
  readonly lines: string

  constructor(code: RequestErrorCode, detail: string = '', cause?: unknown, answer: AnswerParts = NO_PARTS) {
    // The stack would say nothing about the failure of a request, and capturing it costs more than the whole answer.
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    super(detail || code, cause === undefined ? undefined : { cause })
    Error.stackTraceLimit = stackTraceLimit
    const [status, fault, retry, sentence] = REQUEST_ERRORS[code]
    this.code = code
    this.status = answer.status ?? status
    this.fault = fault
    this.retry = retry
    this.sentence = answer.sentence ?? sentence
    this.detail = detail
    this.retryAfter = answer.retryAfter
    this.lines = answer.lines ?? ''
  }
}

/** The largest value of Retry-After, in seconds. */
const MAX_RETRY_AFTER = 60

/** `waitMs` is the time until a place may be free. */
export function overloaded(why: string, waitMs: number): GatewayError {
  const seconds = Math.min(Math.max(Math.ceil(waitMs / 1000), 1), MAX_RETRY_AFTER)
  return new GatewayError('PORTICO_UP_OVERLOADED', why, undefined, { retryAfter: seconds })
}

/** A body that is to be buffered cannot be. */
export function buffersFull(why: string): GatewayError {
  return new GatewayError('PORTICO_GW_BUFFERS_FULL', why, undefined, { retryAfter: 1 })
}

/** A body of more than `limit` bytes: the client is told the limit. */
export function tooLarge(limit: number, detail: string): GatewayError {
  const sentence = `The request body is too large: it may have at most ${sayBytes(limit)}.`
  return new GatewayError('PORTICO_REQ_TOO_LARGE', detail, undefined, { sentence })
}

/**
 * Why a request with a body of so many bytes is refused; undefined: it is not. The limit of the route goes before that of all
 * requests, and 0 is none.
 */
export function refuseBody(bytes: number, ofRoute: number, ofAll: number): GatewayError | undefined {
  const limit = ofRoute || ofAll
  if (limit === 0 || bytes <= limit) return undefined
  const which =
    ofRoute === 0
      ? `limits.bodyBytes (${sayBytes(limit)})`
      : `the body limit of the route (${sayBytes(limit)}: portico.dev/body-limit or upstream.bodyLimit)`
  return tooLarge(limit, `more than ${which}`)
}

/** A head with more than `limit` fields: the client is told the limit. */
export function tooManyFields(limit: number): GatewayError {
  const sentence = `The request headers are too large: there may be ${limit} fields.`
  const detail = `more than limits.headerCount (${limit})`
  return new GatewayError('PORTICO_REQ_HEADERS_TOO_LARGE', detail, undefined, { sentence })
}

/** A head of more than `limit` bytes: the client is told the limit. */
export function headTooLarge(limit: number): GatewayError {
  const sentence = `The request headers are too large: they may have at most ${sayBytes(limit)}.`
  const detail = `more than limits.headerBytes (${limit} bytes)`
  return new GatewayError('PORTICO_REQ_HEADERS_TOO_LARGE', detail, undefined, { sentence })
}

/** A head that did not come whole within so many milliseconds: the client is told the limit. */
export function headTooLate(limit: number, detail: string, cause?: unknown): GatewayError {
  const sentence = `The request did not arrive in time: its head may take ${printDuration(limit)}.`
  return new GatewayError('PORTICO_REQ_TIMEOUT', `${detail}: timeouts.requestHeaders (${limit} ms)`, cause, {
    sentence,
  })
}

/** A body that stood still, or was too slow, for so many milliseconds: the client is told the limit. */
export function bodyTooSlow(limit: number, detail: string): GatewayError {
  const sentence = `The request did not arrive in time: its body may pause for ${printDuration(limit)}.`
  return new GatewayError('PORTICO_REQ_TIMEOUT', detail, undefined, { sentence })
}

/** A client with so many requests under way is told how many it may have. */
export function tooManyUnderWay(limit: number, detail: string, answer: AnswerParts): GatewayError {
  const sentence = `The client has too many requests under way: it may have ${limit} at once.`
  return new GatewayError('PORTICO_REQ_TOO_MANY', detail, undefined, { ...answer, sentence })
}
