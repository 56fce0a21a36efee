/** What is asked of a request before it goes on, in order. HOT */
import type { GatewayError } from '../base/errors.ts'
import type { ResourceRef } from '../model/resource-ref.ts'
import { type Filter, type FilterAnswer, type FilterOutcome, type FilterRequest, PendingOutcome } from './spec.ts'

type Ask = (request: FilterRequest) => FilterOutcome | PendingOutcome

export type Step = Readonly<{
  request: Ask
  /** The filters that are asked: one, or all whose checks are joined. */
  filters: readonly Filter[]
  /** The name of the first of them, for metrics; `''` where nobody named it. */
  name: string
}>

/**
 * If a filter joins the checks, the checks of its own object become one step, in the place of the first of them. The checks of another
 * object stay steps of their own, since that object has not said that one is enough. `owners` are the objects of the filters, in their
 * order.
 */
export function listSteps(
  filters: readonly Filter[],
  owners: readonly (ResourceRef | undefined)[] = [],
  names: readonly string[] = [],
): readonly Step[] {
  const nameOf = (filter: Filter | undefined) => (filter && names[filters.indexOf(filter)]) ?? ''
  const joining = filters.findIndex(({ joinsChecks }) => joinsChecks)
  const checking = filters.filter(({ check }, at) => check !== undefined && isSame(owners[at], owners[joining]))
  const isJoined = joining >= 0 && checking.length > 1
  const joined: Step = {
    request: joinChecks(checking.map((filter) => (request) => filter.check!(request))),
    filters: checking,
    name: nameOf(checking[0]),
  }
  return filters.flatMap((filter) => {
    const steps: Step[] = []
    if (filter.request)
      steps.push({ request: (request) => filter.request!(request), filters: [filter], name: nameOf(filter) })
    if (filter.check && !(isJoined && checking.includes(filter)))
      steps.push({ request: (request) => filter.check!(request), filters: [filter], name: nameOf(filter) })
    if (isJoined && filter === checking[0]) steps.push(joined)
    return steps
  })
}

function isSame(a: ResourceRef | undefined, b: ResourceRef | undefined): boolean {
  return a?.kind === b?.kind && a?.namespace === b?.namespace && a?.name === b?.name
}

/** Lets a request go on if one of the checks does; each is asked only if those before it refuse. */
function joinChecks(checks: readonly Ask[]): Ask {
  return (request) => {
    let refusal: Refusal | undefined
    for (let at = 0; at < checks.length; at++) {
      const outcome = checks[at]!(request)
      if (outcome === undefined) return undefined
      if (outcome instanceof PendingOutcome) {
        const wait = new JoinedWait(checks.slice(at + 1), request, outcome)
        return new PendingOutcome(wait.run(refusal), () => wait.cancel())
      }
      refusal = choose(refusal, outcome)
    }
    return refusal
  }
}

type Refusal = FilterAnswer | GatewayError

/** As nginx has it: 403 says least, since it tells the client no way in. */
function choose(before: Refusal | undefined, refusal: Refusal): Refusal {
  return before !== undefined && refusal.status === 403 ? before : refusal
}

/** Checks one after the other, from one that is under way. */
class JoinedWait {
  readonly #later: readonly Ask[]
  readonly #request: FilterRequest
  #pending: PendingOutcome
  #isCancelled = false

  constructor(later: readonly Ask[], request: FilterRequest, pending: PendingOutcome) {
    this.#later = later
    this.#request = request
    this.#pending = pending
  }

  async run(refused: Refusal | undefined): Promise<FilterOutcome> {
    let refusal = refused
    let outcome = await this.#pending.outcome
    for (const ask of this.#later) {
      if (outcome === undefined || this.#isCancelled) break
      refusal = choose(refusal, outcome)
      const next = ask(this.#request)
      if (next instanceof PendingOutcome) {
        this.#pending = next
        outcome = await next.outcome
      } else outcome = next
    }
    return outcome && choose(refusal, outcome)
  }

  cancel(): void {
    this.#isCancelled = true
    this.#pending.cancel()
  }
}
