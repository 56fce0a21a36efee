/** Runs checks: each at its interval, spread over time, so many at once and no more; and counts results against the thresholds. */
import { type Clock, printTime } from '../../base/clock.ts'
import type { Timers } from '../../base/timers.ts'
import { Turns } from '../../base/turns.ts'
import type { Check } from './check.ts'
import { retainAuthorities } from './http-probe.ts'
import { runProbe } from './probe.ts'
import type { ProbeResult, ProbeTls } from './question.ts'

/** The endpoints that a check concerns. */
export type CheckListener = {
  /** After each result. */
  onResult(check: RunningCheck, isOk: boolean): void
}

export type ScheduleOptions = {
  readonly clock: Clock
  readonly timers: Timers
  /** From 0 to 1; given by tests. */
  readonly random?: () => number
}

/** Probes under way at once; what is due beyond that comes a little later. */
const MAX_RUNNING = 128
/** New checks begin so far apart on average, and all within their interval, milliseconds. */
const SPREAD_MS = 5
/** An interval is longer or shorter by up to this share, so that checks which began together do not stay together. */
const JITTER = 0.05

export class CheckSchedule {
  readonly #options: Required<ScheduleOptions>
  readonly #checks = new Map<string, RunningCheck>()
  readonly #turns = new Turns(MAX_RUNNING)
  #isStarted = false
  #isSweeping = false
  /** Checks that wait for their first turn. */
  #fresh = 0

  constructor(options: ScheduleOptions) {
    this.#options = { random: Math.random, ...options }
  }

  /** Checks that are made. */
  get size(): number {
    return this.#checks.size
  }

  /** Begins with what was joined before, and from now on with what is joined. */
  start(): void {
    this.#isStarted = true
    for (const running of this.#checks.values()) this.#start(running)
  }

  /** The check goes on for as long as anybody listens. */
  join(check: Check, listener: CheckListener): RunningCheck {
    let running = this.#checks.get(check.key)
    if (!running) {
      running = new RunningCheck(check, this.#options, this)
      this.#checks.set(check.key, running)
      if (this.#isStarted) this.#start(running)
    }
    running.listeners.add(listener)
    return running
  }

  leave(running: RunningCheck, listener: CheckListener): void {
    running.listeners.delete(listener)
    if (running.listeners.size > 0) return
    running.stop()
    this.#checks.delete(running.check.key)
    if (findTls(running.check) === undefined || this.#isSweeping) return
    this.#isSweeping = true
    // Once for all checks that leave together, and after those that join in their place.
    setImmediate(() => this.#sweep())
  }

  #sweep(): void {
    this.#isSweeping = false
    const used = [...this.#checks.values()].flatMap(({ check }) => findTls(check) ?? [])
    retainAuthorities(
      new Set(used.map(({ caFile }) => caFile)),
      new Set(used.flatMap(({ secret }) => secret?.digest ?? [])),
    )
  }

  close(): void {
    for (const running of this.#checks.values()) running.stop()
    this.#checks.clear()
    this.#turns.drop()
  }

  /** The first turn of a check has come, or never will. */
  settleFresh(): void {
    this.#fresh--
  }

  #start(running: RunningCheck): void {
    running.start(this.#options.random() * Math.min(running.check.interval, this.#fresh++ * SPREAD_MS))
  }

  /** Calls `run` as soon as there is room. */
  enter(run: () => Promise<void>): Promise<void> {
    return this.#turns.take(run)
  }
}

/** Undefined: it is a check without TLS, or one for which nothing is kept. */
function findTls({ probe }: Check): ProbeTls | undefined {
  const tls = probe.type === 'http' ? probe.tls : undefined
  return tls?.caFile || tls?.secret ? tls : undefined
}

/** One check while it is made. */
export class RunningCheck {
  readonly check: Check
  readonly listeners: Set<CheckListener> = new Set()
  /** Undefined before the first result. */
  isHealthy: boolean | undefined = undefined
  /** Why, for people: `GET /healthz: 503, 3 times since 14:03:11`. */
  reason: string = ''
  readonly #options: Required<ScheduleOptions>
  readonly #schedule: CheckSchedule
  #abort: AbortController | undefined = undefined
  #cancel: () => void = () => {}
  #isFresh = false
  #isStopped = false
  /** Results in a row that speak against `isHealthy`. */
  #streak = 0
  #streakSince = 0

  constructor(check: Check, options: Required<ScheduleOptions>, schedule: CheckSchedule) {
    this.check = check
    this.#options = options
    this.#schedule = schedule
  }

  start(delayMs: number): void {
    this.#isFresh = true
    this.#cancel = this.#options.timers.after(delayMs, () => void this.#turn())
  }

  stop(): void {
    this.#isStopped = true
    this.#cancel()
    this.#settle()
    this.#abort?.abort()
  }

  async #turn(): Promise<void> {
    const { clock, timers, random } = this.#options
    const { interval } = this.check
    const startedAt = clock.monotonic()
    this.#settle()
    await this.#schedule.enter(() => this.#ask())
    if (this.#isStopped) return
    const period = interval * (1 - JITTER + 2 * JITTER * random())
    const left = period - (clock.monotonic() - startedAt)
    this.#cancel = timers.after(Math.max(1, left), () => void this.#turn())
  }

  async #ask(): Promise<void> {
    if (this.#isStopped) return
    const abort = new AbortController()
    this.#abort = abort
    const result = await runProbe(this.check.probe, this.check.timeout, abort)
    if (result && !this.#isStopped) this.#take(result)
  }

  #take({ isOk, detail }: ProbeResult): void {
    const { healthyThreshold, unhealthyThreshold } = this.check
    if (isOk === this.isHealthy) this.#streak = 0
    else {
      const now = this.#options.clock.now()
      if (this.#streak++ === 0) this.#streakSince = now
      if (this.isHealthy === undefined || this.#streak >= (isOk ? healthyThreshold : unhealthyThreshold)) {
        const times = this.#streak === 1 ? '' : `, ${this.#streak} times`
        this.reason = `${detail}${times} since ${printTime(this.#streakSince)}`
        this.isHealthy = isOk
        this.#streak = 0
      }
    }
    for (const listener of this.listeners) listener.onResult(this, isOk)
  }

  #settle(): void {
    if (!this.#isFresh) return
    this.#isFresh = false
    this.#schedule.settleFresh()
  }
}
