/** Several results of a look-up, each for its share of the requests. HOT */
import { EvenSpread } from '../base/even-spread.ts'
import { type RoutedRequest, readCookie } from './predicates.ts'

/** The cookie that keeps clients with the value that they were given. */
export type SplitCookie = Readonly<{
  name: string
  /** What it says of each value; undefined: no client is kept with it. */
  marks: readonly (string | undefined)[]
}>

type SplitOptions<R> = Readonly<{
  /** Undefined: clients are not kept. */
  cookie?: SplitCookie | undefined
  /** The picks go on from those of this one. */
  before?: Split<R>
}>

/** Picks are spread evenly: after any number of them each value is within a few picks of its share. */
export class Split<R> {
  readonly values: readonly R[]
  readonly weights: readonly number[]
  readonly #cookieName: string
  /** By what the cookie says of them; undefined: clients are not kept. */
  readonly #marked: ReadonlyMap<string, R> | undefined
  /** Where the part of each value ends, from 0 to 1. */
  readonly #ends: readonly number[]
  readonly #spread: EvenSpread

  /** Weights are not negative, and at least one is positive. */
  constructor(values: readonly R[], weights: readonly number[], { cookie, before }: SplitOptions<R> = {}) {
    this.values = values
    this.weights = weights
    this.#cookieName = cookie?.name ?? ''
    this.#marked = cookie && listMarked(values, weights, cookie)
    this.#spread = before === undefined ? new EvenSpread() : before.#spread
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    let sum = 0
    this.#ends = weights.map((weight) => {
      sum += weight
      return sum / total
    })
  }

  /** The value of this client; any, by their shares, where the client has none. */
  pick(request: Pick<RoutedRequest, 'header'>): R {
    const kept = this.#marked?.get(readCookie(request, this.#cookieName) ?? '')
    if (kept !== undefined) return kept
    const point = this.#spread.next()
    let at = 0
    while (point >= this.#ends[at]!) at++
    return this.values[at]!
  }
}

/** A value whose weight is 0 keeps nobody. */
function listMarked<R>(
  values: readonly R[],
  weights: readonly number[],
  { marks }: SplitCookie,
): ReadonlyMap<string, R> {
  const marked = new Map<string, R>()
  for (const [at, value] of values.entries()) {
    const mark = marks[at]
    if (mark !== undefined && weights[at]! > 0) marked.set(mark, value)
  }
  return marked
}
