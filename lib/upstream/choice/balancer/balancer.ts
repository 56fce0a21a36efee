/** The choice of an endpoint for a request or connection. HOT */

import type { EndpointState } from '../../endpoint/endpoint.ts'
import type { Candidate } from '../candidates.ts'
import type { PickContext } from '../pick-context.ts'

export type { Candidate }

/** Chooses among fixed candidates, whose weights are above 0. */
export type Balancer = {
  /**
   * A candidate that takes requests and is not among `tried`; undefined if there is none. If `tried` is not empty, this is another
   * try of the same request, which must not change the order of turns.
   */
  pick(context: PickContext, tried: readonly EndpointState[]): Candidate | undefined
}

/** True if a candidate may be chosen. */
export function isOpen({ state }: Candidate, tried: readonly EndpointState[]): boolean {
  return state.takes && (tried.length === 0 || !tried.includes(state))
}

/** A number from 0 up to, but not including, 1; tests give their own. */
export type RandomSource = () => number
