/** Asks a Service for the page of an error, with the fields that ingress-nginx sends to a default backend. */
import { removeOwnFields } from '../filters/field-lines.ts'
import { type AskedPage, PendingOutcome, type Question } from '../filters/spec.ts'
import { joinFields } from '../http1/field-line.ts'
import type { UpstreamKey } from '../model/upstream.ts'
import { putLines } from './answer.ts'
import type { RequestContext } from './context.ts'
import { composeOwnLines } from './headers.ts'
import type { WholeAnswer } from './own-answer.ts'

/** Milliseconds. The client waits for an error meanwhile. */
const LIMIT_MS = 2_000
const MAX_PAGE_BYTES = 262_144

/** The error with its page, or the answer in its place; undefined where there is none in time. */
export function askForPage(
  context: RequestContext,
  { upstream, isWhole }: AskedPage,
  error: WholeAnswer,
): PendingOutcome {
  const { answer, cancel } = context.ask(composeQuestion(context, upstream, error.status))
  const outcome = answer.then(
    (page) => (isWhole ? takePage(context, page) : putPage(error, page)),
    () => undefined,
  )
  return new PendingOutcome(outcome, cancel)
}

function takePage({ id, clock }: RequestContext, page: WholeAnswer): WholeAnswer | undefined {
  const { status } = page
  // 304 tells of a copy that nobody has asked about.
  if (status === 304 || status < 200 || status > 599) return undefined
  return { status, lines: composeOwnLines(removeOwnFields(page.lines), id, clock.now()), body: page.body }
}

function putPage({ status, lines }: WholeAnswer, page: WholeAnswer): WholeAnswer | undefined {
  // Another error tells of the Service, and not of the request.
  if (page.status !== status && (page.status < 200 || page.status > 299)) return undefined
  let kept = ''
  for (const name of ['Content-Type', 'Content-Encoding', 'Content-Language']) {
    const value = joinFields(page.lines, name.toLowerCase(), ', ')
    if (value !== undefined) kept += `${name}: ${value}\r\n`
  }
  return { status, lines: putLines(lines, { lines: kept }), body: page.body ?? Buffer.alloc(0) }
}

function composeQuestion(context: RequestContext, upstream: UpstreamKey, status: number): Question {
  const { id, served } = context
  const [namespace = '', ingress = ''] = served!.labels.ingress.split('/')
  const [, service = '', port = ''] = /\/([^:]*):?(.*)$/.exec(served!.action.backend) ?? []
  const fields: readonly (readonly [string, string | undefined])[] = [
    ['Accept', context.header('accept')],
    ['Accept-Language', context.header('accept-language')],
    ['X-Code', String(status)],
    ['X-Format', context.header('accept')],
    ['X-Original-URI', context.target],
    ['X-Namespace', namespace],
    ['X-Ingress-Name', ingress],
    ['X-Service-Name', service],
    ['X-Service-Port', port],
    ['X-Request-ID', id],
  ]
  return {
    upstream,
    method: 'GET',
    target: '/',
    authority: context.authority,
    lines: fields.map(([name, value]) => (value === undefined ? '' : `${name}: ${value}\r\n`)).join(''),
    timeout: LIMIT_MS,
    maxBytes: MAX_PAGE_BYTES,
  }
}
