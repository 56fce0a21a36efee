/** Asks an auth server about requests. HOT */
import { isNormalPath, splitTarget } from '../base/path.ts'
import { TextMemo } from '../base/text-memo.ts'
import type { UpstreamKey } from '../model/upstream.ts'
import { createNames, type Field, type FieldNames, hyphenate, keepFields, SoughtNames } from './field-lines.ts'
import { compileFields, compileTemplate, type Template, writeTemplate } from './field-template.ts'
import { type FilterAnswer, type FilterRequest, type PendingAnswer, type Question, QuestionFailure } from './spec.ts'
import { splitUrl } from './url-template.ts'

export type AuthServerOptions = Readonly<{
  /** With variables (filters/url-template). */
  url: string
  /** How it is reached; undefined: the gateway itself takes the URL, whose host a variable stands for. */
  upstream: UpstreamKey | undefined
  method: string
  /** Names of the client's fields that the server gets; undefined: all of them. */
  sent: FieldNames | undefined
  /** Fields that it gets besides, with variables. */
  added: readonly Field[]
  /** What X-Auth-Request-Redirect says, with variables; undefined: what is asked for. */
  redirect: string | undefined
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
const OWN: ReadonlySet<string> = new Set([
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
  readonly #question: Omit<Question, 'lines' | 'target' | 'authority' | 'scheme'>
  readonly #scheme: Template
  readonly #authority: Template
  readonly #target: Template
  readonly #redirect: Template | undefined
  readonly #added: Template
  /** Leaves out of the gateway's own fields those that others take the place of; undefined: there are none. */
  readonly #replaced: SoughtNames | undefined
  /** Says by the name of a field as it was sent whether the server gets it. */
  readonly #isSent: (name: string) => boolean

  constructor({ url, upstream, method, sent, added, redirect, timeout }: AuthServerOptions) {
    const { scheme, authority, target } = splitUrl(url)
    this.#question = { upstream, method, timeout, maxBytes: MAX_BODY_BYTES }
    this.#scheme = compileTemplate(scheme)
    this.#authority = compileTemplate(authority)
    this.#target = compileTemplate(target)
    this.#redirect = redirect === undefined ? undefined : compileTemplate(redirect)
    const names = createNames(added.map(([name]) => name))
    this.#added = compileFields(added)
    const replaced = [...OWN].filter((name) => names.has(name))
    this.#replaced = replaced.length === 0 ? undefined : new SoughtNames(replaced)
    const known = new TextMemo(MAX_KNOWN, (name) => {
      const folded = hyphenate(name)
      return isSent(folded, sent) && !names.has(folded)
    })
    this.#isSent = (name) => known.find(name)
  }

  /** Path and query of the question; undefined: variables have made no path of it, which could lead elsewhere. */
  locate(request: FilterRequest): string | undefined {
    if (typeof this.#target === 'string') return this.#target
    const target = this.#target(request)
    return isNormalPath(splitTarget(target).path) ? target : undefined
  }

  /** `target` is what `locate` says. */
  ask(request: FilterRequest, target: string): PendingAnswer {
    const { pathname, query } = request
    const asked = this.#redirect === undefined ? pathname + query : writeTemplate(this.#redirect, request)
    const own = composeLines(request, asked)
    const told = this.#replaced?.remove(own) ?? own
    const lines = told + writeTemplate(this.#added, request) + keepFields(request.lines, this.#isSent)
    const { answer, cancel } = request.ask({
      ...this.#question,
      scheme: writeTemplate(this.#scheme, request) as FilterRequest['scheme'],
      authority: writeTemplate(this.#authority, request),
      target,
      lines,
    })
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

function composeLines(
  { id, method, scheme, clientAuthority, pathname, query, clientAddress }: FilterRequest,
  redirect: string,
): string {
  // What the endpoint gets is what the auth server decides upon, with dot segments resolved.
  const uri = pathname + query
  // X-Forwarded-* as Traefik's users expect them, the others as ingress-nginx's and oauth2-proxy's users do.
  return (
    `X-Forwarded-Method: ${method}\r\nX-Forwarded-Proto: ${scheme}\r\nX-Forwarded-Host: ${clientAuthority}\r\n` +
    `X-Forwarded-Uri: ${uri}\r\nX-Forwarded-For: ${clientAddress}\r\n` +
    `X-Original-URL: ${scheme}://${clientAuthority}${uri}\r\nX-Original-URI: ${uri}\r\nX-Original-Method: ${method}\r\n` +
    `X-Scheme: ${scheme}\r\nX-Real-IP: ${clientAddress}\r\nX-Auth-Request-Redirect: ${redirect}\r\nX-Request-ID: ${id}\r\n` +
    `${QUESTION}: 1\r\n`
  )
}

export const SET_COOKIE: FieldNames = new Set(['set-cookie'])

/** The fields of an answer that have these names, as lines. */
export function pickFields(lines: string, names: FieldNames): string {
  return keepFields(lines, (name) => names.has(name.toLowerCase()))
}
