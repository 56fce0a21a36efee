/** The life of a request: examine, route, forward, finish. Reads top to bottom; every protocol comes through here. HOT */
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { printHttpsUrl } from '../base/hostname.ts'
import { findHost, findInHost } from '../routing/table.ts'
import type { ServedRoute, Snapshot } from '../snapshot.ts'
import type { RequestRecord } from '../telemetry/record.ts'
import type { ResponseHead } from '../upstream/client.ts'
import { RequestContext } from './context.ts'
import type { Exchange } from './exchange.ts'
import { composeFailure } from './failure.ts'
import { Forwarding } from './forward.ts'
import { Http1Exchange } from './http1-exchange.ts'
import { Tunnel } from './upgrade.ts'

export type HandlerOptions = Readonly<{
  clock: Clock
  onFinish: (record: RequestRecord) => void
  isDraining: () => boolean
  /** Port of the HTTPS listener, for redirects. */
  httpsPort: () => number | undefined
}>

export class RequestHandler {
  readonly #options: HandlerOptions
  readonly #active = new Set<RequestContext>()
  readonly #tunnels = new Set<Tunnel>()
  readonly #idleWaiters: (() => void)[] = []

  constructor(options: HandlerOptions) {
    this.#options = options
  }

  /** Requests and tunnels. */
  get inFlight(): number {
    return this.#active.size
  }

  whenIdle(): Promise<void> {
    if (this.#active.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#idleWaiters.push(resolve))
  }

  closeTunnels(): void {
    for (const tunnel of this.#tunnels) tunnel.destroy()
  }

  /** Serves one request to its end. `upgrade` is the protocol that an eligible upgrade asks for. */
  handle(exchange: Exchange, snapshot: Snapshot, upgrade: string | undefined): RequestContext {
    const context = new RequestContext(exchange, snapshot, this.#options.clock)
    this.#active.add(context)
    exchange.onClose = (complete) => this.#finish(context, complete)
    context.onBroken = (error) => this.fail(context, error)
    try {
      this.#serve(context, upgrade)
    } catch (error) {
      this.fail(context, new GatewayError('PORTICO_GW_UNEXPECTED', describe(error), error))
    }
    return context
  }

  /** Answers a failure, or cuts the response if it has begun. */
  fail(context: RequestContext, error: GatewayError): void {
    const { exchange } = context
    context.error = error
    if (exchange.isHeadSent) {
      exchange.abort()
      return
    }
    const { status, headers, body } = composeFailure(error, context.id, context.fields?.accept)
    this.#answer(context, status, headers, body, mustClose(status))
  }

  #serve(context: RequestContext, upgrade: string | undefined): void {
    const refused = context.examine()
    if (refused) {
      this.fail(context, refused)
      return
    }
    const { table } = context.snapshot
    const host = findHost(table, context.hostname)
    if (host?.host.redirectToHttps && context.scheme === 'http') {
      this.#redirectToHttps(context)
      return
    }
    context.served = findInHost(table, host, context.path!.matchPath)
    if (!context.served) {
      this.fail(context, new GatewayError('PORTICO_REQ_NO_ROUTE'))
      return
    }
    this.#forward(context, context.served, upgrade)
  }

  #forward(context: RequestContext, served: ServedRoute, upgrade: string | undefined): void {
    const { action } = served.route
    if (action.type === 'unavailable' || !served.upstream) {
      const reason = action.type === 'unavailable' ? action.reason : 'the route has no upstream'
      const code =
        action.type === 'unavailable' && action.status === 404 ? 'PORTICO_REQ_NO_ROUTE' : 'PORTICO_UP_NO_SERVICE'
      this.fail(context, new GatewayError(code, reason))
      return
    }
    const forwarding = new Forwarding({
      context,
      pool: served.upstream,
      upgrade,
      isDraining: this.#options.isDraining,
      fail: (error) => this.fail(context, error),
      openTunnel: (head, headers, upstream, early) =>
        this.#openTunnel(context, head, headers, upstream, early, forwarding),
    })
    context.exchange.onClose = (complete) => {
      forwarding.close()
      this.#finish(context, complete)
    }
    forwarding.start()
  }

  #redirectToHttps(context: RequestContext): void {
    const { https } = context.settings
    const port = https.redirectPort || this.#options.httpsPort() || 443
    const location = printHttpsUrl(context.hostname, port, context.rawPath + context.query)
    this.#answer(
      context,
      308,
      ['Location', location, 'Content-Length', '0', 'Server', 'portico', 'X-Request-Id', context.id],
      undefined,
      false,
    )
  }

  #answer(
    context: RequestContext,
    status: number,
    headers: readonly string[],
    body: Buffer | undefined,
    close: boolean,
  ): void {
    const { exchange } = context
    context.status = status
    exchange.sendHead(status, STATUS_CODES[status] ?? '', headers, {
      close: close || exchange.offer !== undefined || this.#options.isDraining(),
      trailers: false,
    })
    if (body && exchange.method !== 'HEAD') {
      context.bytesOut = body.length
      exchange.write(body)
    }
    exchange.end([])
    if (this.#active.has(context) && exchange.pendingBytes > 0) {
      context.stall = setTimeout(() => exchange.abort(), context.settings.timeouts.writeStall)
    }
  }

  #openTunnel(
    context: RequestContext,
    head: ResponseHead,
    headers: readonly string[],
    upstream: Socket,
    early: Buffer,
    forwarding: Forwarding,
  ): void {
    const { exchange } = context
    if (!(exchange instanceof Http1Exchange) || !exchange.offer) throw new TypeError('only HTTP/1.1 can be upgraded')
    const client = exchange.takeSocket()
    context.tunnel = true
    let text = `HTTP/1.1 101 ${head.reason || 'Switching Protocols'}\r\nConnection: Upgrade\r\n`
    for (let at = 0; at < headers.length; at += 2) text += `${headers[at]}: ${headers[at + 1]}\r\n`
    client.write(`${text}\r\n`, 'latin1')
    if (early.length > 0) client.write(early)
    if (exchange.offer.early.length > 0) upstream.write(exchange.offer.early)
    const tunnel = new Tunnel(client, upstream, context.settings.timeouts.tunnelIdle, () => {
      this.#tunnels.delete(tunnel)
      context.bytesIn = tunnel.bytesIn + exchange.offer!.early.length
      context.bytesOut = tunnel.bytesOut
      forwarding.close()
      this.#finish(context, true)
    })
    this.#tunnels.add(tunnel)
  }

  #finish(context: RequestContext, complete: boolean): void {
    if (!this.#active.delete(context)) return
    clearTimeout(context.stall)
    this.#options.onFinish(context.record(complete))
    if (this.#active.size === 0) for (const resolve of this.#idleWaiters.splice(0)) resolve()
  }
}

/** After these the connection's framing is doubtful, or the client is to go. */
function mustClose(status: number): boolean {
  return status === 400 || status === 408 || status === 413 || status === 414 || status === 431
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
