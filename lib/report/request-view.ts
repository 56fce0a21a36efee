/** The records of requests, as the admin API and `portico tap` show them. */
import { printIsoTime } from '../base/clock.ts'
import { REQUEST_ERRORS } from '../base/errors.ts'
import { printElapsed } from '../base/measure.ts'
import { roundMs } from '../telemetry/access-field.ts'
import { type AccessFields, accessFields } from '../telemetry/access-log.ts'
import type { FilterEffect, RequestCourse, TryCourse } from '../telemetry/course.ts'
import type { RequestRecord } from '../telemetry/record.ts'
import type { FoundRequest } from '../telemetry/request-records.ts'

/** A line of the access log, and where and when it was written. */
export type RequestSummary = AccessFields &
  Readonly<{
    /** ISO 8601: when the request came. */
    time: string
    /** 0: the gateway has no workers. */
    worker: number
    /** Of the field `traceparent`, where the client sent one. */
    trace_id: string | undefined
  }>

/** `at_ms` counts from when the head of the request was there; negative: before. */
export type TimelineEvent = Readonly<{
  event:
    | 'accept'
    | 'tls'
    | 'head'
    | 'match'
    | 'filter'
    | 'body'
    | 'queue'
    | 'pause'
    | 'try'
    | 'connect'
    | 'first_byte'
    | 'end'
  at_ms: number
  duration_ms?: number
  detail?: string
}>

export type AttemptRow = Readonly<{
  endpoint: string
  /** On a connection that had carried other requests. */
  reused: boolean
  /** When it began, from when the request came. */
  at_ms: number
  /** These count from when the attempt began; left out: it has not come so far. */
  connect_ms?: number
  first_byte_ms?: number
  end_ms: number
  /** A status, the code of an error, `stale` or `aborted`. */
  outcome: string
}>

export type FilterRow = Readonly<{ name: string; effect: FilterEffect; at_ms?: number; duration_ms?: number }>

export type RequestDetail = RequestSummary &
  Readonly<{
    timeline: readonly TimelineEvent[]
    attempts: readonly AttemptRow[]
    filters: readonly FilterRow[]
    /** In plain words: why it was answered as it was, and what took its time. */
    cause: string
  }>

/** A wait below this is none, milliseconds. */
const SHORT_MS = 0.5
/** From here on it matters what took the time, milliseconds. */
const LONG_MS = 300

export function summarizeRequest({ record, course, worker }: FoundRequest): RequestSummary {
  return { time: printIsoTime(record.startedAt), worker, trace_id: course?.traceId, ...accessFields(record) }
}

export function describeRequestDetail(found: FoundRequest): RequestDetail {
  const { record, course } = found
  return {
    ...summarizeRequest(found),
    timeline: makeTimeline(record, course),
    attempts: (course?.tries ?? []).map((each) => describeTry(each, record)),
    filters: (course?.filters ?? []).map(({ name, effect, at, duration }) => ({
      name,
      effect,
      ...(at !== undefined && { at_ms: roundMs(at) }),
      ...(duration !== undefined && { duration_ms: roundMs(duration) }),
    })),
    cause: explainCause(record, course),
  }
}

function describeTry(each: TryCourse, record: RequestRecord): AttemptRow {
  const { endpoint, isReused, startedAt, connectedAt, headAt, endedAt = record.durationMs } = each
  return {
    endpoint,
    reused: isReused,
    at_ms: roundMs(startedAt),
    ...(connectedAt !== undefined && { connect_ms: roundMs(connectedAt - startedAt) }),
    ...(headAt !== undefined && { first_byte_ms: roundMs(headAt - startedAt) }),
    end_ms: roundMs(endedAt - startedAt),
    outcome: describeOutcome(each, record),
  }
}

function describeOutcome({ isStale, status, error }: TryCourse, record: RequestRecord): string {
  if (isStale) return 'stale'
  if (error !== undefined) return error
  if (status !== undefined) return String(status)
  return record.error === 'PORTICO_REQ_ABORTED' ? 'aborted' : (record.error ?? 'aborted')
}

function makeTimeline(record: RequestRecord, course: RequestCourse | undefined): readonly TimelineEvent[] {
  const events: TimelineEvent[] = []
  const add = (event: TimelineEvent['event'], at: number, duration?: number, detail?: string): void => {
    events.push({
      event,
      at_ms: roundMs(at),
      ...(duration !== undefined && { duration_ms: roundMs(duration) }),
      ...(detail !== undefined && detail !== '' && { detail }),
    })
  }
  if (course !== undefined) {
    const { acceptedAt, securedAt, turn, matchedAt, filters, tries, wantedAt } = course
    const isFirst = turn === 1
    if (acceptedAt !== undefined && isFirst) {
      add('accept', acceptedAt)
      if (securedAt !== undefined) add('tls', acceptedAt, securedAt - acceptedAt)
    }
    const age = acceptedAt === undefined ? '' : `, which was accepted ${printElapsed(-acceptedAt)} before`
    add('head', 0, undefined, isFirst ? undefined : `request ${turn} of its connection${age}`)
    if (matchedAt !== undefined) add('match', matchedAt, undefined, record.labels?.route)
    for (const { name, effect, at, duration } of filters) {
      if (effect === 'passed' || effect === 'applied') continue
      add('filter', at ?? matchedAt ?? 0, duration, `${name} ${effect}`)
    }
    const read = findReadEnd(course)
    if (record.bytesIn > 0 && wantedAt !== undefined && wantedAt - read > SHORT_MS) {
      add('body', read, wantedAt - read, 'waited for the body of the request')
    }
    let before = wantedAt
    for (const [index, each] of tries.entries()) {
      const { startedAt, connectedAt, headAt, endedAt = record.durationMs, endpoint, isReused } = each
      if (before !== undefined && startedAt - before > SHORT_MS)
        add(index === 0 ? 'queue' : 'pause', before, startedAt - before)
      add('try', startedAt, endedAt - startedAt, `${endpoint}: ${describeOutcome(each, record)}`)
      if (connectedAt !== undefined) {
        add('connect', startedAt, connectedAt - startedAt, isReused ? 'on an open connection' : 'a new connection')
      }
      if (headAt !== undefined) add('first_byte', headAt)
      before = endedAt
    }
    if (tries.length === 0 && wantedAt !== undefined && record.durationMs - wantedAt > SHORT_MS) {
      add('queue', wantedAt, record.durationMs - wantedAt)
    }
  }
  add('end', record.durationMs, undefined, `${record.status}, ${record.bytesOut} bytes sent`)
  return events.sort((a, b) => a.at_ms - b.at_ms)
}

/** When the route was found and its filters had let the request go on. */
function findReadEnd({ matchedAt = 0, filters }: RequestCourse): number {
  return Math.max(matchedAt, ...filters.map(({ at = 0, duration = 0 }) => at + duration))
}

function explainCause(record: RequestRecord, course: RequestCourse | undefined): string {
  const slow = record.durationMs >= LONG_MS && !record.tunnel ? explainTime(record, course) : undefined
  const why = explainAnswer(record, course)
  return slow === undefined ? why : `${why}; ${slow}`
}

function explainAnswer(record: RequestRecord, course: RequestCourse | undefined): string {
  const { error, detail, status, endpoint, tries } = record
  const stop = course?.filters.find(({ effect }) => effect === 'answered' || effect === 'refused')
  if (error !== undefined) {
    const sentence = REQUEST_ERRORS[error][3].replace(/\.$/, '')
    const by = stop?.effect === 'refused' ? `the filter ${stop.name} refused it: ` : ''
    return `${by}${sentence}${detail === undefined ? '' : `: ${detail}`}`
  }
  if (stop?.effect === 'answered') return `the filter ${stop.name} answered ${status}`
  if (endpoint === undefined) return `the gateway answered ${status}`
  const before = detail === undefined ? '' : `, after ${detail}`
  if (record.tunnel) return `${endpoint} switched protocols: the connection was a tunnel${before}`
  return `${endpoint} answered ${status}${tries > 1 ? ` at try ${tries}` : ''}${before}`
}

/** What took most of the time. */
function explainTime({ durationMs, bytesIn }: RequestRecord, course: RequestCourse | undefined): string | undefined {
  if (course === undefined) return undefined
  const spans: (readonly [ms: number, what: string])[] = []
  for (const { name, duration } of course.filters)
    if (duration !== undefined) spans.push([duration, `the filter ${name}`])
  const { wantedAt, tries } = course
  const read = findReadEnd(course)
  if (bytesIn > 0 && wantedAt !== undefined)
    spans.push([wantedAt - read, 'the client, which sent the body of the request'])
  const first = tries[0]?.startedAt ?? durationMs
  if (wantedAt !== undefined) spans.push([first - wantedAt, 'the queue of the Service: its endpoints were full'])
  for (const { endpoint, startedAt, connectedAt, headAt, endedAt = durationMs } of tries) {
    spans.push([(connectedAt ?? endedAt) - startedAt, `the connection to ${endpoint}`])
    if (connectedAt === undefined) continue
    if (headAt === undefined) {
      spans.push([endedAt - connectedAt, `waiting for ${endpoint}, which had not answered`])
      continue
    }
    spans.push([headAt - connectedAt, `${endpoint}, until its answer began`])
    spans.push([endedAt - headAt, `${endpoint}, while its answer came`])
  }
  const end = tries.at(-1)?.endedAt
  if (end !== undefined) spans.push([durationMs - end, 'the client, which took the answer'])
  const [most] = spans.sort(([a], [b]) => b - a)
  return most && most[0] >= durationMs / 3
    ? `most of its ${printElapsed(durationMs)} went to ${most[1]} (${printElapsed(most[0])})`
    : undefined
}
