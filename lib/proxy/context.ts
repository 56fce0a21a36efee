/** One request as everything behind the door sees it: checked once, in one canonical form. HOT */
import { METHODS } from 'node:http'
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { parseAuthority } from '../base/hostname.ts'
import { type NormalPath, normalizePath } from '../base/path.ts'
import type { Settings } from '../settings-table.ts'
import type { ServedRoute, Snapshot } from '../snapshot.ts'
import type { RequestRecord } from '../telemetry/record.ts'
import type { EndpointState } from '../upstream/endpoint.ts'
import type { Exchange } from './exchange.ts'
import { type RequestFields, readFields } from './fields.ts'
import { findClientAddress, findClientScheme, isTrustedPeer } from './forwarded.ts'
import { chooseRequestId } from './request-id.ts'
import { parseTarget } from './target.ts'

const KNOWN_METHODS = new Set(METHODS)

export class RequestContext {
  readonly exchange: Exchange
  /** Taken once: the whole request is served by it. */
  readonly snapshot: Snapshot
  readonly settings: Settings
  readonly clock: Clock
  readonly startedAt: number
  readonly startedMonotonic: number
  id: string = chooseRequestId(undefined)
  /** Undefined until the fields were read and found good. */
  fields: RequestFields | undefined
  /** Host as sent, or what overrides it (absolute-form, `:authority`). */
  authority: string = ''
  /** Normal form of the authority, for matching. */
  hostname: string = ''
  path: NormalPath | undefined
  /** `''` or `?…`, as sent. */
  query: string = ''
  /** The path as sent. */
  rawPath: string = ''
  trustedPeer: boolean = false
  clientAddress: string
  scheme: 'http' | 'https'
  served: ServedRoute | undefined
  endpoint: EndpointState | undefined
  tries: number = 0
  upstreamMs: number | undefined
  bytesIn: number = 0
  bytesOut: number = 0
  status: number = 0
  error: GatewayError | undefined
  tunnel: boolean = false
  /** Cuts a client that takes nothing of an answer the gateway itself made. */
  stall: NodeJS.Timeout | undefined
  /** How a failure from outside (a parser error on the connection) reaches whoever serves the request. */
  onBroken: ((error: GatewayError) => void) | undefined

  constructor(exchange: Exchange, snapshot: Snapshot, clock: Clock) {
    this.exchange = exchange
    this.snapshot = snapshot
    this.settings = snapshot.settings
    this.clock = clock
    this.startedAt = clock.now()
    this.startedMonotonic = clock.monotonic()
    this.clientAddress = exchange.connection.peerAddress
    this.scheme = exchange.connection.scheme
  }

  /** Checks the request and fills what matching and forwarding need; the reason when it is refused. */
  examine(): GatewayError | undefined {
    const { exchange, settings } = this
    if (exchange.target.length > settings.limits.targetBytes) {
      return new GatewayError('PORTICO_REQ_TARGET_TOO_LONG', `${exchange.target.length} bytes`)
    }
    const fields = readFields(exchange, settings)
    if (fields instanceof GatewayError) return fields
    this.fields = fields
    this.id = fields.requestId === undefined ? this.id : chooseRequestId(fields.requestId)
    const { peerAddress } = exchange.connection
    this.trustedPeer = isTrustedPeer(peerAddress, settings)
    if (this.trustedPeer) {
      this.clientAddress = findClientAddress(peerAddress, fields.forwardedFor, settings)
      this.scheme = findClientScheme(exchange.connection.scheme, fields.forwardedProto)
    }
    return (
      this.#examineTarget(fields) ??
      (fields.expect !== undefined && fields.expect.toLowerCase() !== '100-continue'
        ? new GatewayError('PORTICO_REQ_EXPECTATION', fields.expect)
        : undefined) ??
      (settings.limits.bodyBytes > 0 && (fields.contentLength ?? 0) > settings.limits.bodyBytes
        ? new GatewayError('PORTICO_REQ_TOO_LARGE', `Content-Length ${fields.contentLength}`)
        : undefined)
    )
  }

  #examineTarget(fields: RequestFields): GatewayError | undefined {
    const { exchange, settings } = this
    // Methods are case-sensitive (RFC 9110 §9.1), and HTTP/2 lets any token come this far.
    if (exchange.method === 'CONNECT' || !KNOWN_METHODS.has(exchange.method)) {
      return new GatewayError('PORTICO_REQ_METHOD_NOT_ALLOWED', exchange.method)
    }
    const http2 = exchange.protocol === 'HTTP/2.0'
    const target = parseTarget(exchange.target)
    // RFC 9113 §8.3.1: `:path` holds no authority.
    if (!target || (http2 && target.authority !== undefined)) {
      return new GatewayError('PORTICO_REQ_BAD_TARGET', exchange.target)
    }
    const authority = target.authority ?? exchange.authority ?? fields.host
    if (authority === undefined && exchange.protocol !== 'HTTP/1.0') {
      return new GatewayError('PORTICO_REQ_BAD_HOST', 'there is none')
    }
    // A Host that the target overrides must still be one (RFC 9112 §3.2).
    if (fields.host !== undefined && fields.host !== authority && !parseAuthority(fields.host)) {
      return new GatewayError('PORTICO_REQ_BAD_HOST', fields.host)
    }
    if (
      http2 &&
      exchange.authority !== undefined &&
      fields.host !== undefined &&
      !isSame(exchange.authority, fields.host)
    ) {
      return new GatewayError('PORTICO_REQ_BAD_HOST', `:authority ${exchange.authority}, host ${fields.host}`)
    }
    const parsed = parseAuthority(authority ?? '')
    if (!parsed) return new GatewayError('PORTICO_REQ_BAD_HOST', authority)
    const path = normalizePath(target.path, settings.paths.encodedSlash)
    if (!path || (target.query !== '' && !isCleanQuery(target.query))) {
      return new GatewayError('PORTICO_REQ_BAD_PATH', exchange.target)
    }
    this.authority = authority ?? ''
    this.hostname = parsed.hostname
    this.rawPath = target.path
    this.path = path
    this.query = target.query
    return undefined
  }

  /** What is known when the request has ended; `complete` is false when the client went away or was cut. */
  record(complete: boolean): RequestRecord {
    const { exchange, served, fields } = this
    const error = this.error?.code ?? (complete ? undefined : 'PORTICO_REQ_ABORTED')
    const route = served?.route
    return {
      id: this.id,
      startedAt: this.startedAt,
      durationMs: this.clock.monotonic() - this.startedMonotonic,
      upstreamMs: this.upstreamMs,
      protocol: exchange.protocol,
      scheme: exchange.connection.scheme,
      method: exchange.method,
      authority: this.authority === '' ? (exchange.authority ?? fields?.host ?? '') : this.authority,
      target: exchange.target,
      status: this.status === 0 ? 499 : this.status,
      bytesIn: this.bytesIn,
      bytesOut: this.bytesOut,
      peerAddress: exchange.connection.peerAddress,
      clientAddress: this.clientAddress,
      userAgent: fields?.userAgent,
      ingress: route && `${route.ingress.namespace}/${route.ingress.name}`,
      route: route?.id,
      upstream: served?.upstream?.upstream.key,
      endpoint: this.endpoint?.label,
      tries: this.tries,
      error,
      detail: this.error?.detail || undefined,
      tunnel: this.tunnel,
    }
  }
}

function isSame(authority: string, host: string): boolean {
  return authority.toLowerCase() === host.toLowerCase()
}

/** Spaces and control bytes would break the request line that goes to the upstream. */
function isCleanQuery(query: string): boolean {
  return !/[\x00-\x20\x7f]/.test(query)
}
