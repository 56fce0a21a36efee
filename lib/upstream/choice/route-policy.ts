/** The policy for the requests of some routes: that of the upstream, with what an Ingress has otherwise for its own. HOT */
import { mergePolicy, type PolicyOverrides, type UpstreamPolicy } from '../../settings/service.ts'
import type { UpstreamPool } from './pool.ts'

/** Whoever knows the policy in force. */
export type PolicySource = { readonly policy: UpstreamPolicy }

/** Routes of one Ingress to one pool share theirs. */
const known = new WeakMap<UpstreamPool, WeakMap<PolicyOverrides, PolicySource>>()

export function findRoutePolicy(pool: UpstreamPool, overrides: PolicyOverrides | undefined): PolicySource {
  if (overrides === undefined) return pool
  let ofPool = known.get(pool)
  if (!ofPool) {
    ofPool = new WeakMap()
    known.set(pool, ofPool)
  }
  let found = ofPool.get(overrides)
  if (!found) {
    found = new RoutePolicy(pool, overrides)
    ofPool.set(overrides, found)
  }
  return found
}

class RoutePolicy implements PolicySource {
  readonly #pool: UpstreamPool
  readonly #overrides: PolicyOverrides
  /** What `#policy` was made of. */
  #base: UpstreamPolicy | undefined = undefined
  #policy: UpstreamPolicy | undefined = undefined

  constructor(pool: UpstreamPool, overrides: PolicyOverrides) {
    this.#pool = pool
    this.#overrides = overrides
  }

  get policy(): UpstreamPolicy {
    const base = this.#pool.policy
    if (this.#policy === undefined || base !== this.#base) {
      this.#policy = mergePolicy(base, this.#overrides)
      this.#base = base
    }
    return this.#policy
  }
}
