/** Tells how a request went on, out of the numbers that were noted of it. */
import type { FilterChain } from '../filters/chain.ts'
import type { FilterCourse, FilterEffect, RequestCourse } from '../telemetry/course.ts'
import type { Attempts } from './attempts.ts'
import type { ConnectionInfo } from './connection-info.ts'

export type AskedChain = Pick<FilterChain, 'ofRequest' | 'nameStep' | 'nameOthers'>

/** The filter of a chain that ended the request: the index of its step. */
export type FilterStop = Readonly<{ chain: AskedChain; index: number }>

/** A wait for a filter, by the monotonic clock; `until` is 0 while it lasts. */
export type FilterWaitTime = {
  readonly chain: AskedChain
  readonly index: number
  readonly from: number
  until: number
}

/** The request, as far as its course is concerned. */
export type CourseSubject = {
  readonly exchange: Readonly<{ connection: Pick<ConnectionInfo, 'acceptedAt' | 'securedAt'> }>
  readonly startedMonotonic: number
  readonly turn: number
  readonly matchedAt: number
  readonly attempts: Attempts | undefined
  readonly traceId: string | undefined
  readonly asked: readonly AskedChain[] | undefined
  readonly filterWaits: readonly FilterWaitTime[] | undefined
  readonly stop: FilterStop | undefined
  readonly served: Readonly<{ filters: AskedChain | undefined }> | undefined
  readonly error: object | undefined
  readonly status: number
}

export function tellCourse(context: CourseSubject): RequestCourse {
  const { attempts, matchedAt, turn, startedMonotonic: origin } = context
  const { acceptedAt, securedAt } = context.exchange.connection
  const tries = [...(attempts?.earlierTries ?? []), ...(attempts?.lastTry ? [attempts.lastTry] : [])]
  return {
    acceptedAt: acceptedAt === undefined ? undefined : acceptedAt - origin,
    securedAt: securedAt === undefined ? undefined : securedAt - origin,
    turn,
    matchedAt: context.served === undefined ? undefined : matchedAt === 0 ? 0 : matchedAt - origin,
    filters: tellFilters(context),
    wantedAt: attempts === undefined || attempts.wantedAt === 0 ? undefined : attempts.wantedAt - origin,
    tries: tries.map((each) => each.tell(origin)),
    traceId: context.traceId,
  }
}

function tellFilters(context: CourseSubject): readonly FilterCourse[] {
  const { asked, served, stop, startedMonotonic: origin } = context
  const told: FilterCourse[] = []
  for (const chain of asked ?? []) {
    const last = stop?.chain === chain ? stop.index : chain.ofRequest.length - 1
    for (let index = 0; index <= last; index++) {
      const wait = context.filterWaits?.find((each) => each.chain === chain && each.index === index)
      const isStop = stop?.chain === chain && stop.index === index
      const effect = isStop ? findEnd(context) : wait ? 'waited' : 'passed'
      const duration = wait && wait.until > 0 ? wait.until - wait.from : undefined
      const name = chain.nameStep(index)
      // A filter may be asked in two steps: what it did in one of them says more than that it let the request pass in the other.
      const before = told.findIndex((each) => each.name === name && each.effect === 'passed')
      if (before >= 0) told.splice(before, 1)
      else if (effect === 'passed' && told.some((each) => each.name === name)) continue
      told.push({ name, effect, at: wait && wait.from - origin, duration })
    }
    if (stop?.chain === chain) return told
  }
  const others = context.attempts === undefined ? [] : (served?.filters?.nameOthers() ?? [])
  return [...told, ...others.map((name) => ({ name, effect: 'applied' as const, at: undefined, duration: undefined }))]
}

/** What the last filter that was asked did. Without a status the client went away while it was waited for. */
function findEnd({ error, status }: CourseSubject): FilterEffect {
  if (error !== undefined) return 'refused'
  return status === 0 ? 'waited' : 'answered'
}
