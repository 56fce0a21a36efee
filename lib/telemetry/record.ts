/** The records of a finished request and of a finished connection at L4. Access log and metrics read nothing else. */
import type { RequestErrorCode } from '../base/errors.ts'
import { createHider, type SecretNames } from '../base/redact.ts'
import type { CourseTeller } from './course.ts'

/** The names of a route in metrics and log; made once for each route of a snapshot, so that the object's identity can be a key. */
export type RouteLabels = Readonly<{
  /** `namespace/ingress`. */
  ingress: string
  /** The route's id. */
  route: string
  /** `namespace/service:port`; `''` if the route has no upstream. */
  upstream: string
}>

/** The reason for another try; `stale`: the endpoint was just closing the connection. */
export type RetryReason = 'connect-failure' | 'reset' | 'timeout' | 'bad-answer' | 'status' | 'stale'

/** The result of another try: an answer, another failure, the client had gone, or the budget did not allow it. */
export type RetryResult = 'answered' | 'failed' | 'aborted' | 'over-budget'

export type RetryOutcome = Readonly<{ reason: RetryReason; result: RetryResult }>

/** Written once by `request/handler` when a request ends in any way. Labels come from the configuration, never from the client. */
export type RequestRecord = Readonly<{
  id: string
  /** Milliseconds since the epoch at which the request head was complete. */
  startedAt: number
  durationMs: number
  /** Milliseconds until the upstream's response head; undefined if none came. */
  upstreamMs: number | undefined
  protocol: 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2.0'
  scheme: 'http' | 'https'
  method: string
  /** As the client sent it; the log escapes it. */
  authority: string
  target: string
  /** 499 if the client went away before a status was sent; 101 for a tunnel. */
  status: number
  /** Body bytes received from and sent to the client. */
  bytesIn: number
  bytesOut: number
  peerAddress: string
  /** From X-Forwarded-For of a trusted proxy, or the peer's address. */
  clientAddress: string
  userAgent: string | undefined
  /** Undefined if no route matched. */
  labels: RouteLabels | undefined
  /** `host:port` of the endpoint that answered or was tried last. */
  endpoint: string | undefined
  tries: number
  /** The results of tries after the first, and of those that the budget did not allow; undefined or empty if there were none. */
  retries: readonly RetryOutcome[] | undefined
  /** Set for every answer of the gateway itself, and for answers that broke off. */
  error: RequestErrorCode | undefined
  /** For the log alone: may name addresses. */
  detail: string | undefined
  tunnel: boolean
  /** The name of the filter that answered or refused it; undefined: none did. */
  filter: string | undefined
  /** False: the access log has no line of it. */
  isLogged: boolean
}>

/** What few readers of a record want of its request. It can be asked while the record is handed over, and not later. */
export type RequestFacts = {
  /** Undefined of a plain connection, and where the connection was gone before anybody asked. */
  readonly tls: Readonly<{ version: string; cipher: string; serverName: string }> | undefined
  /** The trace that it belongs to; undefined where neither the client nor the gateway says so. */
  readonly traceId: string | undefined
  /** `grpc-status` of the answer's trailers, or of its head. */
  readonly grpcStatus: string | undefined
  /** A field of the request's head, by its name in lower case. */
  field(name: string): string | undefined
}

/** Takes the record of each request that ends. `more` tells more of it as long as the call lasts; undefined where no request could be read. */
export type RequestObserver = (record: RequestRecord, more?: RequestFacts & CourseTeller) => void

/** When the request ended, milliseconds since the epoch. */
export function endOf({ startedAt, durationMs }: RequestRecord): number {
  return startedAt + durationMs
}

/** The record as others may see it: with what may be secret in its target hidden, and in its detail, which may repeat the target. */
export function hideSecrets(record: RequestRecord, keys: SecretNames): RequestRecord {
  const { target, detail } = record
  const hide = createHider(keys)
  return { ...record, target: hide(target), detail: detail === undefined ? undefined : hide(detail) }
}

/** Written once by `l4/relay` when a connection at an L4 port of a Service ends. */
export type ConnectionRecord = Readonly<{
  /** The listener's id. */
  listener: string
  clientAddress: string
  /** `host:port` of the endpoint that it was relayed to or that was tried last. */
  endpoint: string | undefined
  tries: number
  /** From and to the client. */
  bytesIn: number
  bytesOut: number
  durationMs: number
  /** The reason why it reached no endpoint. */
  error: RequestErrorCode | undefined
  /** For the log alone: may name addresses. */
  detail: string | undefined
}>
