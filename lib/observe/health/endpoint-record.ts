/** What is known of the health of one endpoint of one upstream: its checks, its ejection, and what both come to. */
import { type Clock, printTime } from '../../base/clock.ts'
import type { Timers } from '../../base/timers.ts'
import type { EndpointHealth } from '../../model/upstream.ts'
import type { UpstreamPolicy } from '../../settings/service.ts'
import type { Check } from './check.ts'
import type { CheckListener, CheckSchedule, RunningCheck } from './schedule.ts'

export type EndpointRecordOptions = {
  readonly clock: Clock
  readonly timers: Timers
  readonly schedule: CheckSchedule
  /** Another verdict than before stands. */
  readonly onFlip: (flip: HealthFlip) => void
}

export type HealthFlip = Readonly<{
  type: 'unhealthy' | 'healthy' | 'ejected' | 'back'
  reason: string
}>

export class EndpointRecord implements CheckListener {
  /** Since when no upstream has it, by the monotonic clock; undefined: one has. */
  goneAt: number | undefined = undefined
  /** Results of its checks. */
  successes = 0
  failures = 0
  ejections = 0
  readonly #options: EndpointRecordOptions
  #checks: readonly RunningCheck[] = []
  #unhealthy: EndpointHealth | undefined = undefined
  /** The check that `#unhealthy` is the verdict of. */
  #failing: RunningCheck | undefined = undefined
  #ejected: EndpointHealth | undefined = undefined
  /** Since it recovered; undefined where it never was bad. */
  #healthy: EndpointHealth | undefined = undefined
  #cancelLift: () => void = () => {}
  /** Ejections that still count for the length of the next. */
  #multiplier = 0
  #liftedAt = 0

  constructor(options: EndpointRecordOptions) {
    this.#options = options
  }

  /** The same object for as long as it is the same verdict. Undefined: nothing was ever known against it. */
  get health(): EndpointHealth | undefined {
    return this.#unhealthy ?? this.#ejected ?? this.#healthy
  }

  get isEjected(): boolean {
    return this.#ejected !== undefined
  }

  /** Whether there is anything to show or to remember. */
  get isBlank(): boolean {
    return this.#checks.length === 0 && this.ejections === 0 && this.health === undefined
  }

  /** It is under these checks from now on; the verdict stands until they have one of their own. */
  watch(checks: readonly Check[]): void {
    const before = this.#checks
    if (before.length === checks.length && before.every(({ check }, index) => check.key === checks[index]!.key)) return
    this.#join(checks)
    this.#judge()
  }

  /** Stops checking; all that is known stays. */
  suspend(): void {
    this.#join([])
  }

  onResult(check: RunningCheck, isOk: boolean): void {
    if (isOk) this.successes++
    else this.failures++
    this.#judge()
    // As Envoy's successful_active_health_check_uneject_host.
    if (isOk && this.#ejected && this.#isPassing) this.lift(`its check succeeds: ${check.reason}`)
  }

  /** Takes it out for a time that grows with each ejection that came soon after another. */
  eject(reason: string, { interval, baseTime, maxTime }: UpstreamPolicy['ejection']): void {
    const { clock, timers } = this.#options
    const now = clock.now()
    const good = Math.floor((clock.monotonic() - this.#liftedAt) / interval)
    this.#multiplier = Math.max(0, this.#multiplier - good) + 1
    const ms = Math.min(baseTime * this.#multiplier, Math.max(baseTime, maxTime))
    this.ejections++
    const whole = `${reason}; until ${printTime(now + ms)}`
    this.#ejected = Object.freeze({ state: 'ejected', reason: whole, since: now, until: now + ms })
    this.#cancelLift = timers.after(ms, () => this.lift(`its ${ms / 1_000} s are over`))
    this.#options.onFlip({ type: 'ejected', reason: whole })
  }

  /** Ends the ejection, where there is one. */
  lift(reason: string): void {
    if (!this.#ejected) return
    const { clock } = this.#options
    this.#cancelLift()
    this.#ejected = undefined
    this.#liftedAt = clock.monotonic()
    this.#healthy = Object.freeze({ state: 'healthy', reason: `back from an ejection: ${reason}`, since: clock.now() })
    this.#options.onFlip({ type: 'back', reason })
  }

  close(): void {
    this.#cancelLift()
    this.suspend()
  }

  get #isPassing(): boolean {
    return this.#checks.every(({ isHealthy }) => isHealthy === true)
  }

  #join(checks: readonly Check[]): void {
    const { schedule } = this.#options
    const before = this.#checks
    // First these, so that a check which stays goes on.
    this.#checks = checks.map((check) => schedule.join(check, this))
    for (const running of before) if (!this.#checks.includes(running)) schedule.leave(running, this)
  }

  #judge(): void {
    const { clock, onFlip } = this.#options
    const down = this.#checks.find(({ isHealthy }) => isHealthy === false)
    // Of a check that is not made any more the verdict stands until there is another, and no longer.
    if (down && !(this.#unhealthy && this.#failing && this.#checks.includes(this.#failing))) {
      this.#failing = down
      this.#unhealthy = Object.freeze({ state: 'unhealthy', reason: down.reason, since: clock.now() })
      onFlip({ type: 'unhealthy', reason: down.reason })
    } else if (!down && this.#unhealthy && this.#isPassing) {
      const reason = this.#checks.map((check) => check.reason).join('; ') || 'it is not checked any more'
      this.#unhealthy = undefined
      this.#failing = undefined
      this.#healthy = Object.freeze({ state: 'healthy', reason, since: clock.now() })
      onFlip({ type: 'healthy', reason })
    }
  }
}
