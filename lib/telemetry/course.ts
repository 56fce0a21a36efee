/** How a request went on: what its record holds beside what the access log says, as numbers and names. Times are milliseconds since it came, and negative before. */

import type { RequestErrorCode } from '../base/errors.ts'

/** What a filter did to a request: it was asked, and let it go on, at once or after a wait; it answered or refused it; or it acts on heads and bodies alone. */
export type FilterEffect = 'passed' | 'waited' | 'answered' | 'refused' | 'applied'

export type FilterCourse = Readonly<{
  /** Of several whose checks are joined: all of them. */
  name: string
  effect: FilterEffect
  /** Undefined where no time was noted: it was passed at once, or acts on heads and bodies. */
  at: number | undefined
  /** Of a wait. */
  duration: number | undefined
}>

export type TryCourse = Readonly<{
  /** `host:port` */
  endpoint: string
  startedAt: number
  /** Sent on a connection that had carried other requests. */
  isReused: boolean
  /** Undefined: there was no connection. */
  connectedAt: number | undefined
  /** When the head of the answer was there; undefined: none came. */
  headAt: number | undefined
  /** Undefined: with the request. */
  endedAt: number | undefined
  /** Undefined: no answer came. */
  status: number | undefined
  /** Why it failed. */
  error: RequestErrorCode | undefined
  /** The endpoint was just closing the connection. */
  isStale: boolean
}>

export type RequestCourse = Readonly<{
  /** Of the connection; undefined where it is not known. */
  acceptedAt: number | undefined
  /** When the TLS handshake was done. */
  securedAt: number | undefined
  /** Which request of its connection it is, beginning with 1. */
  turn: number
  /** When its route was found; undefined: none was. */
  matchedAt: number | undefined
  filters: readonly FilterCourse[]
  /** When an endpoint was wanted first; undefined: none was. */
  wantedAt: number | undefined
  tries: readonly TryCourse[]
  /** Undefined: tracing is off, and the client sent no `traceparent`. */
  traceId: string | undefined
}>

/** The place of a request in a trace. Ids are in hexadecimal digits. */
export type RequestTrace = Readonly<{
  traceId: string
  spanId: string
  /** The span of the client; undefined: the trace begins here. */
  parentId: string | undefined
  /** The span of each try; one that was sent again on another connection is the same. */
  tries: readonly string[]
}>

/** What can tell the course of a request; asked for requests that are kept or traced. */
export type CourseTeller = {
  tellCourse(): RequestCourse
  /** Undefined: tracing is off, or the request could not be read. */
  readonly trace: Readonly<{ isSampled: boolean; tell(): RequestTrace }> | undefined
}
