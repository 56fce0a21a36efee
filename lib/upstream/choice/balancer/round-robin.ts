/** Smooth weighted round robin: picks in proportion to the weights, spread as evenly as possible. HOT */
import type { EndpointState } from '../../endpoint/endpoint.ts'
import type { PickContext } from '../pick-context.ts'
import { type Balancer, type Candidate, isOpen } from './balancer.ts'

/** The state of an upstream's rotation, kept from pick to pick and from snapshot to snapshot. */
export class Rotation {
  /** The position in the current round, from 0 to 1; `last` is the weight of the group that had its turn there. */
  time: number = 0
  last: number = 0
  /** Picks made within each group, by weight. */
  readonly turns: Map<number, Turns> = new Map()
}

type Turns = { count: number }

/** Candidates of the same weight take plain turns, so a group acts like one candidate with the sum of their weights. */
type Group = {
  readonly weight: number
  readonly total: number
  readonly members: Candidate[]
  /** The turns of its members. */
  readonly turns: Turns
  /** The number of turns it had in the current round, out of `total`. */
  count: number
  /** The position in the round of its next turn; above 1 if that is in the next round. */
  due: number
}

const FIRST = 0

/**
 * A round has as many picks as the sum of the weights. Turn k of a group is due when (k + ½) / total of the round has passed, and the
 * group that is due first is next. Over a round every weight is met exactly. A pick costs the logarithm of the number of different
 * weights.
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
    // A candidate that does not take requests loses its turn, and no particular candidate inherits it.
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
    // All groups enter the next round together, so their order stays.
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

/** The groups at the time of the rotation: turns that were due before count as taken. */
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
