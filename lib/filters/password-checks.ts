/**
 * Checks passwords in a thread of their own, since the hashes of passwords are made to take long. What clients can cost is bounded: one
 * check at a time, clients in turn, few that wait, and a share of the thread's time for the wrong passwords of each client.
 */
import { Worker } from 'node:worker_threads'
import { type Clock, systemClock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { PerClient } from '../base/per-client.ts'
import type { PasswordQuestion, PasswordVerdict } from './password-thread.ts'

/** Checks that wait, of all clients and of one. */
const MAX_WAITING = 256
const MAX_WAITING_OF_CLIENT = 16
/** In milliseconds. */
const MAX_WAIT_MS = 10_000

/** Milliseconds of the thread that wrong passwords of a client may take at once, and how many it gets back for each millisecond. */
const WRONG_MS = 2_000
const WRONG_SHARE = 0.1

const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 16 }

/** What one client has used. */
class ClientUse {
  waiting = 0
  readonly #clock: Clock
  /** The thread's time for wrong passwords, as of `#at`. */
  #wrongMs = 0
  #at = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get isEmpty(): boolean {
    return this.waiting === 0 && this.#left() === 0
  }

  /** Milliseconds until another password may be tried. */
  get wait(): number {
    return Math.max(0, this.#left() - WRONG_MS) / WRONG_SHARE
  }

  charge(ms: number): void {
    this.#wrongMs = this.#left() + ms
    this.#at = this.#clock.monotonic()
  }

  #left(): number {
    return Math.max(0, this.#wrongMs - (this.#clock.monotonic() - this.#at) * WRONG_SHARE)
  }
}

/** True if the password is right. */
export type CheckOutcome = boolean | GatewayError

export class PasswordCheck {
  readonly client: string
  readonly question: PasswordQuestion
  /** False: the password is wrong whatever the hash says, and the check only takes as long as another. */
  readonly mayBeRight: boolean
  readonly since: number
  /** Milliseconds that the check took; known with the outcome. */
  ms: number = 0
  readonly outcome: Promise<CheckOutcome>
  settle!: (outcome: CheckOutcome) => void

  constructor(client: string, question: PasswordQuestion, mayBeRight: boolean, since: number) {
    this.client = client
    this.question = question
    this.mayBeRight = mayBeRight
    this.since = since
    this.outcome = new Promise((resolve) => {
      this.settle = resolve
    })
  }
}

export class PasswordChecks {
  readonly #clock: Clock
  readonly #clients: PerClient<ClientUse>
  /** Checks that wait, by client; the client whose turn is next stands first. */
  readonly #waiting = new Map<string, PasswordCheck[]>()
  #count = 0
  #running: PasswordCheck | undefined
  #thread: Worker | undefined

  constructor(clock: Clock = systemClock) {
    this.#clock = clock
    this.#clients = new PerClient(() => new ClientUse(clock))
  }

  /** Begins a check for a client, or says why there is none. */
  start(client: string, question: PasswordQuestion, mayBeRight: boolean): PasswordCheck | GatewayError {
    const use = this.#clients.find(client)
    const { wait } = use
    if (wait > 0) {
      const why = 'wrong passwords of the client took too much time'
      return new GatewayError('PORTICO_REQ_RATE_LIMITED', why, undefined, { retryAfter: Math.ceil(wait / 1000) })
    }
    if (use.waiting >= MAX_WAITING_OF_CLIENT) {
      return new GatewayError(
        'PORTICO_REQ_TOO_MANY',
        'too many passwords of the client wait to be checked',
        undefined,
        { retryAfter: 1 },
      )
    }
    if (this.#count >= MAX_WAITING) return overloaded('too many passwords wait to be checked')
    const check = new PasswordCheck(client, question, mayBeRight, this.#clock.monotonic())
    const queue = this.#waiting.get(client)
    if (queue === undefined) this.#waiting.set(client, [check])
    else queue.push(check)
    use.waiting++
    this.#count++
    this.#next()
    return check
  }

  /** Nobody asks for the outcome any more. */
  cancel(check: PasswordCheck): void {
    const queue = this.#waiting.get(check.client)
    const at = queue?.indexOf(check) ?? -1
    if (queue === undefined || at < 0) return
    queue.splice(at, 1)
    if (queue.length === 0) this.#waiting.delete(check.client)
    this.#leave(check)
  }

  /** Counts the time of a check as that of a wrong password. */
  charge({ client, ms }: PasswordCheck): void {
    this.#clients.find(client).charge(ms)
  }

  #leave({ client }: PasswordCheck): void {
    this.#clients.find(client).waiting--
    this.#count--
  }

  #next(): void {
    if (this.#running !== undefined) return
    this.#expire()
    const [first] = this.#waiting
    if (first === undefined) {
      this.#thread?.unref()
      return
    }
    const [client, queue] = first
    const check = queue.shift()!
    this.#waiting.delete(client)
    if (queue.length > 0) this.#waiting.set(client, queue)
    this.#leave(check)
    this.#running = check
    this.#thread ??= this.#startThread()
    this.#thread.ref()
    this.#thread.postMessage(check.question)
  }

  #expire(): void {
    const oldest = this.#clock.monotonic() - MAX_WAIT_MS
    for (const [client, queue] of this.#waiting) {
      while (queue[0] !== undefined && queue[0].since < oldest) {
        const check = queue.shift()!
        this.#leave(check)
        check.settle(overloaded('the password waited too long to be checked'))
      }
      if (queue.length === 0) this.#waiting.delete(client)
    }
  }

  #startThread(): Worker {
    const url = new URL('./password-thread.js', import.meta.url)
    const thread = new Worker(url, { execArgv: [], resourceLimits: RESOURCE_LIMITS })
    thread.on('message', ({ matches, ms }: PasswordVerdict) => {
      const check = this.#running!
      const isRight = matches && check.mayBeRight
      check.ms = ms
      if (!isRight) this.charge(check)
      this.#conclude(isRight)
    })
    const onEnd = (error?: Error): void => {
      if (this.#thread !== thread) return
      this.#thread = undefined
      const why = `the thread that checks passwords ended${error ? `: ${error.message}` : ''}`
      this.#conclude(new GatewayError('PORTICO_GW_AUTH_UNAVAILABLE', why, error))
    }
    thread.on('error', onEnd)
    thread.on('exit', () => onEnd())
    return thread
  }

  #conclude(outcome: CheckOutcome): void {
    const check = this.#running
    this.#running = undefined
    check?.settle(outcome)
    this.#next()
  }
}

function overloaded(why: string): GatewayError {
  return new GatewayError('PORTICO_GW_OVERLOADED', why, undefined, { retryAfter: 1 })
}
