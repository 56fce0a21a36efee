/** Asks an auth server about requests. */
import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { printDuration } from '../base/measure.ts'
import { joinLines, splitLines } from '../http1/field-line.ts'
import { type FieldNames, hyphenate } from './field-lines.ts'
import type { FilterRequest } from './spec.ts'

export type AuthServerOptions = Readonly<{
  url: string
  method: string
  /** Names of the client's fields that the server gets; undefined: all of them. */
  sent: FieldNames | undefined
  /** Milliseconds. */
  timeout: number
}>

export type AuthAnswer = Readonly<{
  status: number
  /** Names and values in turn, as they came. */
  fields: readonly string[]
  body: Buffer | undefined
}>

/** A question on its way. `answer` rejects with an AuthFailure. */
export type AuthCall = Readonly<{
  answer: Promise<AuthAnswer>
  /** Nothing waits for the answer any more. */
  cancel: () => void
}>

/** There is no proper answer. */
export class AuthFailure extends Error {
  /** No answer began; false: one did, and cannot be used. */
  readonly isUnreached: boolean

  constructor(message: string, isUnreached: boolean, cause: unknown) {
    super(message, { cause })
    this.isUnreached = isUnreached
  }
}

/** Marks a question to an auth server: where it comes back to a route that asks, there would be no end of questions. */
export const QUESTION = 'x-portico-auth-question'

/**
 * Fields of the client that the auth server does not get: the request has no body there, and an answer that depends on a copy or on
 * a range (RFC 9110 §13, §14) would be no answer to the question.
 */
const NOT_ASKED_WITH = /^(?:host|range|content-.*|if-.*)$/
const MAX_BODY_BYTES = 65_536

/** Connections to one auth server; requests beyond wait for one within their time limit. */
const MAX_CONNECTIONS = 256
const MAX_IDLE_CONNECTIONS = 16
const MAX_IDLE_MS = 30_000

/** Where to ask, and the connections that are kept for it. */
export class AuthServer {
  readonly url: URL
  readonly #options: AuthServerOptions
  readonly #agent: HttpAgent

  constructor(options: AuthServerOptions) {
    this.url = new URL(options.url)
    this.#options = options
    const agent = {
      keepAlive: true,
      maxSockets: MAX_CONNECTIONS,
      maxFreeSockets: MAX_IDLE_CONNECTIONS,
      timeout: MAX_IDLE_MS,
    }
    this.#agent = this.#isSecure ? new HttpsAgent({ ...agent, rejectUnauthorized: true }) : new HttpAgent(agent)
  }

  get #isSecure(): boolean {
    return this.url.protocol === 'https:'
  }

  ask(request: FilterRequest): AuthCall {
    const { method, sent, timeout } = this.#options
    const headers = composeHeaders(this.url.host, request, sent)
    // A method that usually has a body says that it has none (RFC 9110 §8.6).
    if (method.startsWith('P')) headers.push('Content-Length', '0')
    const send = () => (this.#isSecure ? requestHttps : requestHttp)(this.url, { method, agent: this.#agent, headers })
    const question = new Question(send)
    return { answer: question.run(timeout), cancel: () => question.abort('the client has gone') }
  }
}

/** One question, asked until there is an answer or none can be had. */
class Question {
  readonly #send: () => ClientRequest
  #request: ClientRequest | undefined
  /** Why nothing waits for the answer any more; undefined: it is waited for. */
  #aborted: string | undefined

  constructor(send: () => ClientRequest) {
    this.#send = send
  }

  async run(timeout: number): Promise<AuthAnswer> {
    const timer = setTimeout(() => this.abort(`no answer within ${printDuration(timeout)}`), timeout)
    let answer: IncomingMessage | undefined
    try {
      answer = await this.#ask()
      const status = answer.statusCode!
      // 304 tells of a copy that nobody has asked about.
      if (status < 200 || status === 304 || status > 599) {
        answer.destroy()
        throw new Error(`status ${status}`)
      }
      const body = await readBody(answer)
      if (this.#aborted !== undefined) throw new Error(this.#aborted)
      return { status, fields: answer.rawHeaders, body }
    } catch (thrown) {
      const { message, code } = thrown as NodeJS.ErrnoException
      const isUnreached = answer === undefined && (code === undefined || !code.startsWith('HPE_'))
      throw new AuthFailure(this.#aborted ?? message, isUnreached, thrown)
    } finally {
      clearTimeout(timer)
    }
  }

  abort(why: string): void {
    this.#aborted = why
    this.#request?.destroy(new Error(why))
  }

  async #ask(): Promise<IncomingMessage> {
    for (;;) {
      try {
        return await this.#try()
      } catch (thrown) {
        // The server may have closed a kept connection just then. Each time one kept connection fewer is left.
        if (this.#aborted !== undefined || !this.#request?.reusedSocket) throw thrown
      }
    }
  }

  #try(): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const request = this.#send()
      this.#request = request
      request.on('response', resolve)
      request.on('upgrade', (answer, socket) => {
        socket.destroy()
        resolve(answer)
      })
      request.on('error', reject)
      request.on('close', () => reject(new Error('the connection was closed')))
      request.end()
    })
  }
}

/** Names and values in turn. */
function composeHeaders(host: string, request: FilterRequest, sent: FieldNames | undefined): string[] {
  const { id, method, scheme, clientAuthority, pathname, query, clientAddress, lines } = request
  // What the endpoint gets is what the auth server decides upon, with dot segments resolved.
  const uri = pathname + query
  const headers = [
    ...['Host', host, QUESTION, '1'],
    // As Traefik's users expect them.
    ...['X-Forwarded-Method', method, 'X-Forwarded-Proto', scheme, 'X-Forwarded-Host', clientAuthority],
    ...['X-Forwarded-Uri', uri, 'X-Forwarded-For', clientAddress],
    // As ingress-nginx's and oauth2-proxy's users do.
    ...['X-Original-URL', `${scheme}://${clientAuthority}${uri}`, 'X-Original-URI', uri, 'X-Original-Method', method],
    ...['X-Scheme', scheme, 'X-Real-IP', clientAddress, 'X-Auth-Request-Redirect', uri, 'X-Request-ID', id],
  ]
  const own = headers.length
  const fields = splitLines(lines)
  for (let at = 0; at < fields.length; at += 2) {
    const name = hyphenate(fields[at]!)
    if (NOT_ASKED_WITH.test(name) || isIn(headers, name, own) || sent?.has(name) === false) continue
    headers.push(fields[at]!, fields[at + 1]!)
  }
  return headers
}

function isIn(headers: readonly string[], name: string, end: number): boolean {
  for (let at = 0; at < end; at += 2)
    if (headers[at]!.length === name.length && headers[at]!.toLowerCase() === name) return true
  return false
}

export const SET_COOKIE: FieldNames = new Set(['set-cookie'])

/** The fields of an answer that have these names, as lines. */
export function pickFields({ fields }: AuthAnswer, names: FieldNames): string {
  const picked: string[] = []
  for (let at = 0; at < fields.length; at += 2) {
    if (names.has(fields[at]!.toLowerCase())) picked.push(fields[at]!, fields[at + 1]!)
  }
  return joinLines(picked)
}

async function readBody(answer: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) throw new Error(`an answer of more than ${MAX_BODY_BYTES} bytes`)
    chunks.push(chunk)
  }
  return bytes === 0 ? undefined : Buffer.concat(chunks)
}
