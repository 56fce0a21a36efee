/** A request as it is to reach the upstream: composed once, and sent with each attempt. HOT */
import { findProxyVersion, type ProxyVersion } from '../base/proxy-protocol.ts'
import type { FilterDraft } from '../filters/spec.ts'
import type { UpstreamPolicy } from '../settings/service.ts'
import type { ClientSide, UpstreamRequest } from '../upstream/transport/call.ts'
import { findConnectTimeout } from './connect-timeout.ts'
import type { RequestContext } from './context.ts'
import { composeForwarded } from './forwarded-lines.ts'

export class Draft implements UpstreamRequest, FilterDraft {
  readonly client: ClientSide
  readonly proxyVersion: ProxyVersion | undefined
  readonly connectTimeout: number
  readonly method: string
  target: string
  authority: string
  readonly hostSetting: string
  readonly host: string | undefined
  lines: string
  addedLines: string
  contentLength: number | undefined
  readonly hasBody: boolean
  readonly acceptsTrailers: boolean
  readonly upgrade: string | undefined
  readonly authenticatesConnection: boolean
  readonly maxHeaderBytes: number
  /** True until the client has been asked for its body. */
  expectsContinue: boolean = false

  /** `policy` is the route's policy. */
  constructor(context: RequestContext, policy: UpstreamPolicy) {
    const { exchange, settings, query } = context
    const { lines, claims, host, contentLength, acceptsTrailers, authenticatesConnection } = context.fields!
    this.client = exchange.connection
    this.proxyVersion = findProxyVersion(policy.proxyProtocol)
    this.connectTimeout = findConnectTimeout(policy, settings.timeouts.connect)
    this.method = exchange.method
    this.target = context.path!.path + query
    this.authority = context.authority
    this.hostSetting = policy.host
    this.host = host
    // What a trusted proxy says besides is as much as what the client says.
    this.lines = context.told === undefined ? lines : lines + claims!.lines
    this.addedLines = `X-Request-Id: ${context.id}\r\n${composeForwarded(context, settings)}`
    this.contentLength = contentLength
    this.hasBody = exchange.hasBody
    this.acceptsTrailers = acceptsTrailers
    this.upgrade = exchange.offer?.protocol
    this.authenticatesConnection = authenticatesConnection
    this.maxHeaderBytes = policy.headerBytes
    context.served!.filters?.changeRequest(this, context)
  }
}
