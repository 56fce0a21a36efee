/** What became of the attempts of a request. Nothing here is made for a request that goes well at once. */
import { GatewayError } from '../base/errors.ts'
import type { RetryOutcome, RetryReason, RetryResult } from '../telemetry/record.ts'

/** The attempts of one request of which at least one failed. */
export class Retries {
  /** For the metrics: one for each further attempt that was made or not allowed, none for an attempt that never began. */
  readonly outcomes: RetryOutcome[] = []
  /** Why the attempt under way is made; undefined: it is the first, or there is none. */
  #reason: RetryReason | undefined = undefined
  /** Why the next attempt is to be made. */
  #nextReason: RetryReason | undefined = undefined
  readonly #failures: string[] = []
  #isOverBudget = false

  /** What failed so far, for the log. */
  get text(): string {
    return this.#failures.join('; ')
  }

  /** Another attempt is to be made. `failure` says why the last one failed; undefined: it did not fail. */
  plan(reason: RetryReason, failure?: string): void {
    this.end('failed')
    this.#nextReason = reason
    if (failure !== undefined) this.#failures.push(failure)
  }

  /** The attempt that was planned begins, after its pause and its wait for an endpoint. */
  begin(): void {
    this.#reason = this.#nextReason
    this.#nextReason = undefined
  }

  /** Another attempt was wanted. */
  refuse(reason: RetryReason): void {
    this.#isOverBudget = true
    this.outcomes.push({ reason, result: 'over-budget' })
  }

  /** The attempt under way has ended, where it is not the first. */
  end(result: RetryResult): void {
    if (this.#reason === undefined) return
    this.outcomes.push({ reason: this.#reason, result })
    this.#reason = undefined
  }

  /** The last failure with those before it, in `tries` attempts. */
  explain(error: GatewayError, tries: number): GatewayError {
    this.end('failed')
    const all = [...this.#failures, error.detail].join('; ')
    const count = tries === 1 ? '' : ` (${tries} tries)`
    const budget = this.#isOverBudget ? ' (not tried again: over the retry budget)' : ''
    return new GatewayError(error.code, `${all}${count}${budget}`, error, error)
  }
}
