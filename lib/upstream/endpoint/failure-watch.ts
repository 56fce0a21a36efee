/**
 * Counts what speaks against one endpoint in this process, and says once when it is more than its policy allows: whether it is
 * ejected for that is decided elsewhere, over all processes (health/). HOT
 */
import type { Clock } from '../../base/clock.ts'
import type { GatewayError, RequestErrorCode } from '../../base/errors.ts'
import type { UpstreamPolicy } from '../../settings/service.ts'

/** What the endpoint is to blame for; of the others some never came to it. */
const ITS_FAULT: ReadonlySet<RequestErrorCode> = new Set([
  'PORTICO_UP_CONNECT_REFUSED',
  'PORTICO_UP_CONNECT_FAILED',
  'PORTICO_UP_CONNECT_TIMEOUT',
  'PORTICO_UP_TLS',
  'PORTICO_UP_RESET',
  'PORTICO_UP_BAD_RESPONSE',
  'PORTICO_UP_HEADERS_TIMEOUT',
  'PORTICO_UP_TRUNCATED',
  'PORTICO_UP_STALLED',
])
/** Of an answer that had begun, so the endpoint was not silent. */
const BROKEN_OFF: ReadonlySet<RequestErrorCode> = new Set(['PORTICO_UP_TRUNCATED', 'PORTICO_UP_STALLED'])

export class FailureWatch {
  readonly #clock: Clock
  readonly #policy: () => UpstreamPolicy
  readonly #onTrouble: (reason: string) => void
  /** In a row without an answer in between. */
  #unanswered = 0
  /** Answers in a row that broke off. */
  #broken = 0
  // Since `#windowStart`; counted where the policy looks at the rate alone.
  #requests = 0
  #failures = 0
  #windowStart = 0

  /** `onTrouble` is called with a reason for people. */
  constructor(clock: Clock, policy: () => UpstreamPolicy, onTrouble: (reason: string) => void) {
    this.#clock = clock
    this.#policy = policy
    this.#onTrouble = onTrouble
  }

  /** The head of an answer came. */
  answer(status: number): void {
    this.#unanswered = 0
    const { errorRate, answers } = this.#policy().ejection
    if (errorRate > 0) this.#rate(isFailure(status, answers))
  }

  /** All of an answer came. */
  end(): void {
    this.#broken = 0
  }

  failure({ code }: GatewayError): void {
    if (!ITS_FAULT.has(code)) return
    const { errorRate, consecutiveFailures } = this.#policy().ejection
    if (errorRate > 0) this.#rate(true)
    const count = BROKEN_OFF.has(code) ? ++this.#broken : ++this.#unanswered
    if (consecutiveFailures === 0 || count < consecutiveFailures) return
    this.#unanswered = 0
    this.#broken = 0
    this.#onTrouble(`${count} failures in a row, the last ${code}`)
  }

  #rate(isFailed: boolean): void {
    const { errorRate, minimumRequests, interval } = this.#policy().ejection
    const now = this.#clock.monotonic()
    if (now - this.#windowStart >= interval) this.#beginWindow(now)
    this.#requests++
    if (!isFailed) return
    this.#failures++
    if (this.#requests < minimumRequests || this.#failures * 100 < errorRate * this.#requests) return
    const share = Math.floor((this.#failures * 100) / this.#requests)
    this.#onTrouble(`${share} % of ${this.#requests} requests within ${interval} ms failed`)
    this.#beginWindow(now)
  }

  #beginWindow(now: number): void {
    this.#windowStart = now
    this.#requests = 0
    this.#failures = 0
  }
}

function isFailure(status: number, answers: UpstreamPolicy['ejection']['answers']): boolean {
  if (answers === 'none' || status < 500) return false
  return answers === '5xx' || (status >= 502 && status <= 504)
}
