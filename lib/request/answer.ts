/** How every answer begins, an endpoint's and the gateway's own: the filters of its route change the head, and may transform the body. HOT */
import type { FilterChain } from '../filters/chain.ts'
import { createRemover } from '../filters/field-lines.ts'
import type { AskedPage, BodyChange, ErrorPage } from '../filters/spec.ts'
import { CodedAnswer } from './coded-answer.ts'
import type { RequestContext } from './context.ts'
import type { AnswerHead, AnswerSink } from './exchange.ts'
import { TransformedAnswer } from './transformed-answer.ts'

/** A head that the filters of the route have seen. */
export type FilteredHead = AnswerHead &
  Readonly<{ page?: ErrorPage; bodyChanges?: readonly BodyChange[]; bodyLength?: number | undefined }>

/** So much of an answer waits in memory for a slow client, so that short answers leave their endpoint at once. */
export const HELD_BYTES = 65_536

/** Fields that describe a body, and not the one that a page puts in its place (RFC 9110 §8, §14). */
const removeBodyFields = createRemover([
  'accept-ranges',
  'content-digest',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-location',
  'content-md5',
  'content-range',
  'content-type',
  'digest',
  'etag',
  'last-modified',
  'repr-digest',
])
/** Bytes of the body in whose place a page stands that are read so that the endpoint's connection can be kept; beyond, it is given up. */
const DROPPED_BYTES = 65_536

/** The field lines after the filters of the route, for an answer that switches protocols. */
export function filterSwitch(context: RequestContext, lines: string): string {
  const head = { status: 101, isOwn: false, lines }
  context.served!.filters?.changeResponse(head, context)
  return head.lines
}

/** The head after the filters of the route. */
export function filterHead(context: RequestContext, head: AnswerHead): FilteredHead {
  const filters = context.served?.filters
  if (filters === undefined) return head
  const page = head.status < 400 ? undefined : findPage(filters, head.status, context)
  // One that is asked for stands in the answer already, or could not be had.
  const isThere = page !== undefined && 'body' in page
  return applyFilters(filters, context, isThere ? putPage(head, page) : head)
}

/** Answers of filters have neither an error nor attempts. */
function findPage(filters: FilterChain, status: number, context: RequestContext): ErrorPage | AskedPage | undefined {
  const isOwn = context.error !== undefined
  return isOwn || context.attempts !== undefined ? filters.findErrorPage(status, isOwn, context) : undefined
}

/** The Service that is to be asked for the page of an error; undefined: there is none to be asked. */
export function findAsked(context: RequestContext, status: number): AskedPage | undefined {
  const { served } = context
  if (status < 400 || served?.asked === undefined) return undefined
  const page = findPage(served.filters!, status, context)
  return page !== undefined && 'upstream' in page && served.asked.get(page.upstream) ? page : undefined
}

/** The field lines of an answer whose body a page replaces. */
export function putLines(lines: string, page: Pick<ErrorPage, 'lines'>): string {
  return removeBodyFields(lines) + page.lines
}

function putPage(head: AnswerHead, page: ErrorPage): FilteredHead {
  const lines = putLines(head.lines, page)
  return { ...head, lines, contentLength: page.body.length, trailers: false, page }
}

function applyFilters(filters: FilterChain, context: RequestContext, head: FilteredHead): FilteredHead {
  const changed = { ...head, isOwn: context.error !== undefined || context.attempts === undefined }
  filters.changeResponse(changed, context)
  const { status, contentLength } = head
  const isBodiless = contentLength === 0 || status === 204 || status === 304
  const bodyChanges = isBodiless ? undefined : filters.transformResponse(changed, context)
  if (bodyChanges === undefined) return changed
  // An answer to HEAD must not declare another length than GET would (RFC 9110 §8.6).
  const keepsLength = bodyChanges.every((change) => change.keepsLength)
  const transformed = keepsLength ? changed : { ...changed, contentLength: undefined }
  return context.exchange.method === 'HEAD' ? transformed : { ...transformed, bodyChanges, bodyLength: contentLength }
}

/** Begins the body of an answer whose head has been sent. */
export function openAnswerBody(context: RequestContext, { page, bodyChanges, bodyLength }: FilteredHead): AnswerSink {
  const { exchange } = context
  const sink = bodyChanges === undefined ? exchange : changeBody(context, bodyChanges, bodyLength)
  if (page === undefined) return sink
  if (exchange.method !== 'HEAD') {
    if (sink === exchange) context.bytesOut = page.body.length
    sink.write(page.body)
  }
  return new ReplacedBody(sink)
}

function changeBody(context: RequestContext, changes: readonly BodyChange[], length: number | undefined): AnswerSink {
  const open = changes.length === 1 ? changes[0]!.coder : undefined
  if (open !== undefined) return new CodedAnswer(context, open(), length)
  return new TransformedAnswer(
    context,
    changes.map(({ stream }) => stream),
  )
}

/** Drops the body in whose place a page stands. */
class ReplacedBody implements AnswerSink {
  readonly #sink: AnswerSink
  #droppedBytes = 0
  #hasEnded = false

  constructor(sink: AnswerSink) {
    this.#sink = sink
  }

  get pendingBytes(): number {
    return this.#sink.pendingBytes
  }

  write(chunk: Buffer): boolean {
    this.#droppedBytes += chunk.length
    if (this.#droppedBytes > DROPPED_BYTES) this.end()
    return true
  }

  end(): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#sink.end([])
  }
}
