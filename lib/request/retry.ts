/** Which failures and answers lead to another attempt, by the policy, and when it is made. */
import type { GatewayError } from '../base/errors.ts'
import type { UpstreamPolicy } from '../settings/service.ts'
import type { RetryReason } from '../telemetry/record.ts'

/** RFC 9110 §9.2.2: sent twice they mean what they mean once. */
const REPEATABLE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])
const GATEWAY_ERRORS = [502, 503, 504]
const SERVER_ERRORS = Array.from({ length: 100 }, (_, index) => 500 + index)

type RetryPolicy = UpstreamPolicy['retry']
type RetryConditions = Readonly<{ names: ReadonlySet<string>; statuses: ReadonlySet<number> }>

const known = new WeakMap<RetryPolicy, RetryConditions>()

/** True if two requests of this method mean what one means. */
export function isIdempotent(method: string): boolean {
  return REPEATABLE.has(method)
}

/** True if a request of this method may be sent again although an endpoint may have had it. */
export function mayRepeat(method: string, { methods }: RetryPolicy): boolean {
  return isIdempotent(method) || methods.includes(method)
}

/** True if the policy wants another attempt after an answer of this status. */
export function isRetriedStatus(status: number, policy: RetryPolicy): boolean {
  return findConditions(policy).statuses.has(status)
}

/** True if the policy wants another attempt after a failure for this reason. */
export function isRetriedFailure(reason: RetryReason, policy: RetryPolicy): boolean {
  return findConditions(policy).names.has(reason)
}

/**
 * The reason for which a request may be sent again that failed after it was sent; undefined: there is none. `hasAnswered`: a byte of
 * the answer has come.
 */
export function findRetryReason({ code }: GatewayError, hasAnswered: boolean): RetryReason | undefined {
  if (code === 'PORTICO_UP_BAD_RESPONSE') return 'bad-answer'
  return code === 'PORTICO_UP_RESET' && !hasAnswered ? 'reset' : undefined
}

function findConditions(policy: RetryPolicy): RetryConditions {
  let found = known.get(policy)
  if (!found) {
    const statuses = policy.conditions.flatMap((name) => {
      if (name === 'gateway-error') return GATEWAY_ERRORS
      return name === '5xx' ? SERVER_ERRORS : /^\d/.test(name) ? [Number(name)] : []
    })
    found = { names: new Set(policy.conditions), statuses: new Set(statuses) }
    known.set(policy, found)
  }
  return found
}

/** Milliseconds. Full jitter: requests that failed together do not come again together. `failed` attempts, at least one, were made. */
export function chooseBackoff(
  failed: number,
  { backoff, maxBackoff }: Pick<RetryPolicy, 'backoff' | 'maxBackoff'>,
  random: () => number = Math.random,
): number {
  return random() * Math.min(backoff * 2 ** (failed - 1), maxBackoff)
}
