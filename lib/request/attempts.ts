/**
 * The attempts of one request, or of one connection that nobody reads: which endpoint is asked, the wait in the queue while all
 * are full, the next endpoint after a failure, and the time limit of all attempts together. What is sent, and what comes back,
 * is up to the user of the attempts. HOT
 */
import type { Clock } from '../base/clock.ts'
import { contain, type Victim } from '../base/contain.ts'
import { type DeadlineWatch, type Timed, UNWATCHED } from '../base/deadline.ts'
import { GatewayError, overloaded } from '../base/errors.ts'
import type { UpstreamPolicy } from '../settings/service.ts'
import type { RetryReason } from '../telemetry/record.ts'
import type { ClientShare, Holder } from '../upstream/choice/client-share.ts'
import type { PickContext } from '../upstream/choice/pick-context.ts'
import type { UpstreamPool } from '../upstream/choice/pool.ts'
import type { QueuedRequest } from '../upstream/choice/request-queue.ts'
import type { EndpointState } from '../upstream/endpoint/endpoint.ts'
import type { PrivateConnections } from '../upstream/transport/private-connections.ts'
import { Retries } from './retries.ts'
import { chooseBackoff, isRetriedFailure, isRetriedStatus } from './retry.ts'
import { Try } from './try.ts'

/** What attempts are made for. */
export type AttemptSubject = PickContext & {
  readonly clock: Clock
  /** When it came, by the monotonic clock. */
  readonly startedMonotonic: number
  /** The client that it counts for, as a network (base/client-network). */
  readonly clientNetwork: string
  /** The connections to endpoints that its client alone may use. */
  readonly privates: PrivateConnections | undefined
}

/** The side that sends to the endpoint. */
export type AttemptUser = Victim & {
  /** Sends to the endpoint. */
  attempt(endpoint: EndpointState): void
  /** Lets go of the attempt under way: another one follows. */
  dropAttempt(): void
  /** There is no further attempt. */
  fail(error: GatewayError): void
  /** True if nothing was answered yet and all that may have been sent can be sent again. */
  readonly canRepeat: boolean
  /** True if an endpoint may get it although another one, or the same, perhaps had it already. */
  readonly isIdempotent: boolean
  /** Milliseconds for which its client has kept it waiting; 0 where it waits for the endpoint. */
  stalledFor(now: number): number
  /** True if it fails where it would have to wait for a place; left out: it waits. */
  readonly neverWaits?: boolean
  /** Its client is too slow for a place that others want. */
  giveWay(): void
}

const NOBODY: readonly EndpointState[] = Object.freeze([])
/** An attempt that no circuit breaker watches. */
const NO_TICKET = -1

export class Attempts implements QueuedRequest, Holder, Timed {
  /** For the queue. */
  isHeld: boolean = false
  /** Found as it begins, and after a backoff: an empty share may be another object by then. */
  share!: ClientShare
  before: Holder | undefined = undefined
  after: Holder | undefined = undefined
  deadlineAt: number = Number.POSITIVE_INFINITY
  watchIndex: number = UNWATCHED
  pool: UpstreamPool
  /** The endpoint of the attempt under way. */
  endpoint: EndpointState | undefined = undefined
  /** The last endpoint that was asked. */
  last: EndpointState | undefined = undefined
  /** Attempts that were made. */
  count: number = 0
  /** Undefined as long as no attempt has failed. */
  retries: Retries | undefined = undefined
  /** When an endpoint was wanted first, by the monotonic clock; 0: none was. */
  wantedAt: number = 0
  /** The last try; undefined: there was none. */
  lastTry: Try | undefined = undefined
  /** Those before it. */
  earlierTries: Try[] | undefined = undefined
  readonly #subject: AttemptSubject
  readonly #user: AttemptUser
  /** The same for all attempts. */
  readonly #policy: UpstreamPolicy
  readonly #deadlines: DeadlineWatch
  /** One for each attempt. */
  #tried: readonly EndpointState[] = NOBODY
  /** When the attempt under way began, by the monotonic clock. */
  #triedAt: number
  /** The circuit breaker's, for the attempt under way. */
  #ticket: number = NO_TICKET
  #isWaiting = false
  /** The attempt has begun in this turn: a connection that is there now was there before. */
  #isBeginning = false
  /** The endpoint has yet to answer the attempt under way. */
  #isUnanswered = false
  #backoff: NodeJS.Timeout | undefined = undefined
  /** When the request had come, by the monotonic clock. */
  #cameAt: number
  /** When all attempts together have to be over. */
  #limitAt: number = Number.POSITIVE_INFINITY

  constructor(
    subject: AttemptSubject,
    user: AttemptUser,
    pool: UpstreamPool,
    policy: UpstreamPolicy,
    deadlines: DeadlineWatch,
  ) {
    this.#subject = subject
    this.#user = user
    this.pool = pool
    this.#policy = policy
    this.#deadlines = deadlines
    this.#triedAt = subject.startedMonotonic
    this.#cameAt = subject.startedMonotonic
  }

  /**
   * Limits the time until one of the attempts is answered. It is counted from when the request came, so that waits before the
   * attempts are included; or from now on, if all of its body has come only now.
   */
  limit(isFromNowOn: boolean): void {
    const { timeouts, retry } = this.#policy
    const { request } = timeouts
    if (isFromNowOn && (request > 0 || retry.within > 0)) this.#cameAt = this.#subject.clock.monotonic()
    if (request === 0 || this.#limitAt < Number.POSITIVE_INFINITY) return
    this.#limitAt = request + this.#cameAt
    // A wait in the queue may have to end before.
    this.#watch(Math.min(this.deadlineAt, this.#limitAt))
  }

  /** The first attempt, or a wait for it; `now` by the monotonic clock. */
  begin(now: number = this.#subject.clock.monotonic()): void {
    this.wantedAt = now
    this.#triedAt = now
    this.#findShare()
    this.pool.budget.count(this.#subject.startedMonotonic)
    if (this.pool.queue.isOrdered || !this.#try()) this.#wait()
  }

  /** True if another endpoint can be asked in place of the one that is being connected to. */
  givesUp(): boolean {
    const { retry } = this.#policy
    return this.#hasTryLeft() && isRetriedFailure('connect-failure', retry) && this.#hasOther()
  }

  /** There is no connection. */
  failConnect(error: GatewayError): void {
    const isOver = isNobodyThere(error) && this.#policy.retry.tryTimeout === 0
    const mayRepeat = error.retry === 'always' && (!isOver || this.givesUp())
    this.failAttempt(error, mayRepeat ? 'connect-failure' : undefined)
  }

  /** `reason` is undefined where another attempt is out of the question. */
  failAttempt(error: GatewayError, reason: RetryReason | undefined): void {
    this.endpoint!.recordFailure(error)
    if (this.lastTry !== undefined) this.lastTry.error = error.code
    if (error.fault !== 'gateway') this.#settle(false)
    const delay = reason === undefined ? -1 : this.#decide(reason)
    if (delay < 0) this.#user.fail(error)
    else this.#tryAgain(reason!, error.detail, delay)
  }

  /** True if an answer is left aside for another attempt. `now` by the monotonic clock. */
  retryStatus(status: number, now: number): boolean {
    if (!isRetriedStatus(status, this.#policy.retry)) return false
    const delay = this.#decide('status')
    if (delay < 0) return false
    const { label } = this.endpoint!
    this.#record(status, now)
    this.#tryAgain('status', `${label} answered ${status}`, delay)
    return true
  }

  /** The endpoint is asked once more on a new connection, after an idle one turned out closed. */
  repeatStale(): void {
    this.count++
    const { lastTry } = this
    if (lastTry !== undefined) {
      const now = this.#subject.clock.monotonic()
      lastTry.isStale = true
      lastTry.endedAt = now
      this.#noteTry(lastTry.endpoint, now)
    }
    this.retries ??= new Retries()
    this.retries.plan('stale')
    this.retries.begin()
  }

  /** The answer goes to the client: there is nothing more to attempt. */
  settleAnswer(status: number, now: number): void {
    this.#record(status, now)
    this.#endLimit()
    this.retries?.end('answered')
  }

  /** Nothing is to be attempted any more. */
  end(): void {
    this.leaveEndpoint()
    this.#endLimit()
    if (this.#isWaiting) this.#leaveQueue()
    if (this.#backoff !== undefined) clearTimeout(this.#backoff)
  }

  /** The failure with those of the attempts before it. */
  explain(error: GatewayError): GatewayError {
    return this.retries === undefined ? error : this.retries.explain(error, this.count)
  }

  /** The connection leads to another address of the same name than was chosen: from here on the attempt counts there. */
  moveTo(endpoint: EndpointState): void {
    this.#hear()
    this.endpoint?.end()
    endpoint.begin()
    this.#ask(endpoint)
    this.endpoint = endpoint
    this.last = endpoint
    if (this.lastTry !== undefined) this.lastTry.endpoint = endpoint
    this.#tried = [...this.#tried.slice(0, -1), endpoint]
  }

  /** The attempt under way has a connection. */
  noteConnection(isReused: boolean): void {
    const { lastTry } = this
    if (lastTry === undefined) return
    lastTry.isReused = isReused
    lastTry.connectedAt = this.#isBeginning && isReused ? lastTry.startedAt : this.#subject.clock.monotonic()
  }

  /** The attempt under way is over, and the request goes on: the client has yet to take the answer, or another attempt follows. */
  noteEnd(): void {
    if (this.lastTry !== undefined) this.lastTry.endedAt = this.#subject.clock.monotonic()
  }

  leaveEndpoint(): void {
    if (!this.endpoint) return
    this.pool.shares.release(this.share, this)
    this.#hear()
    this.endpoint.end()
    this.endpoint = undefined
    if (this.#ticket === NO_TICKET) return
    this.pool.circuit?.abandon(this.#ticket)
    this.#ticket = NO_TICKET
  }

  // Holder

  stalledFor(now: number): number {
    return this.#user.stalledFor(now)
  }

  giveWay(): void {
    this.#user.giveWay()
  }

  breakOff(error: GatewayError): void {
    this.#user.breakOff(error)
  }

  // QueuedRequest

  onOvertaken(error: GatewayError): void {
    this.#isWaiting = false
    this.#user.fail(error)
  }

  /**
   * A request that has waited goes by the endpoints that are in force now, not by those of its snapshot, which may have gone
   * meanwhile, and it may go to new ones. Its policy (attempts, time limits) stays that of its snapshot.
   */
  onTurn(): boolean {
    this.pool = this.pool.latest
    this.#triedAt = this.#subject.clock.monotonic()
    return this.#try()
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
      const admitted = circuit.admit(this.#subject.clock.monotonic())
      if (admitted instanceof GatewayError) {
        this.#user.fail(admitted)
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
      this.#user.fail(picked)
      return true
    }
    if (this.#isWaiting) {
      this.#leaveQueue()
      this.#watch(this.#limitAt)
    }
    this.#ticket = ticket
    this.#tried = this.#tried.length === 0 ? [picked] : [...this.#tried, picked]
    this.endpoint = picked
    this.last = picked
    this.count++
    this.retries?.begin()
    shares.hold(this.share, this)
    picked.begin()
    this.#ask(picked)
    this.#noteTry(picked, this.#triedAt)
    this.#isBeginning = true
    this.#user.attempt(picked)
    this.#isBeginning = false
    return true
  }

  /**
   * The endpoint that knows the client by its connection; else one that was not tried, else one that did not fail last, else any.
   */
  #pick(): EndpointState | GatewayError {
    const subject = this.#subject
    const { privates } = subject
    const known = privates && this.#tried.length === 0 ? privates.findPeer<EndpointState>(this.pool) : undefined
    if (known !== undefined) return known
    const picked = this.pool.pick(subject, this.#tried)
    const { length } = this.#tried
    if (length === 0 || !(picked instanceof GatewayError)) return picked
    const other = this.pool.pick(subject, [this.#tried[length - 1]!])
    return other instanceof GatewayError ? this.pool.pick(subject, NOBODY) : other
  }

  #hasTryLeft(): boolean {
    const { tries, retry } = this.#policy
    if (!this.#user.canRepeat || this.#tried.length >= (tries || this.pool.states.length)) return false
    return retry.within === 0 || this.#subject.clock.monotonic() - this.#cameAt < retry.within
  }

  #hasOther(): boolean {
    return !(this.pool.pick(this.#subject, this.#tried) instanceof GatewayError)
  }

  /** Waits until an endpoint has room. */
  #wait(): void {
    if (this.#user.neverWaits) {
      this.#user.fail(overloaded(`${this.pool.upstream.key}: no endpoint has room`, 0))
      return
    }
    const { maxQueue, queueTimeout } = this.#policy
    const refused = this.pool.queue.enter(this, maxQueue, queueTimeout)
    if (refused) {
      this.#user.fail(refused)
      return
    }
    this.#isWaiting = true
    if (queueTimeout > 0) this.#watch(Math.min(this.#limitAt, this.#subject.clock.monotonic() + queueTimeout))
  }

  #leaveQueue(): void {
    this.pool.queue.leave(this)
    this.#isWaiting = false
  }

  /** Milliseconds until the next attempt; negative: there is none. */
  #decide(reason: RetryReason): number {
    const { retry } = this.#policy
    if (!this.#hasTryLeft()) return -1
    if (reason !== 'status' && !isRetriedFailure(reason, retry)) return -1
    const isNothingSent = reason === 'connect-failure'
    if (!isNothingSent && !this.#user.isIdempotent) return -1
    // An endpoint that could not be connected to had no work of it, so that the next one only has what was to be done anyway.
    if (isNothingSent && this.#hasOther()) return 0
    if (this.pool.budget.take(this.#subject.clock.monotonic(), retry)) return chooseBackoff(this.#tried.length, retry)
    this.retries ??= new Retries()
    this.retries.refuse(reason)
    return -1
  }

  #tryAgain(reason: RetryReason, failure: string, delayMs: number): void {
    this.noteEnd()
    this.leaveEndpoint()
    this.#user.dropAttempt()
    this.retries ??= new Retries()
    this.retries.plan(reason, failure)
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

  #noteTry(endpoint: EndpointState, now: number): void {
    if (this.lastTry !== undefined) {
      this.earlierTries ??= []
      this.earlierTries.push(this.lastTry)
    }
    this.lastTry = new Try(endpoint, now)
  }

  #findShare(): void {
    this.share = this.pool.shares.find(this.#subject.clientNetwork)
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
    if (this.lastTry !== undefined) {
      this.lastTry.headAt = now
      this.lastTry.status = status
    }
    this.endpoint?.recordAnswer(status, now - this.#triedAt)
    this.#settle(status < 500)
  }

  #settle(isGood: boolean): void {
    if (this.#ticket === NO_TICKET) return
    this.pool.circuit?.settle(this.#ticket, isGood, this.#subject.clock.monotonic())
    this.#ticket = NO_TICKET
  }

  #watch(at: number): void {
    this.deadlineAt = at
    if (at < Number.POSITIVE_INFINITY) this.#deadlines.add(this)
  }

  #endLimit(): void {
    this.#limitAt = Number.POSITIVE_INFINITY
    if (this.watchIndex !== UNWATCHED) this.#deadlines.delete(this)
  }

  onDeadline(): void {
    const now = this.#subject.clock.monotonic()
    if (this.#isWaiting && now < this.#limitAt) {
      const { queueTimeout } = this.#policy
      const why = `${this.pool.upstream.key}: no endpoint had room within ${queueTimeout} ms`
      this.#user.fail(overloaded(why, queueTimeout))
      return
    }
    this.#endLimit()
    const place = this.endpoint?.label ?? this.pool.upstream.key
    const why = `${place}: no answer within ${this.#policy.timeouts.request} ms`
    const error = new GatewayError('PORTICO_UP_HEADERS_TIMEOUT', why)
    if (!this.endpoint) this.#user.fail(error)
    else this.failAttempt(error, undefined)
  }
}

/**
 * Nothing answered at the address, or no way leads there (ARP says so after three seconds): to ask once more would only double the
 * wait.
 */
function isNobodyThere({ code, cause }: GatewayError): boolean {
  if (code === 'PORTICO_UP_CONNECT_TIMEOUT') return true
  const reason = (cause as NodeJS.ErrnoException | undefined)?.code
  return reason === 'EHOSTUNREACH' || reason === 'ENETUNREACH'
}
