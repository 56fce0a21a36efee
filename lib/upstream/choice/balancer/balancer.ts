/** How one of several endpoints is chosen for a request or connection. HOT */

import type { EndpointState } from '../../endpoint/endpoint.ts'
import type { Candidate } from '../candidates.ts'
import type { PickContext } from '../pick-context.ts'

export type { Candidate }

/** Chooses among fixed candidates, none of which has weight 0. */
export type Balancer = {
  /**
   * One that takes requests and is not among `tried`, undefined if there is none. With something in `tried` it is another try
   * of the same request, which turns nobody's order.
   */
  pick(context: PickContext, tried: readonly EndpointState[]): Candidate | undefined
}

/** Whether a candidate may be chosen. */
export function isOpen({ state }: Candidate, tried: readonly EndpointState[]): boolean {
  return state.takes && (tried.length === 0 || !tried.includes(state))
}

/** From 0 up to 1; given by tests. */
export type RandomSource = () => number
