/** Asks an auth server about requests. HOT */
import { TextMemo } from '../base/text-memo.ts'
import type { UpstreamKey } from '../model/upstream.ts'
import { type FieldNames, hyphenate, keepFields } from './field-lines.ts'
import { type FilterAnswer, type FilterRequest, type PendingAnswer, type Question, QuestionFailure } from './spec.ts'

export type AuthServerOptions = Readonly<{
  url: URL
  /** How it is reached. */
  upstream: UpstreamKey
  method: string
  /** Names of the client's fields that the server gets; undefined: all of them. */
  sent: FieldNames | undefined
  /** Milliseconds. */
  timeout: number
}>

/** Marks a question to an auth server: where it comes back to a route that asks, there would be no end of questions. */
export const QUESTION = 'x-portico-auth-question'

/**
 * Fields of the client that the auth server does not get: the request has no body there, and an answer that depends on a copy or on
 * a range (RFC 9110 §13, §14) would be no answer to the question.
 */
const NOT_ASKED_WITH = /^(?:host|range|content-.*|if-.*)$/
const MAX_BODY_BYTES = 65_536

/** The fields that the gateway writes itself, in lower case. */
const OWN: FieldNames = new Set([
  QUESTION,
  'x-auth-request-redirect',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-method',
  'x-forwarded-proto',
  'x-forwarded-uri',
  'x-original-method',
  'x-original-uri',
  'x-original-url',
  'x-real-ip',
  'x-request-id',
  'x-scheme',
])

/** Names of fields that are remembered for one server. */
const MAX_KNOWN = 1_000

export class AuthServer {
  readonly #question: Omit<Question, 'lines'>
  /** Says by the name of a field as it was sent whether the server gets it. */
  readonly #isSent: (name: string) => boolean

  constructor({ url, upstream, method, sent, timeout }: AuthServerOptions) {
    const { host, pathname, search } = url
    this.#question = { upstream, method, target: pathname + search, authority: host, timeout, maxBytes: MAX_BODY_BYTES }
    const known = new TextMemo(MAX_KNOWN, (name) => isSent(hyphenate(name), sent))
    this.#isSent = (name) => known.find(name)
  }

  ask(request: FilterRequest): PendingAnswer {
    const lines = composeLines(request) + keepFields(request.lines, this.#isSent)
    const { answer, cancel } = request.ask({ ...this.#question, lines })
    return { answer: answer.then(checkAnswer), cancel }
  }
}

/** `name` in lower case, with hyphens in place of underscores. */
function isSent(name: string, sent: FieldNames | undefined): boolean {
  return !NOT_ASKED_WITH.test(name) && !OWN.has(name) && sent?.has(name) !== false
}

function checkAnswer(answer: FilterAnswer): FilterAnswer {
  // 304 tells of a copy that nobody has asked about.
  if (answer.status === 304 || answer.status > 599) throw new QuestionFailure(`status ${answer.status}`, false)
  return answer
}

function composeLines({ id, method, scheme, clientAuthority, pathname, query, clientAddress }: FilterRequest): string {
  // What the endpoint gets is what the auth server decides upon, with dot segments resolved.
  const uri = pathname + query
  // X-Forwarded-* as Traefik's users expect them, the others as ingress-nginx's and oauth2-proxy's users do.
  return (
    `X-Forwarded-Method: ${method}\r\nX-Forwarded-Proto: ${scheme}\r\nX-Forwarded-Host: ${clientAuthority}\r\n` +
    `X-Forwarded-Uri: ${uri}\r\nX-Forwarded-For: ${clientAddress}\r\n` +
    `X-Original-URL: ${scheme}://${clientAuthority}${uri}\r\nX-Original-URI: ${uri}\r\nX-Original-Method: ${method}\r\n` +
    `X-Scheme: ${scheme}\r\nX-Real-IP: ${clientAddress}\r\nX-Auth-Request-Redirect: ${uri}\r\nX-Request-ID: ${id}\r\n` +
    `${QUESTION}: 1\r\n`
  )
}

export const SET_COOKIE: FieldNames = new Set(['set-cookie'])

/** The fields of an answer that have these names, as lines. */
export function pickFields(lines: string, names: FieldNames): string {
  return keepFields(lines, (name) => names.has(name.toLowerCase()))
}
