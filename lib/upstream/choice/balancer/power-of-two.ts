/** The better of two endpoints drawn at random: nearly as even as comparing all, and workers do not all choose the same one. HOT */
import type { Clock } from '../../../base/clock.ts'
import type { EndpointState } from '../../endpoint/endpoint.ts'
import { Latency } from '../../endpoint/latency.ts'
import type { PickContext } from '../pick-context.ts'
import type { Balancer, Candidate, RandomSource } from './balancer.ts'
import { OpenDraw } from './random.ts'

/** Chooses the endpoint with fewer requests under way for its weight. */
export class PowerOfTwo implements Balancer {
  readonly #draw: OpenDraw

  constructor(candidates: readonly Candidate[], random: RandomSource = Math.random) {
    this.#draw = new OpenDraw(candidates, random)
  }

  pick(_context: PickContext, tried: readonly EndpointState[]): Candidate | undefined {
    const one = this.#draw.draw(tried, undefined)
    const other = one && this.#draw.draw(tried, one)
    if (!one || !other) return one
    return loadOf(other) < loadOf(one) ? other : one
  }
}

/** The load of one unit of weight. The draw already follows the weights. */
function loadOf({ state, weight }: Candidate): number {
  return state.inFlight / weight
}

/**
 * Chooses by recent response time times requests under way, with one more counted, like the peak EWMA of Finagle and linkerd. An
 * endpoint without a known time counts as fast as the other.
 */
export class Ewma implements Balancer {
  readonly #draw: OpenDraw
  readonly #clock: Clock

  constructor(candidates: readonly Candidate[], clock: Clock, random: RandomSource = Math.random) {
    this.#draw = new OpenDraw(candidates, random)
    this.#clock = clock
    for (const { state } of candidates) state.latency ??= new Latency(clock)
  }

  pick(_context: PickContext, tried: readonly EndpointState[]): Candidate | undefined {
    const one = this.#draw.draw(tried, undefined)
    const other = one && this.#draw.draw(tried, one)
    if (!one || !other) return one
    const now = this.#clock.monotonic()
    const ms = one.state.latency!.read(now)
    const otherMs = other.state.latency!.read(now)
    return costOf(other, otherMs ?? ms ?? 1) < costOf(one, ms ?? otherMs ?? 1) ? other : one
  }
}

function costOf({ state, weight }: Candidate, ms: number): number {
  return ms * (1 + state.inFlight / weight)
}
