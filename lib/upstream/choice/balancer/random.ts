/** Chooses at random, in proportion to the weights. HOT */
import type { EndpointState } from '../../endpoint/endpoint.ts'
import type { PickContext } from '../pick-context.ts'
import { AliasTable } from './alias-table.ts'
import { type Balancer, type Candidate, isOpen, type RandomSource } from './balancer.ts'

/** After this many draws in vain, candidates are checked one by one. */
const MAX_DRAWS = 8

export class Random implements Balancer {
  readonly #draw: OpenDraw

  constructor(candidates: readonly Candidate[], random: RandomSource = Math.random) {
    this.#draw = new OpenDraw(candidates, random)
  }

  pick(_context: PickContext, tried: readonly EndpointState[]): Candidate | undefined {
    return this.#draw.draw(tried, undefined)
  }
}

/** Draws candidates that may be chosen, in proportion to the weights. */
export class OpenDraw {
  readonly #candidates: readonly Candidate[]
  readonly #table: AliasTable
  readonly #random: RandomSource

  constructor(candidates: readonly Candidate[], random: RandomSource) {
    this.#candidates = candidates
    this.#table = new AliasTable(
      candidates.map(({ weight }) => weight),
      random,
    )
    this.#random = random
  }

  /** Draws another candidate than `but`; undefined if there is none. */
  draw(tried: readonly EndpointState[], but: Candidate | undefined): Candidate | undefined {
    const candidates = this.#candidates
    if (candidates.length === 1) return this.#drawOnly(tried, but)
    for (let draws = 0; draws < MAX_DRAWS; draws++) {
      const candidate = candidates[this.#table.draw()]
      if (candidate === undefined) return undefined
      if (candidate !== but && isOpen(candidate, tried)) return candidate
    }
    return this.#drawAmongOpen(tried, but)
  }

  #drawOnly(tried: readonly EndpointState[], but: Candidate | undefined): Candidate | undefined {
    const only = this.#candidates[0]!
    return only !== but && isOpen(only, tried) ? only : undefined
  }

  #drawAmongOpen(tried: readonly EndpointState[], but: Candidate | undefined): Candidate | undefined {
    const open = this.#candidates.filter((candidate) => candidate !== but && isOpen(candidate, tried))
    let rest = this.#random() * open.reduce((total, { weight }) => total + weight, 0)
    for (const candidate of open) {
      rest -= candidate.weight
      if (rest < 0) return candidate
    }
    return open.at(-1)
  }
}
