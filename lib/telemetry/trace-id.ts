/** The trace that a request belongs to, as its client says (W3C Trace Context §3.2). */

const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-|$)/
const NONE = '0'.repeat(32)

/** The trace id of a `traceparent` field; undefined: it is none. Versions beyond 00 may have more behind (§4.3). */
export function readTraceId(traceparent: string | undefined): string | undefined {
  if (traceparent === undefined) return undefined
  const id = TRACEPARENT.exec(traceparent)?.[1]
  return id === NONE ? undefined : id
}
