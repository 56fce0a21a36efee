/** How every answer begins, an endpoint's and the gateway's own: the filters of its route change the head, and may transform the body. HOT */
import type { FilterChain } from '../filters/chain.ts'
import { SoughtNames } from '../filters/field-lines.ts'
import { type AskedPage, type BodyChange, type ErrorPage, FilterHead } from '../filters/spec.ts'
import type { ResponseHead } from '../http1/response-head.ts'
import { CodedAnswer } from './coded-answer.ts'
import type { RequestContext } from './context.ts'
import type { AnswerHead, AnswerSink } from './exchange.ts'
import { traceAnswer } from './headers.ts'
import { TransformedAnswer } from './transformed-answer.ts'

/** What becomes of the body of an answer. */
export type BodyPlan = Readonly<{
  /** Takes the place of the body. */
  page: ErrorPage | undefined
  changes: readonly BodyChange[] | undefined
  /** Bytes of the body before it is changed; undefined: not known. */
  length: number | undefined
}>

/** A head that is made for one answer, and that filters change. */
export type DraftHead = { -readonly [Field in keyof AnswerHead]: AnswerHead[Field] } & Pick<FilterHead, 'isOwn'>

/** So much of an answer waits in memory for a slow client, so that short answers leave their endpoint at once. */
export const HELD_BYTES = 65_536

/** Fields that describe a body, and not the one that a page puts in its place (RFC 9110 §8, §14). */
const BODY_FIELDS = new SoughtNames([
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
  const head = new FilterHead(101, false, lines)
  context.served!.filters?.changeResponse(head, context)
  return head.lines
}

/**
 * Has the filters of the route change the head, and says what they make of the body; undefined: it passes as it is. `answer` is the
 * endpoint's answer; undefined: the gateway has kept it, or made it.
 */
export function filterHead(
  context: RequestContext,
  head: DraftHead,
  answer: ResponseHead | undefined,
): BodyPlan | undefined {
  const filters = context.served?.filters
  if (filters === undefined) return undefined
  const found = head.status < 400 ? undefined : findPage(filters, head.status, context)
  // One that is asked for stands in the answer already, or could not be had.
  const page = found !== undefined && 'body' in found ? found : undefined
  if (page !== undefined) putPage(head, page)
  const { status, isOwn, lines, contentLength: length } = head
  const traces = answer === undefined || page !== undefined ? undefined : traceAnswer(answer)
  const changed = new FilterHead(status, isOwn, lines, length, traces)
  filters.changeResponse(changed, context)
  const isBodiless = length === 0 || status === 204 || status === 304
  const changes = isBodiless ? undefined : filters.transformResponse(changed, context)
  head.lines = changed.lines
  // An answer to HEAD must not declare another length than GET would (RFC 9110 §8.6).
  if (changes?.every(({ keepsLength }) => keepsLength) === false) head.contentLength = undefined
  return page === undefined && changes === undefined ? undefined : { page, changes, length }
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
  return BODY_FIELDS.remove(lines) + page.lines
}

function putPage(head: DraftHead, page: ErrorPage): void {
  head.lines = putLines(head.lines, page)
  head.contentLength = page.body.length
  head.trailers = false
}

/** Begins the body of an answer whose head has been sent. */
export function openAnswerBody(context: RequestContext, plan: BodyPlan | undefined): AnswerSink {
  const { exchange } = context
  if (plan === undefined) return exchange
  const { page, changes, length } = plan
  const isHead = exchange.method === 'HEAD'
  const sink = changes === undefined || isHead ? exchange : changeBody(context, changes, length)
  if (page === undefined) return sink
  if (!isHead) {
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
