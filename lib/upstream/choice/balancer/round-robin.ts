/** Smooth weighted round robin: each pick in proportion to the weights, spread as evenly as they allow. HOT */
import type { EndpointState } from '../../endpoint/endpoint.ts'
import type { PickContext } from '../pick-context.ts'
import { type Balancer, type Candidate, isOpen } from './balancer.ts'

/** What the rotation of an upstream remembers from pick to pick and from snapshot to snapshot. */
export class Rotation {
  /** How far the current round is, from 0 to 1, and the group (by weight) that had its turn there. */
  time: number = 0
  last: number = 0
  /** Picks made within each group, by weight. */
  readonly turns: Map<number, Turns> = new Map()
}

type Turns = { count: number }

/** Candidates of the same weight: they take plain turns, so all of them together are as one of the sum of their weights. */
type Group = {
  readonly weight: number
  readonly total: number
  readonly members: Candidate[]
  /** Of its members. */
  readonly turns: Turns
  /** Turns it had in the current round, which has `total` of them. */
  count: number
  /** Where in the round its next turn is; above 1: in the next round. */
  due: number
}

const FIRST = 0

/**
 * A round is as many picks as the sum of the weights. Turn k of a group is due when (k + ½) / total of the round has passed,
 * and whoever is due first is next: over a round every weight is met exactly, and a pick costs the logarithm of the number of
 * different weights.
 */
export class RoundRobin implements Balancer {
  readonly #rotation: Rotation
  readonly #size: number
  /** A heap by `due`, then `weight`. */
  readonly #groups: Group[]

  constructor(candidates: readonly Candidate[], rotation: Rotation) {
    this.#rotation = rotation
    this.#size = candidates.length
    this.#groups = group(candidates, rotation)
    for (let at = (this.#groups.length >> 1) - 1; at >= 0; at--) this.#sink(at)
    const weights = new Set(this.#groups.map(({ weight }) => weight))
    for (const weight of rotation.turns.keys()) if (!weights.has(weight)) rotation.turns.delete(weight)
  }

  pick(_context: PickContext, tried: readonly EndpointState[]): Candidate | undefined {
    if (tried.length > 0) return this.#pickAnother(tried)
    // Whoever does not take requests gives up the turn, and nobody in particular inherits it.
    for (let misses = 0; misses < this.#size; misses++) {
      const candidate = this.#next()
      if (candidate?.state.takes) return candidate
    }
    return this.#pickAnother(tried)
  }

  #next(): Candidate | undefined {
    const first = this.#groups[FIRST]
    if (first === undefined) return undefined
    if (this.#groups.length > 1) this.#advance(first)
    const { members, turns } = first
    const candidate = members[turns.count % members.length]
    turns.count = (turns.count + 1) % Number.MAX_SAFE_INTEGER
    return candidate
  }

  #advance(group: Group): void {
    const rotation = this.#rotation
    rotation.time = group.due
    rotation.last = group.weight
    group.count++
    if (group.count < group.total) group.due = dueOf(group, group.count)
    else group.due = 1 + dueOf(group, 0)
    this.#sink(FIRST)
    if (this.#groups[FIRST]!.due > 1) this.#beginRound()
  }

  #beginRound(): void {
    const rotation = this.#rotation
    rotation.time = 0
    rotation.last = 0
    // All are in the next round together, so their order is as it was.
    for (const each of this.#groups) {
      each.count = 0
      each.due = dueOf(each, 0)
    }
    for (let at = (this.#groups.length >> 1) - 1; at >= 0; at--) this.#sink(at)
  }

  #pickAnother(tried: readonly EndpointState[]): Candidate | undefined {
    for (const { members, turns } of this.#groups) {
      for (let step = 0; step < members.length; step++) {
        const candidate = members[(turns.count + step) % members.length]!
        if (isOpen(candidate, tried)) return candidate
      }
    }
    return undefined
  }

  #sink(start: number): void {
    const groups = this.#groups
    let at = start
    for (;;) {
      const left = 2 * at + 1
      if (left >= groups.length) return
      const right = left + 1
      const child = right < groups.length && isBefore(groups[right]!, groups[left]!) ? right : left
      if (!isBefore(groups[child]!, groups[at]!)) return
      const moved = groups[at]!
      groups[at] = groups[child]!
      groups[child] = moved
      at = child
    }
  }
}

function isBefore(one: Group, other: Group): boolean {
  return one.due < other.due || (one.due === other.due && one.weight > other.weight)
}

function dueOf({ total }: Group, count: number): number {
  return (count + 0.5) / total
}

/** The groups as they stand at the time of the rotation: turns that were due before were had. */
function group(candidates: readonly Candidate[], { time, last, turns }: Rotation): Group[] {
  const members = new Map<number, Candidate[]>()
  for (const candidate of candidates) {
    const known = members.get(candidate.weight)
    if (known) known.push(candidate)
    else members.set(candidate.weight, [candidate])
  }
  return [...members].map(([weight, list]) => {
    const total = weight * list.length
    const known = turns.get(weight) ?? { count: 0 }
    turns.set(weight, known)
    const group: Group = { weight, total, members: list, turns: known, count: 0, due: 0 }
    let count = Math.max(0, Math.floor(time * total) - 1)
    const isOver = (due: number) => due < time || (due === time && last !== 0 && weight >= last)
    while (count < total && isOver(dueOf(group, count))) count++
    group.count = count
    group.due = count < total ? dueOf(group, count) : 1 + dueOf(group, 0)
    return group
  })
}
