/** Asks a Service for the page of an error, with the fields that ingress-nginx sends to a default backend. */
import type { DeadlineWatch } from '../base/deadline.ts'
import { PendingOutcome, type Question } from '../filters/spec.ts'
import { joinFields } from '../http1/field-line.ts'
import type { UpstreamPool } from '../upstream/choice/pool.ts'
import { putLines } from './answer.ts'
import type { RequestContext } from './context.ts'
import type { WholeAnswer } from './own-answer.ts'
import { SideCall } from './side-call.ts'

/** Milliseconds. The client waits for an error meanwhile. */
const LIMIT_MS = 2_000
const MAX_PAGE_BYTES = 262_144

/** The error with its page; undefined where there is none in time. */
export function askForPage(
  context: RequestContext,
  pool: UpstreamPool,
  error: WholeAnswer,
  deadlines: DeadlineWatch,
): PendingOutcome {
  const call = new SideCall(context, pool, composeQuestion(context, pool, error.status), deadlines)
  const outcome = call.run().then(
    (answer) => putPage(error, answer),
    () => undefined,
  )
  return new PendingOutcome(outcome, () => call.cancel())
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

function composeQuestion(context: RequestContext, pool: UpstreamPool, status: number): Question {
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
    upstream: pool.key,
    method: 'GET',
    target: '/',
    authority: context.authority,
    lines: fields.map(([name, value]) => (value === undefined ? '' : `${name}: ${value}\r\n`)).join(''),
    timeout: LIMIT_MS,
    maxBytes: MAX_PAGE_BYTES,
  }
}
