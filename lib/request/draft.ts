/** A request as it is to reach the upstream: composed once, and sent with each attempt. HOT */
import { findProxyVersion, type ProxyVersion } from '../base/proxy-protocol.ts'
import type { FilterChain } from '../filters/chain.ts'
import { FilterDraft, type StreamMaker } from '../filters/spec.ts'
import type { NameTraces } from '../http1/name-traces.ts'
import type { UpstreamPolicy } from '../settings/service.ts'
import type { ClientSide, UpstreamRequest } from '../upstream/transport/call.ts'
import { findConnectTimeout } from './connect-timeout.ts'
import type { RequestContext } from './context.ts'
import { composeForwarded } from './forwarded-lines.ts'

export class Draft implements UpstreamRequest {
  readonly client: ClientSide
  readonly proxyVersion: ProxyVersion | undefined
  readonly connectTimeout: number
  readonly method: string
  target: string
  authority: string
  lines: string
  addedLines: string
  readonly hostSetting: string
  readonly host: string | undefined
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
    const fields = context.fields!
    const { claims, host, contentLength, acceptsTrailers, authenticatesConnection } = fields
    this.client = exchange.connection
    this.proxyVersion = findProxyVersion(policy.proxyProtocol)
    this.connectTimeout = findConnectTimeout(policy, settings.timeouts.connect)
    this.method = exchange.method
    this.target = context.path!.path + query
    this.authority = context.authority
    // What a trusted proxy says besides is as much as what the client says.
    this.lines = context.told === undefined ? fields.lines : fields.lines + claims!.lines
    if (context.trace !== undefined) this.lines = context.trace.clean(this.lines)
    this.addedLines = `X-Request-Id: ${context.id}\r\n${composeForwarded(context, settings)}`
    this.hostSetting = policy.host
    this.host = host
    this.contentLength = contentLength
    this.hasBody = exchange.hasBody
    this.acceptsTrailers = acceptsTrailers
    this.upgrade = exchange.offer?.protocol
    this.authenticatesConnection = authenticatesConnection
    this.maxHeaderBytes = policy.headerBytes
    const { filters } = context.served!
    if (filters === undefined) return
    // The traces are those of the client's lines alone.
    const changed = this.#open(this.lines === fields.lines ? fields : undefined)
    filters.changeRequest(changed, context)
    this.#take(changed)
  }

  /** Has what the endpoint is told of the trace name the next try. */
  beginTry({ trace }: RequestContext): void {
    if (trace !== undefined) this.addedLines = trace.moveOn(this.addedLines)
  }

  /** Has the filters say what the body passes; undefined: nothing. */
  transformBody(filters: FilterChain, context: RequestContext): readonly StreamMaker[] | undefined {
    const changed = this.#open(undefined)
    const makers = filters.transformRequest(changed, context)
    this.#take(changed)
    return makers
  }

  /** The request as filters change it: one that no filter changes is spared it. */
  #open(traces: NameTraces | undefined): FilterDraft {
    return new FilterDraft(this.target, this.authority, this.lines, this.addedLines, traces)
  }

  #take({ target, authority, lines, addedLines }: FilterDraft): void {
    this.target = target
    this.authority = authority
    this.lines = lines
    this.addedLines = addedLines
  }
}
