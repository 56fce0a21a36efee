/**
 * Where one request goes: to which endpoint, when all are full into the queue, after a failure to another one, until its time
 * is over. What is sent and what comes back is the forwarder's (forward.ts). HOT
 */
import { contain, type Victim } from '../base/contain.ts'
import { type DeadlineWatch, type Timed, UNWATCHED } from '../base/deadline.ts'
import { GatewayError } from '../base/errors.ts'
import type { UpstreamPolicy } from '../settings/service.ts'
import type { RetryReason } from '../telemetry/record.ts'
import type { ClientShare, Holder } from '../upstream/choice/client-share.ts'
import type { UpstreamPool } from '../upstream/choice/pool.ts'
import type { QueuedRequest } from '../upstream/choice/request-queue.ts'
import type { EndpointState } from '../upstream/endpoint/endpoint.ts'
import type { RequestContext } from './context.ts'
import { Retries } from './retries.ts'
import { decideRetry, isRetriedStatus, leadsElsewhere } from './retry.ts'

const NOBODY: readonly EndpointState[] = Object.freeze([])
/** A try that no circuit breaker watches. */
const NO_TICKET = -1

export abstract class Tries implements QueuedRequest, Holder, Victim {
  readonly context: RequestContext
  isHeld: boolean = false
  /** Found as it begins, and after a backoff: one in which there is nothing may be another object by then. */
  share!: ClientShare
  before: Holder | undefined = undefined
  after: Holder | undefined = undefined
  /** The whole request is served by it. */
  protected readonly policy: UpstreamPolicy
  protected pool: UpstreamPool
  /** Where the try under way is made. */
  protected endpoint: EndpointState | undefined = undefined
  readonly #deadlines: DeadlineWatch
  /** One for each try. */
  #tried: readonly EndpointState[] = NOBODY
  /** When the try under way began, by the monotonic clock. */
  #triedAt: number
  /** The circuit breaker's, for the try under way. */
  #ticket: number = NO_TICKET
  #isWaiting = false
  /** The endpoint has yet to answer the try under way. */
  #isUnanswered = false
  #backoff: NodeJS.Timeout | undefined = undefined
  /** The limit of all tries together. */
  #total: Timed | undefined = undefined

  constructor(deadlines: DeadlineWatch, context: RequestContext, pool: UpstreamPool, policy: UpstreamPolicy) {
    this.#deadlines = deadlines
    this.context = context
    this.pool = pool
    this.policy = policy
    this.#triedAt = context.startedMonotonic
  }

  abstract breakOff(error: GatewayError): void
  /** Has the request sent to the endpoint. */
  protected abstract connect(endpoint: EndpointState): void
  /** Whether all that may have been sent of it can be sent again. */
  protected abstract canRepeat(): boolean
  /** Whether it is the client that does not get on. */
  protected abstract get waitsForClient(): boolean
  /** Lets go of the try under way, and has the client pause. */
  protected abstract dropTry(): void
  /** It waits in the queue, `ms` at most. */
  protected abstract onWait(ms: number): void
  /** It waits no longer. */
  protected abstract onWaited(): void
  /** Beyond what came of its client meanwhile, milliseconds. */
  abstract stalledFor(now: number): number
  /** Its client is too slow for a place that others want. */
  abstract giveWay(): void
  /** There is no other try. */
  protected abstract fail(error: GatewayError): void

  /** Has all tries together, and what goes before them, come to an answer in time. */
  protected limitTries(): void {
    const { timeout } = this.policy.retry
    if (timeout > 0) this.#limit(this.context.startedMonotonic + timeout)
  }

  /** The first try, or a wait for it. */
  protected begin(): void {
    this.#findShare()
    this.pool.budget.count(this.context.startedMonotonic)
    // Who came before goes before.
    if (this.pool.queue.isOrdered || !this.#try()) this.#wait()
  }

  onOvertaken(error: GatewayError): void {
    this.#isWaiting = false
    this.fail(error)
  }

  onTurn(): boolean {
    this.pool = this.pool.latest
    this.#triedAt = this.context.clock.monotonic()
    return this.#try()
  }

  /** Whether another endpoint can be asked in place of the one that is being connected to. */
  givesUp(): boolean {
    const { context, policy, pool } = this
    return this.canRepeat() && leadsElsewhere({ context, policy, pool, tried: this.#tried })
  }

  /** There is no connection. */
  protected failConnect(error: GatewayError): void {
    const isOver = isNobodyThere(error) && this.policy.retry.tryTimeout === 0
    const mayRepeat = error.retry === 'always' && (!isOver || this.givesUp())
    this.failTry(error, mayRepeat ? 'connect-failure' : undefined)
  }

  /** `reason` is undefined where another try is out of the question. */
  protected failTry(error: GatewayError, reason: RetryReason | undefined): void {
    this.endpoint!.recordFailure(error)
    if (error.fault !== 'gateway') this.#settle(false)
    const delay = reason === undefined ? -1 : this.#decide(reason)
    if (delay < 0) this.fail(error)
    else this.#tryAgain(reason!, error.detail, delay)
  }

  /** Whether an answer is left aside for another try. `now` by the monotonic clock. */
  protected retryStatus(status: number, now: number): boolean {
    if (!isRetriedStatus(status, this.policy.retry)) return false
    const delay = this.#decide('status')
    if (delay < 0) return false
    const { label } = this.endpoint!
    this.#record(status, now)
    this.#tryAgain('status', `${label} answered ${status}`, delay)
    return true
  }

  /** The answer goes to the client: there is nothing more to try. */
  protected settleAnswer(status: number, now: number): void {
    this.#record(status, now)
    this.#endLimit()
    this.context.retries?.end('answered')
  }

  /** Nothing is to be tried any more. */
  protected endTries(): void {
    this.leaveEndpoint()
    this.#endLimit()
    if (this.#isWaiting) this.#leaveQueue()
    if (this.#backoff !== undefined) clearTimeout(this.#backoff)
  }

  /** The connection leads to another address of the same name than was chosen: from here on the try counts there. */
  protected moveTo(endpoint: EndpointState): void {
    this.#hear()
    this.endpoint?.end()
    endpoint.begin()
    this.#ask(endpoint)
    this.endpoint = endpoint
    this.context.endpoint = endpoint
    this.#tried = [...this.#tried.slice(0, -1), endpoint]
  }

  protected leaveEndpoint(): void {
    if (!this.endpoint) return
    this.pool.shares.release(this.share, this)
    this.#hear()
    this.endpoint.end()
    this.endpoint = undefined
    if (this.#ticket === NO_TICKET) return
    this.pool.circuit?.abandon(this.#ticket)
    this.#ticket = NO_TICKET
  }

  /** False where all endpoints are full. */
  #try(): boolean {
    const { circuit, shares } = this.pool
    if (!shares.admits(this.share)) {
      this.isHeld = true
      return false
    }
    let ticket = NO_TICKET
    if (circuit !== undefined) {
      const admitted = circuit.admit(this.context.clock.monotonic())
      if (admitted instanceof GatewayError) {
        this.fail(admitted)
        return true
      }
      ticket = admitted
    }
    const picked = this.#pick()
    if (picked instanceof GatewayError) {
      circuit?.abandon(ticket)
      if (picked.code === 'PORTICO_UP_OVERLOADED') {
        this.isHeld = this.pool.hasRoom
        return false
      }
      this.fail(picked)
      return true
    }
    if (this.#isWaiting) {
      this.#leaveQueue()
      this.onWaited()
    }
    this.#ticket = ticket
    this.#tried = this.#tried.length === 0 ? [picked] : [...this.#tried, picked]
    this.endpoint = picked
    this.context.endpoint = picked
    this.context.tries++
    shares.hold(this.share, this)
    picked.begin()
    this.#ask(picked)
    this.connect(picked)
    return true
  }

  /** The one that the client is known to by its connection; one that was not tried, else not the one that failed last, else whichever there is. */
  #pick(): EndpointState | GatewayError {
    const { privates } = this.context.exchange.connection
    const known = privates && this.#tried.length === 0 ? privates.findEndpoint(this.pool) : undefined
    if (known !== undefined) return known
    const picked = this.pool.pick(this.context, this.#tried)
    const { length } = this.#tried
    if (length === 0 || !(picked instanceof GatewayError)) return picked
    const other = this.pool.pick(this.context, [this.#tried[length - 1]!])
    return other instanceof GatewayError ? this.pool.pick(this.context, NOBODY) : other
  }

  /** Waits until an endpoint has room. */
  #wait(): void {
    const { maxQueue, queueTimeout } = this.policy
    const refused = this.pool.queue.enter(this, maxQueue, queueTimeout)
    if (refused) {
      this.fail(refused)
      return
    }
    this.#isWaiting = true
    this.onWait(queueTimeout)
  }

  #leaveQueue(): void {
    this.pool.queue.leave(this)
    this.#isWaiting = false
  }

  #decide(reason: RetryReason): number {
    const { context, policy, pool } = this
    if (context.exchange.isHeadSent || !this.canRepeat()) return -1
    return decideRetry({ context, policy, pool, tried: this.#tried, reason })
  }

  #tryAgain(reason: RetryReason, failure: string, delayMs: number): void {
    const { context } = this
    this.leaveEndpoint()
    this.dropTry()
    context.retries ??= new Retries()
    context.retries.begin(reason, failure)
    if (delayMs === 0) this.#onBackoff()
    else this.#backoff = setTimeout(() => this.#onBackoff(), delayMs)
  }

  #onBackoff(): void {
    this.#backoff = undefined
    this.#findShare()
    try {
      if (!this.onTurn()) this.#wait()
    } catch (thrown) {
      contain('queue', thrown, this)
    }
  }

  #findShare(): void {
    this.share = this.pool.shares.find(this.context.clientNetwork)
  }

  #ask(endpoint: EndpointState): void {
    this.#isUnanswered = true
    endpoint.ask()
  }

  #hear(): void {
    if (!this.#isUnanswered) return
    this.#isUnanswered = false
    this.endpoint?.hear()
  }

  #record(status: number, now: number): void {
    this.#hear()
    this.endpoint?.recordAnswer(status, now - this.#triedAt)
    this.#settle(status < 500)
  }

  #settle(isGood: boolean): void {
    if (this.#ticket === NO_TICKET) return
    this.pool.circuit?.settle(this.#ticket, isGood, this.context.clock.monotonic())
    this.#ticket = NO_TICKET
  }

  #limit(at: number): void {
    this.#total = {
      deadlineAt: at,
      watchIndex: UNWATCHED,
      onDeadline: () => this.#onLimit(),
      breakOff: (error) => this.breakOff(error),
    }
    this.#deadlines.add(this.#total)
  }

  #endLimit(): void {
    if (this.#total === undefined) return
    this.#deadlines.delete(this.#total)
    this.#total = undefined
  }

  #onLimit(): void {
    this.#endLimit()
    const { timeout } = this.policy.retry
    if (this.waitsForClient) {
      const why = `the client did not send all of the request body within ${timeout} ms`
      this.fail(new GatewayError('PORTICO_REQ_TIMEOUT', why))
      return
    }
    const place = this.endpoint?.label ?? this.pool.upstream.key
    const error = new GatewayError('PORTICO_UP_HEADERS_TIMEOUT', `${place}: no answer within ${timeout} ms`)
    if (!this.endpoint) this.fail(error)
    else this.failTry(error, undefined)
  }
}

/** Nobody was heard at the address, or no way leads there (ARP says so after three seconds): to ask once more would only double the wait. */
function isNobodyThere({ code, cause }: GatewayError): boolean {
  if (code === 'PORTICO_UP_CONNECT_TIMEOUT') return true
  const reason = (cause as NodeJS.ErrnoException | undefined)?.code
  return reason === 'EHOSTUNREACH' || reason === 'ENETUNREACH'
}
