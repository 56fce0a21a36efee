/** What became of the attempts of a request. Nothing here is made for a request that goes well at once. */
import { GatewayError } from '../base/errors.ts'
import type { RetryOutcome, RetryReason, RetryResult } from '../telemetry/record.ts'

/** The attempts of one request of which at least one failed. */
export class Retries {
  /** For the metrics: one for each further attempt that was made, or not allowed. */
  readonly outcomes: RetryOutcome[] = []
  /** Why the attempt under way is made. */
  #reason: RetryReason | undefined = undefined
  readonly #failures: string[] = []
  #isOverBudget = false

  /** What failed so far, for the log. */
  get text(): string {
    return this.#failures.join('; ')
  }

  /** Another attempt is made. `failure` says why the last one failed; undefined: it did not fail. */
  begin(reason: RetryReason, failure?: string): void {
    this.end('failed')
    this.#reason = reason
    if (failure !== undefined) this.#failures.push(failure)
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

  /** The last failure with those before it. */
  explain(error: GatewayError): GatewayError {
    this.end('failed')
    const { length } = this.#failures
    const all = [...this.#failures, error.detail].join('; ')
    const count = length === 0 ? '' : ` (${length + 1} tries)`
    const budget = this.#isOverBudget ? ' (not tried again: over the retry budget)' : ''
    return new GatewayError(error.code, `${all}${count}${budget}`, error, error.retryAfter)
  }
}
