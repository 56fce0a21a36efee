/** Whether and when a request is tried again. Nothing here is made for a request that goes well at once. */
import { GatewayError } from '../base/errors.ts'
import type { UpstreamPolicy } from '../settings/service.ts'
import type { RetryReason } from '../telemetry/record.ts'
import type { UpstreamPool } from '../upstream/choice/pool.ts'
import type { EndpointState } from '../upstream/endpoint/endpoint.ts'
import type { RequestContext } from './context.ts'
import { Retries } from './retries.ts'

/** RFC 9110 §9.2.2: sent twice they mean what they mean once. */
const REPEATABLE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])
const GATEWAY_ERRORS = [502, 503, 504]
const SERVER_ERRORS = Array.from({ length: 100 }, (_, index) => 500 + index)

type RetryPolicy = UpstreamPolicy['retry']
type RetryConditions = Readonly<{ names: ReadonlySet<string>; statuses: ReadonlySet<number> }>

const known = new WeakMap<RetryPolicy, RetryConditions>()

/** Whether a request of this method may be sent again although an endpoint may have had it. */
export function mayRepeat(method: string, { methods }: RetryPolicy): boolean {
  return REPEATABLE.has(method) || methods.includes(method)
}

/** Whether an answer of this status is one after which another try is wanted. */
export function isRetriedStatus(status: number, policy: RetryPolicy): boolean {
  return findConditions(policy).statuses.has(status)
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

/** A try that failed, as far as it matters for the next. */
export type FailedTry = Readonly<{
  context: RequestContext
  policy: UpstreamPolicy
  pool: UpstreamPool
  /** Where it was tried so far, the failed try included. */
  tried: readonly EndpointState[]
  reason: RetryReason
}>

type Tried = Pick<FailedTry, 'context' | 'pool' | 'tried'>

function hasOther({ context, pool, tried }: Tried): boolean {
  return !(pool.pick(context, tried) instanceof GatewayError)
}

/** Whether a request whose endpoint cannot be connected to goes on to another one. Nothing of it was sent. */
export function leadsElsewhere(attempt: Omit<FailedTry, 'reason'>): boolean {
  const { policy, tried } = attempt
  if (tried.length >= policy.tries || !findConditions(policy.retry).names.has('connect-failure')) return false
  return hasOther(attempt)
}

/** Milliseconds until the next try; negative: there is none. Whether the request can be sent again at all is known already. */
export function decideRetry(failed: FailedTry): number {
  const { context, policy, pool, tried, reason } = failed
  const { retry } = policy
  if (tried.length >= policy.tries) return -1
  if (reason !== 'status' && !findConditions(retry).names.has(reason)) return -1
  const nothingSent = reason === 'connect-failure'
  if (!nothingSent && !mayRepeat(context.exchange.method, retry)) return -1
  // An endpoint that could not be connected to had no work of it, so that the next one only has what was to be done anyway.
  if (nothingSent && hasOther(failed)) return 0
  if (pool.budget.take(context.clock.monotonic(), retry)) return chooseBackoff(tried.length, retry)
  context.retries ??= new Retries()
  context.retries.refuse(reason)
  return -1
}

/** Full jitter: whoever failed together does not come again together. `failed` tries, at least one, were made. */
export function chooseBackoff(
  failed: number,
  { backoff, maxBackoff }: Pick<RetryPolicy, 'backoff' | 'maxBackoff'>,
  random: () => number = Math.random,
): number {
  return random() * Math.min(backoff * 2 ** (failed - 1), maxBackoff)
}
