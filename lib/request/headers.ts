/** The field lines of answers: those of endpoints, and of the gateway itself. HOT */
import { type NameTraces, traceNames } from '../http1/name-traces.ts'
import type { ResponseHead } from '../http1/response-head.ts'
import { printDate } from './date.ts'

/** The field lines of an upstream's answer as the client gets them; `now` in milliseconds since the epoch. */
export function composeAnswerLines(head: ResponseHead, id: string, now: number): string {
  const server = head.hasServer ? '' : 'Server: portico\r\n'
  const date = head.hasDate ? '' : `Date: ${printDate(now)}\r\n`
  return `${head.lines}${server}${date}X-Request-Id: ${id}\r\n`
}

/** Names of lines that the gateway adds to an answer of an endpoint, those of cookies among them that keep a client where it is. */
const ADDED = traceNames(['date', 'server', 'set-cookie', 'x-request-id'])

/** The traces of all names that an upstream's answer may have as the client gets it. */
export function traceAnswer({ fronts, backs }: ResponseHead): NameTraces {
  return { fronts: fronts | ADDED.fronts, backs: backs | ADDED.backs }
}

/** The field lines that every answer of the gateway itself has. */
export function composeOwnLines(lines: string, id: string, now: number): string {
  return `${lines}Server: portico\r\nDate: ${printDate(now)}\r\nX-Request-Id: ${id}\r\n`
}

/** What an interim answer may tell the client: it is a hint of what the response will hold, so it holds no more than that (RFC 8297 §2). */
export function filterHints(headers: readonly string[]): readonly string[] {
  const kept: string[] = []
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at]!.toLowerCase()
    if (name === 'link' || name === 'content-security-policy') kept.push(headers[at]!, headers[at + 1]!)
  }
  return kept
}
