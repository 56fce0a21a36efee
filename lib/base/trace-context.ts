/** Which trace a request belongs to, as its fields say it: W3C Trace Context and B3. HOT */
import { randomFillSync } from 'node:crypto'

/** Where a request comes from within a trace. */
export type TraceParent = Readonly<{
  /** 32 hexadecimal digits in lower case, not all zeros. */
  traceId: string
  /** 16 of them: the span that made the request. */
  spanId: string
  /** Its spans are recorded there; undefined: the sender leaves the decision to others (B3). */
  isSampled: boolean | undefined
}>

/** Version 00, or a later one that begins as it does (W3C Trace Context §4.3). */
const TRACEPARENT =
  /^(?:00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})|(?!00|ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?)$/

/** Undefined: it is none, and a new trace begins (§4.3). */
export function readTraceparent(text: string): TraceParent | undefined {
  const found = TRACEPARENT.exec(text)
  if (found === null) return undefined
  const [, id, span, flags, laterId, laterSpan, laterFlags] = found
  const isSampled = (Number.parseInt((flags ?? laterFlags)!, 16) & 1) === 1
  return { traceId: (id ?? laterId)!, spanId: (span ?? laterSpan)!, isSampled }
}

export function printTraceparent(traceId: string, spanId: string, isSampled: boolean): string {
  return `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`
}

/** Ids of 64 bits are padded; a sampling state, and the span of the parent's parent, may follow. */
const B3 = /^((?:[0-9a-f]{16}){1,2})-([0-9a-f]{16})(?:-([01d])(?:-[0-9a-f]{16})?)?$/i

/** The one field `b3`. */
export function readB3(text: string): TraceParent | undefined {
  const found = B3.exec(text)
  if (found === null) return undefined
  return makeB3Parent(found[1]!, found[2]!, found[3])
}

/** The fields `X-B3-TraceId`, `X-B3-SpanId`, `X-B3-Sampled` and `X-B3-Flags`. */
export function readB3Fields(
  traceId: string,
  spanId: string,
  sampled?: string,
  flags?: string,
): TraceParent | undefined {
  if (!/^(?:[0-9a-f]{16}){1,2}$/i.test(traceId) || !/^[0-9a-f]{16}$/i.test(spanId)) return undefined
  return makeB3Parent(traceId, spanId, flags === '1' ? 'd' : sampled)
}

function makeB3Parent(traceId: string, spanId: string, state: string | undefined): TraceParent | undefined {
  const parent = { traceId: traceId.toLowerCase().padStart(32, '0'), spanId: spanId.toLowerCase() }
  if (/^0+$/.test(parent.traceId) || /^0+$/.test(parent.spanId)) return undefined
  // Some write true and false.
  const isSampled = state === undefined ? undefined : /^(?:1|d|true)$/i.test(state)
  return { ...parent, isSampled }
}

/** Random bytes, fetched many at a time. */
const pool = Buffer.alloc(4_096)
let used = pool.length

/** A new trace id of 16 bytes, or span id of 8, in hexadecimal digits. */
export function makeId(bytes: 8 | 16): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const id = pool.toString('hex', used, used + bytes)
  used += bytes
  return /[^0]/.test(id) ? id : makeId(bytes)
}

/** True for the share `ratio` of all traces, by the trace's id: all who ask with one ratio come to the same decision. */
export function isInShare(traceId: string, ratio: number): boolean {
  if (ratio >= 1) return true
  return Number.parseInt(traceId.slice(-13), 16) < ratio * 2 ** 52
}
