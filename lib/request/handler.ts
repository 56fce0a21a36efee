/** The life of a request: examine, route, forward, finish. Reads top to bottom; every protocol comes through here. HOT */
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Clock } from '../base/clock.ts'
import { contain, containing, type Victim } from '../base/contain.ts'
import { DeadlineWatch } from '../base/deadline.ts'
import { GatewayError, isClosedBy, statusOf, tooManyUnderWay } from '../base/errors.ts'
import { ClientCount, PerClient } from '../base/per-client.ts'
import { SecondGate } from '../base/second-gate.ts'
import type { FilterChain } from '../filters/chain.ts'
import { type FilterAnswer, PendingOutcome } from '../filters/spec.ts'
import { describeNearest } from '../routing/nearest-route.ts'
import { findHost, findInHost, type HostRoutes } from '../routing/table.ts'
import type { ServedHost, ServedRoute, ServedTable, Snapshot } from '../snapshot/snapshot.ts'
import type { RequestObserver } from '../telemetry/record.ts'
import { findAsked } from './answer.ts'
import { RequestContext } from './context.ts'
import { type Exchange, NOBODY } from './exchange.ts'
import { composeExplainLines } from './explain-lines.ts'
import { ALLOW_LINE, composeFailure } from './failure.ts'
import { FilterWait } from './filter-wait.ts'
import { Forward, type ForwardOwner } from './forward.ts'
import { isTrustedPeer } from './forwarded.ts'
import { composeOwnLines } from './headers.ts'
import { type MirrorOptions, Mirrors } from './mirrors.ts'
import { OwnAnswer, type WholeAnswer } from './own-answer.ts'
import { askForPage } from './page-call.ts'
import { chooseRequestId } from './request-id.ts'
import type { Spools } from './spools.ts'
import { Tunnel } from './tunnel.ts'

export type HandlerOptions = Readonly<{
  /** The snapshot in force; undefined before the first configuration. */
  snapshot: () => Snapshot | undefined
  clock: Clock
  spools: Spools
  onFinish: RequestObserver
  /** A copy of a request, which was for this upstream, is over, or was not made. */
  onMirrored?: MirrorOptions['onResult']
  isDraining: () => boolean
  /** Whether it is the token of the admin listener; left out: there is none. */
  isAdminToken?: (token: string) => boolean
}>

const MOST_NEAREST = 20

type FoundHost = HostRoutes<ServedRoute, ServedHost>

export class RequestHandler implements ForwardOwner {
  readonly deadlines: DeadlineWatch
  readonly mirrors: Mirrors
  readonly #options: HandlerOptions
  readonly #tunnels = new Set<Tunnel>()
  readonly #idleWaiters: (() => void)[] = []
  readonly #clients = new PerClient(() => new ClientCount())
  /** What is nearest to a request without a route is looked for so often in a second: it may take a millisecond. */
  readonly #nearGate = new SecondGate(MOST_NEAREST)
  #inFlight = 0
  #streams = 0

  constructor(options: HandlerOptions) {
    this.#options = options
    const { clock, onMirrored = () => {} } = options
    this.deadlines = new DeadlineWatch(clock)
    this.mirrors = new Mirrors({ clock, deadlines: this.deadlines, onResult: onMirrored })
  }

  /** Requests under way that share a connection: those whose protocol has a place of its own for the authority. */
  get streams(): number {
    return this.#streams
  }

  /** Requests and tunnels. */
  get inFlight(): number {
    return this.#inFlight
  }

  get tunnels(): number {
    return this.#tunnels.size
  }

  get isDraining(): boolean {
    return this.#options.isDraining()
  }

  get spools(): Spools {
    return this.#options.spools
  }

  whenIdle(): Promise<void> {
    if (this.#inFlight === 0) return Promise.resolve()
    return new Promise((resolve) => this.#idleWaiters.push(resolve))
  }

  /** Cuts tunnels, and copies of requests. */
  close(): void {
    for (const tunnel of this.#tunnels) tunnel.destroy()
    this.mirrors.close()
  }

  /** Serves one request to its end. */
  handle(exchange: Exchange): void {
    const snapshot = this.#options.snapshot()
    const { clock, isAdminToken } = this.#options
    const context = new RequestContext(exchange, snapshot, clock, this.deadlines, isAdminToken)
    this.#inFlight++
    if (exchange.hasOwnAuthority) this.#streams++
    try {
      if (exchange.connection.isLost) this.#drop(context)
      else if (snapshot) this.#serve(context)
      else this.fail(context, new GatewayError('PORTICO_GW_NOT_READY'))
    } catch (thrown) {
      contain('request', thrown, new Unbegun(this, context))
    }
  }

  /** The client is gone: an answer would reach nobody, and no endpoint could be told the client's address. */
  #drop(context: RequestContext): void {
    context.error = new GatewayError('PORTICO_REQ_ABORTED', 'the client had gone before the request was read')
    context.exchange.events = new OwnAnswer(this, context)
    context.exchange.abort()
  }

  /** Answers a failure, or cuts the response if it has begun. */
  fail(context: RequestContext, error: GatewayError): void {
    const { exchange } = context
    context.error = error
    if (context.id === '') context.id = chooseRequestId(undefined)
    if (exchange.isHeadSent) {
      exchange.abort()
      return
    }
    const now = this.#options.clock.now()
    const failure = composeFailure(error, context.id, context.fields?.accept, now)
    if (mustClose(error)) this.#answer(context, failure, true)
    else this.answerError(context, failure)
  }

  /** Answers an error, with the page of a Service where one is asked for it. */
  answerError(context: RequestContext, error: WholeAnswer): void {
    const asked = findAsked(context, error.status)
    if (asked === undefined) {
      this.#answer(context, error, false)
      return
    }
    const pending = askForPage(context, asked, error)
    new FilterWait(context, pending, {
      resume: (found) => this.#answer(context, (found as WholeAnswer | undefined) ?? error, false),
      fail: () => this.#answer(context, error, true),
      finish: () => this.finish(context, false),
    }).start()
  }

  finish(context: RequestContext, complete: boolean): void {
    if (context.isFinished) return
    context.isFinished = true
    this.#inFlight--
    if (context.exchange.hasOwnAuthority) this.#streams--
    this.#leaveClient(context)
    context.releaseLeases()
    if (this.#inFlight === 0) for (const resolve of this.#idleWaiters.splice(0)) resolve()
    this.#options.onFinish(context.record(complete), context)
  }

  openTunnel(forward: Forward, client: Socket, upstream: Socket, early: Buffer): void {
    const { context } = forward
    const offer = context.exchange.offer!
    const { timeouts } = context.settings
    context.tunnel = true
    this.#leaveClient(context)
    if (early.length > 0) client.write(early)
    if (offer.early.length > 0) upstream.write(offer.early)
    const onClose = () => {
      this.#tunnels.delete(tunnel)
      context.bytesIn = tunnel.bytesIn + offer.early.length
      context.bytesOut = tunnel.bytesOut
      forward.onClose(true)
    }
    const contained = containing('relay', forward, onClose)
    const tunnel = new Tunnel(client, upstream, forward.tunnelIdle, timeouts, contained)
    this.#tunnels.add(tunnel)
  }

  #serve(context: RequestContext): void {
    const refused = context.examine() ?? this.#enterClient(context)
    if (refused) {
      this.fail(context, refused)
      return
    }
    if (context.isServerWide) {
      const lines = composeOwnLines(ALLOW_LINE, context.id, this.#options.clock.now())
      this.#answer(context, { status: 200, lines, body: undefined }, false)
      return
    }
    const table = context.listener?.table
    const host = table && findHost(table, context.hostname)
    if (host?.host.filters === undefined) this.#route(context, table, host)
    else this.#ask(context, host.host.filters, 0, host)
  }

  #route(context: RequestContext, table: ServedTable | undefined, host: FoundHost | undefined): void {
    this.#forward(context, table && findInHost(table, host, context.path!.matchPath, context))
  }

  #enterClient(context: RequestContext): GatewayError | undefined {
    const { settings, clientAddress } = context
    const { requestsPerClient } = settings.limits
    if (requestsPerClient === 0 || isTrustedPeer(clientAddress, settings)) return undefined
    const requests = this.#clients.find(context.clientNetwork)
    if (requests.value >= requestsPerClient) {
      const detail = `${requests.value} are under way: limits.requestsPerClient (${requestsPerClient})`
      return tooManyUnderWay(requestsPerClient, detail, { retryAfter: 1 })
    }
    requests.value++
    context.clientRequests = requests
    return undefined
  }

  #leaveClient(context: RequestContext): void {
    if (context.clientRequests === undefined) return
    context.clientRequests.value--
    context.clientRequests = undefined
  }

  #forward(context: RequestContext, served: ServedRoute | undefined): void {
    if (!served) {
      const near = this.#nearGate.admits(context.startedAt) ? describeNearest(context.listener?.table, context) : ''
      this.fail(context, new GatewayError('PORTICO_REQ_NO_ROUTE', near))
      return
    }
    context.served = served
    // Else it is found in the turn in which the request came.
    if (context.filterWaits !== undefined) context.matchedAt = this.#options.clock.monotonic()
    // Before any filter, so that none waits for a request that is refused all the same.
    const refused = context.refuseBody(context.fields!.contentLength ?? 0)
    if (refused) {
      this.fail(context, refused)
      return
    }
    const { filters } = served
    if (filters === undefined || filters.ofRequest.length === 0 || isClosed(served)) this.#send(context, served)
    else this.#ask(context, filters, 0, undefined)
  }

  /** Asks the filters, from one on, whether the request goes on; `host` is there where they are those of the host. */
  #ask(context: RequestContext, chain: FilterChain, from: number, host: FoundHost | undefined): void {
    const filters = chain.ofRequest
    if (from === 0) context.noteAsked(chain)
    for (let at = from; at < filters.length; at++) {
      const outcome = filters[at]!.request(context)
      if (outcome === undefined) continue
      if (!(outcome instanceof PendingOutcome)) {
        context.noteStop(chain, at)
        this.#conclude(context, outcome)
        return
      }
      const wait = context.beginWait(chain, at)
      const stop = () => {
        context.endWait(wait)
        context.noteStop(chain, at)
      }
      new FilterWait(context, outcome, {
        resume: (found) => {
          if (found === undefined) {
            context.endWait(wait)
            this.#ask(context, chain, at + 1, host)
            return
          }
          stop()
          this.#conclude(context, found)
        },
        fail: (error) => {
          stop()
          this.fail(context, error)
        },
        finish: () => {
          stop()
          this.finish(context, false)
        },
      }).start()
      return
    }
    if (host !== undefined) this.#route(context, context.listener?.table, host)
    else this.#send(context, context.served!)
  }

  #conclude(context: RequestContext, outcome: FilterAnswer | GatewayError): void {
    if (outcome instanceof GatewayError) {
      this.fail(context, outcome)
      return
    }
    const lines = composeOwnLines(outcome.lines, context.id, this.#options.clock.now())
    this.#answer(context, { ...outcome, lines }, false)
  }

  #send(context: RequestContext, served: ServedRoute): void {
    if (served.upstream && served.policy) {
      new Forward(this, context, served.upstream, served.policy).start()
    } else this.fail(context, explainUnavailable(served))
  }

  #answer(context: RequestContext, answer: WholeAnswer, close: boolean): void {
    const { exchange } = context
    const { status, body } = answer
    const lines = answer.lines + composeExplainLines(context, status)
    context.status = status
    const head = {
      status,
      isOwn: context.error !== undefined || context.attempts === undefined,
      reason: STATUS_CODES[status] ?? '',
      lines,
      contentLength: findLength(answer),
      close: close || exchange.offer !== undefined || this.isDraining,
      trailers: false,
    }
    new OwnAnswer(this, context).send(head, body)
  }
}

function isClosed({ action }: ServedRoute): boolean {
  return action.type === 'unavailable' && isClosedBy(action.code)
}

/** The length that the answer declares. One with status 204 or 304 has neither a body nor a length of its own (RFC 9110 §8.6). */
function findLength(answer: WholeAnswer): number | undefined {
  const { status, body } = answer
  if (status === 204 || status === 304) return undefined
  return 'contentLength' in answer ? answer.contentLength : (body?.length ?? 0)
}

function explainUnavailable({ action }: ServedRoute): GatewayError {
  if (action.type === 'forward') return new GatewayError('PORTICO_UP_NO_SERVICE', 'the route has no upstream')
  return new GatewayError(action.code, action.reason)
}

/** After these the connection's framing is doubtful, or the client is to go. */
function mustClose({ code }: GatewayError): boolean {
  switch (statusOf(code)) {
    case 400:
    case 408:
    case 413:
    case 414:
    case 431:
      return true
    default:
      return code === 'PORTICO_GW_NOT_READY'
  }
}

/** A request that was not begun properly. */
class Unbegun implements Victim {
  readonly #handler: RequestHandler
  readonly #context: RequestContext

  constructor(handler: RequestHandler, context: RequestContext) {
    this.#handler = handler
    this.#context = context
  }

  breakOff(error: GatewayError): void {
    const { exchange } = this.#context
    if (exchange.events === NOBODY) this.#handler.fail(this.#context, error)
    else exchange.events.breakOff(error)
  }
}
