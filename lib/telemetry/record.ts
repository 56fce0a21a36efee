/** What is known of one finished request: the access log and the metrics both read it, and nothing else; the same of a connection that nobody reads. */
import type { RequestErrorCode } from '../base/errors.ts'

/** What metrics and log call a route; made once for each route of a snapshot, so that its identity stands for it. */
export type RouteLabels = Readonly<{
  /** `namespace/ingress`. */
  ingress: string
  /** The route's id. */
  route: string
  /** `namespace/service:port`; `''` where the route leads nowhere. */
  upstream: string
}>

/** What came of a try, that another was made; `stale`: it went on a connection that the endpoint was just closing. */
export type RetryReason = 'connect-failure' | 'reset' | 'timeout' | 'status' | 'stale'

/** What came of a further try: an answer; another failure; the client went away meanwhile; it was not allowed at all. */
export type RetryResult = 'answered' | 'failed' | 'aborted' | 'over-budget'

export type RetryOutcome = Readonly<{ reason: RetryReason; result: RetryResult }>

/** Written once by `request/handler` when a request ends, however it ends. Labels come from configuration, never from the client. */
export type RequestRecord = Readonly<{
  id: string
  /** Milliseconds since the epoch at which the request head was complete. */
  startedAt: number
  durationMs: number
  /** Until the upstream's response head; undefined where none came. */
  upstreamMs: number | undefined
  protocol: 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2.0'
  scheme: 'http' | 'https'
  method: string
  /** As the client sent it; the log escapes it. */
  authority: string
  target: string
  /** 499 when the client went away before a status was sent; 101 for a tunnel. */
  status: number
  /** Body bytes received from and sent to the client. */
  bytesIn: number
  bytesOut: number
  peerAddress: string
  /** From X-Forwarded-For of trusted proxies, else the peer. */
  clientAddress: string
  userAgent: string | undefined
  /** Undefined where no route matched. */
  labels: RouteLabels | undefined
  /** `host:port` of the endpoint that answered, or was tried last. */
  endpoint: string | undefined
  tries: number
  /** What came of the tries beyond the first; undefined where there were none. */
  retries: readonly RetryOutcome[] | undefined
  /** Set for every answer the gateway itself made, and for answers that broke off. */
  error: RequestErrorCode | undefined
  /** For the log alone: may name addresses. */
  detail: string | undefined
  tunnel: boolean
}>

/** Written once by `l4/relay` when a connection at a Service's port ends of which only bytes were seen. */
export type ConnectionRecord = Readonly<{
  /** The listener's id. */
  listener: string
  clientAddress: string
  /** `host:port` of the endpoint it was passed on to, or that was tried last. */
  endpoint: string | undefined
  tries: number
  /** From and to the client. */
  bytesIn: number
  bytesOut: number
  durationMs: number
  /** Why it came to no endpoint. */
  error: RequestErrorCode | undefined
  /** For the log alone: may name addresses. */
  detail: string | undefined
}>
