/** A request as a part of a trace: which one it is, and what the endpoint is told of it. HOT */
import {
  isInShare,
  makeId,
  printTraceparent,
  readB3,
  readB3Fields,
  readTraceparent,
  type TraceParent,
} from '../base/trace-context.ts'
import { SoughtNames } from '../filters/field-lines.ts'
import type { Settings } from '../settings/table.ts'
import type { RequestTrace } from '../telemetry/course.ts'

type Tracing = Settings['tracing']

/** What a request needs to be a part of a trace. */
export type TracedRequest = Readonly<{ header(name: string): string | undefined; isFromTrusted: boolean }>

/** Fields of the client that say which trace it is, by what `tracing.propagation` may be. */
const NAMES = {
  w3c: new SoughtNames(['traceparent']),
  // State of the trace that the client was in belongs to no other.
  'w3c-new': new SoughtNames(['traceparent', 'tracestate']),
  b3: new SoughtNames(['b3']),
  'b3-multi': new SoughtNames(['x-b3-traceid', 'x-b3-spanid', 'x-b3-parentspanid', 'x-b3-sampled', 'x-b3-flags']),
} as const

export class Trace {
  readonly traceId: string
  /** Of the request as this gateway serves it. */
  readonly spanId: string = makeId(8)
  readonly parent: TraceParent | undefined
  /** Its spans are sent to the collector. */
  readonly isSampled: boolean
  /** The span of each try. */
  readonly tries: string[] = []
  readonly #propagation: Tracing['propagation']
  #line = ''

  private constructor(tracing: Tracing, parent: TraceParent | undefined) {
    this.#propagation = tracing.propagation
    this.parent = parent
    this.traceId = parent?.traceId ?? makeId(16)
    this.isSampled = parent?.isSampled ?? isInShare(this.traceId, tracing.sampling)
  }

  /** Undefined: tracing is off, and what the client says of traces goes on as it is. */
  static begin(tracing: Tracing, request: TracedRequest): Trace | undefined {
    if (tracing.exporter === 'none') return undefined
    const { parents } = tracing
    const isBelieved = parents === 'all' || (parents === 'trusted' && request.isFromTrusted)
    return new Trace(tracing, isBelieved ? readParent(tracing, request) : undefined)
  }

  /** The client's lines without what it says of its trace. */
  clean(lines: string): string {
    const name = this.#propagation === 'w3c' && this.parent === undefined ? 'w3c-new' : this.#propagation
    return NAMES[name].remove(lines)
  }

  /** Lines with that of the next try in place of the try before. */
  moveOn(addedLines: string): string {
    const before = this.#line
    const spanId = makeId(8)
    this.tries.push(spanId)
    this.#line = this.#compose(spanId)
    return before === '' ? addedLines + this.#line : addedLines.replace(before, this.#line)
  }

  tell(): RequestTrace {
    return {
      traceId: this.traceId,
      spanId: this.spanId,
      parentId: this.parent?.spanId,
      tries: this.tries,
    }
  }

  #compose(spanId: string): string {
    const { traceId, isSampled } = this
    const state = isSampled ? '1' : '0'
    switch (this.#propagation) {
      case 'w3c':
        return `traceparent: ${printTraceparent(traceId, spanId, isSampled)}\r\n`
      case 'b3':
        return `b3: ${traceId}-${spanId}-${state}-${this.spanId}\r\n`
      case 'b3-multi':
        return `X-B3-TraceId: ${traceId}\r\nX-B3-SpanId: ${spanId}\r\nX-B3-ParentSpanId: ${this.spanId}\r\nX-B3-Sampled: ${state}\r\n`
    }
  }
}

function readParent({ propagation }: Tracing, request: TracedRequest): TraceParent | undefined {
  const read = (name: string, parse: (text: string) => TraceParent | undefined) => {
    const text = request.header(name)
    return text === undefined ? undefined : parse(text)
  }
  if (propagation === 'w3c') return read('traceparent', readTraceparent)
  if (propagation === 'b3') return read('b3', readB3)
  return read('x-b3-traceid', (traceId) =>
    readB3Fields(
      traceId,
      request.header('x-b3-spanid') ?? '',
      request.header('x-b3-sampled'),
      request.header('x-b3-flags'),
    ),
  )
}
