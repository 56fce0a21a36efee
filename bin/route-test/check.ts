/** Compares what becomes of a request, by the model or of a real request, with what a RouteTest expects. */
import { X509Certificate } from 'node:crypto'
import type { Diagnostic } from '../../lib/base/diagnostics.ts'
import { type FieldPath, printPosition } from '../../lib/base/position.ts'
import { printName } from '../../lib/base/resource-name.ts'
import type { Route } from '../../lib/model/route.ts'
import type { Explanation } from '../../lib/report/explain.ts'
import { findCertificateName } from '../../lib/report/explanation.ts'
import type { RouteCase, RouteTest } from './file.ts'
import { fingerprintOf, type LiveAnswer } from './live.ts'

/** What is wrong with one thing that was expected. */
export type Failure = Readonly<{
  /** `status`, `redirect`, `headers.Location` … */
  subject: string
  expected: string
  got: string
  /** `file:line:column` of what is expected. */
  at: string
}>

export type CaseResult = Readonly<{
  name: string
  file: string
  /** `file:line:column` of the test. */
  at: string
  failures: readonly Failure[]
  /** Expectations that nothing is known of, offline. */
  notChecked: readonly string[]
  /** Hosts and paths that nearly fit, each with why it does not; none where the test passes or a rule fits. */
  nearest: readonly string[]
}>

/** What fails where no rule fits, as a mistake in a host or path has it. */
const ROUTED: ReadonlySet<string> = new Set(['ingress', 'route', 'service', 'status', 'redirect'])
/** Most of `CaseResult.nearest`. */
const MOST_NEAREST = 3

/** One thing that is known of a request; `isMet` where equality is not what is asked. */
type Fact = Readonly<{ subject: keyof RouteCase['expect']; got: string; isMet?: (expected: never) => boolean }>

/** By the model; a real answer, where there is one, says status, headers and certificate in its place. */
export function checkCase(
  test: RouteTest,
  index: number,
  explanation: Explanation,
  live: LiveAnswer | undefined,
): CaseResult {
  const { name, request, expect } = test.tests[index]!
  const failures: Failure[] = []
  const notChecked: string[] = []
  const place = (...path: FieldPath) => printPlace(test, ['tests', index, 'expect', ...path])
  const fail = (subject: string, expected: unknown, got: string, at: string) =>
    failures.push({ subject, expected: printExpected(expected), got, at })
  for (const { subject, got, isMet = (expected: unknown) => expected === got } of listFacts(explanation, live)) {
    const expected = expect[subject]
    if (expected !== undefined && !isMet(expected as never)) fail(subject, expected, got, place(subject))
  }
  for (const [index, wanted] of (expect.filters ?? []).entries()) {
    const isThere = explanation.filters.some(
      (filter) =>
        filter === wanted || filter.startsWith(`${wanted}:`) || (wanted.includes(':') && filter.startsWith(wanted)),
    )
    if (!isThere) fail('filters', wanted, explanation.filters.join('; ') || 'none', place('filters', index))
  }
  for (const [field, wanted] of Object.entries(expect.headers ?? {})) {
    if (live === undefined) notChecked.push(`headers.${field}`)
    else {
      const got = live.headers[field.toLowerCase()]
      if ((got ?? null) !== wanted)
        fail(`headers.${field}`, wanted ?? 'no such header', got ?? 'no such header', place('headers', field))
    }
  }
  const isForwarded = explanation.answer === undefined
  if (live === undefined && expect.status !== undefined && isForwarded) notChecked.push('status')
  return {
    name: name ?? `${request.method ?? 'GET'} ${request.url}`,
    file: test.file,
    at: printPlace(test, ['tests', index]),
    failures,
    notChecked,
    nearest: failures.some(({ subject }) => ROUTED.has(subject)) ? listNearest(explanation) : [],
  }
}

function listNearest({ winner, host, candidates }: Explanation): readonly string[] {
  if (winner !== undefined) return []
  return [
    ...host.misses.map(({ virtualHost, reason }) => `${virtualHost.host}: ${reason}`),
    ...candidates.map(({ route, reason }) => `${printRule(route)}: ${reason}`),
  ].slice(0, MOST_NEAREST)
}

function listFacts(explanation: Explanation, live: LiveAnswer | undefined): readonly Fact[] {
  const { answer, winner, upstream, shares, certificate } = explanation
  const services = [...(upstream ? [upstream.key] : []), ...shares.flatMap(({ upstream }) => upstream?.key ?? [])]
  const isService = (wanted: string) =>
    wanted === 'none' ? services.length === 0 : services.some((key) => key === wanted || key.startsWith(`${wanted}:`))
  // What answers in the place of endpoints keeps the request from the Service.
  const reached = answer === undefined || answer.code?.startsWith('PORTICO_UP') ? services : []
  const forwarded = `forwarded to ${services.join(' or ')}`
  const facts: Fact[] = [
    { subject: 'ingress', got: winner ? printName(winner.owner) : 'none' },
    { subject: 'route', got: winner ? printRule(winner) : 'none' },
    {
      subject: 'service',
      got:
        services.length === 0 ? 'none' : reached.length === 0 ? `none: ${printAnswer(answer!)}` : services.join(', '),
      isMet: (wanted: string) => (reached.length === 0 ? wanted === 'none' : isService(wanted)),
    },
  ]
  if (live !== undefined) {
    const { status, headers } = live
    facts.push(
      { subject: 'status', got: String(status), isMet: (wanted: number) => wanted === status },
      { subject: 'redirect', got: headers.location ?? `${status} without Location` },
    )
  } else if (answer === undefined) {
    // Only a real request tells what an endpoint answers.
    facts.push(
      { subject: 'status', got: forwarded, isMet: (wanted: number) => wanted >= 200 && wanted < 300 },
      { subject: 'redirect', got: forwarded },
    )
  } else {
    const { status, location } = answer
    facts.push(
      { subject: 'status', got: printAnswer(answer), isMet: (wanted: number) => wanted === status },
      { subject: 'redirect', got: location ?? printAnswer(answer) },
    )
  }
  const name = certificate === undefined ? 'none' : (findCertificateName(certificate.binding) ?? 'none')
  const pem = certificate?.binding?.certificate?.certificatePem
  const fingerprint = pem && fingerprintOf(new X509Certificate(pem))
  const isOther = live?.fingerprint !== undefined && fingerprint !== undefined && live.fingerprint !== fingerprint
  facts.push({
    subject: 'certificate',
    got: isOther ? `another than ${name}: SHA-256 ${live.fingerprint?.slice(0, 16)}…` : name,
  })
  return facts
}

/** All errors and warnings, where the test lists them; undefined where it does not. */
export function checkDiagnostics(test: RouteTest, found: readonly Diagnostic[]): CaseResult | undefined {
  if (test.diagnostics === undefined) return undefined
  const left = found.filter(({ severity }) => severity !== 'info')
  const failures: Failure[] = []
  for (const [index, { code, object, message }] of test.diagnostics.entries()) {
    const at = left.findIndex(
      (one) =>
        one.code === code &&
        (object === undefined || one.resource === object) &&
        (message === undefined || one.message.includes(message)),
    )
    if (at >= 0) left.splice(at, 1)
    else {
      const expected = [code, object, message].filter((part) => part !== undefined).join(', ')
      failures.push({
        subject: 'diagnostics',
        expected,
        got: 'no such problem',
        at: printPlace(test, ['diagnostics', index]),
      })
    }
  }
  const at = printPlace(test, ['diagnostics'])
  for (const { code, message, position } of left) {
    const where = position ? ` at ${printPosition(position)}` : ''
    failures.push({ subject: 'diagnostics', expected: 'no other problem', got: `${code}${where}: ${message}`, at })
  }
  return { name: 'diagnostics', file: test.file, at, failures, notChecked: [], nearest: [] }
}

function printRule({ host, path }: Route): string {
  return `${host === '' ? '*' : host}${path}`
}

function printAnswer({ status, code, reason }: NonNullable<Explanation['answer']>): string {
  return `${status}${code ? ` ${code}` : ''}: ${reason}`
}

function printExpected(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function printPlace({ origin, file }: RouteTest, path: FieldPath): string {
  const position = origin.locate(path)
  return position ? printPosition(position) : file
}
