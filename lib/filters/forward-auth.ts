/** Asks an auth server whether a request may go on, as Traefik's forwardAuth does. */
import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { GatewayError } from '../base/errors.ts'
import { DURATION, parseMeasure, printDuration } from '../base/measure.ts'
import { joinLines, splitLines } from '../http1/field-line.ts'
import { END_TO_END, HOP_BY_HOP } from '../http1/field-names.ts'
import { type AnnotationForm, FIELD_NAMES, matching } from './annotation-form.ts'
import {
  CLIENT_FIELDS,
  createNames,
  type FieldNames,
  findNameFault,
  hyphenate,
  removeFields,
  splitNames,
} from './field-lines.ts'
import { type AnnotationReader, defineFilter, type FilterOutcome, type FilterRequest, PendingOutcome } from './spec.ts'

type Options = Readonly<{
  url: string
  /** Names of fields that the upstream request gets from the answer of the auth server. */
  copied: readonly string[]
  /** Milliseconds. */
  timeout: number
}>

/**
 * Fields of the client that the auth server does not get: the request has no body there, and an answer that depends on a copy or on
 * a range (RFC 9110 §13, §14) would be no answer to the question.
 */
const NOT_ASKED_WITH = /^(?:host|range|content-.*|if-.*)$/
/** Fields of an answer that refuses, which the client does not get: those of the hop, the framing, and what the gateway writes itself. */
const NOT_REFUSED_WITH: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  'content-length',
  'date',
  'server',
  'x-request-id',
])
const DEFAULT_TIMEOUT_MS = 5_000
const MAX_TIMEOUT_MS = 300_000
const MAX_NAMES = 64
const MAX_BODY_BYTES = 65_536

/** Connections to one auth server; requests beyond wait for one within their time limit. */
const MAX_CONNECTIONS = 256
const MAX_IDLE_CONNECTIONS = 16
const MAX_IDLE_MS = 30_000

/** A URL may hold a secret, and is never shown. */
const URL_FORM: AnnotationForm = {
  pattern: /^https?:\/\/(?:(?!\$[a-z_{])[\x21-\x7e]){1,2040}$/,
  describeFault: (text) =>
    /\$[a-z_{]/.test(text)
      ? 'a variable stands in it, as nginx has them, and nothing takes the place of one'
      : 'this is no URL of an auth server',
  help: 'write http:// or https:// with a host and a path, without a user or a fragment; X-Forwarded-Host and X-Forwarded-Uri tell the auth server what was asked for',
}

export const FORWARD_AUTH = defineFilter<Options>({
  name: 'forward-auth',
  order: 130,
  isGuard: true,
  dependsOn: 'the answer of its auth server',
  annotations: {
    'auth-url': {
      about:
        'the URL of an auth server that is asked before a request is forwarded: 2xx lets it go on, the client gets any other answer, and 503 where there is none. The question is a GET with the fields of the client and X-Forwarded-Method, -Proto, -Host, -Uri and -For.',
      form: URL_FORM,
    },
    'auth-response-headers': {
      about:
        'names of fields, separated by commas, that endpoints get as the auth server sent them, and never from the client',
      form: FIELD_NAMES,
      needs: 'auth-url',
    },
    'auth-timeout': {
      about: 'how long an answer may take; 5s where it is left out',
      form: matching(DURATION.pattern, 'is no time from 1ms to 5m', DURATION.example),
      needs: 'auth-url',
    },
  },
  read(annotations) {
    const written = annotations.text('auth-url')
    const copied = readNames(annotations)
    const timeout = readTimeout(annotations)
    if (written === undefined) return undefined
    const url = parseUrl(written)
    if (url === undefined) {
      annotations.refuse('auth-url', URL_FORM.describeFault(written), URL_FORM.help)
      return undefined
    }
    return { url, copied: copied ?? [], timeout: timeout ?? DEFAULT_TIMEOUT_MS }
  },
  print({ url, copied, timeout }) {
    // A query may hold a secret.
    const { origin, pathname } = new URL(url)
    const fields = copied.length === 0 ? '' : `, takes ${copied.join(' ')} from it`
    return `asks ${origin}${pathname} within ${printDuration(timeout)}${fields}`
  },
  create({ url, copied, timeout }) {
    const server = new AuthServer(url, timeout)
    const names = copied.length === 0 ? undefined : createNames(copied)
    /** Field lines that requests on their way are to have. */
    const granted = new WeakMap<FilterRequest, string>()
    return {
      request(request) {
        if (request.header(QUESTION) === undefined) return undefined
        return new GatewayError('PORTICO_GW_AUTH_UNAVAILABLE', 'auth-url leads back to a route that asks it')
      },
      check(request) {
        const call = new AuthCall(server, request)
        const outcome = call.run((answer) => {
          if (names !== undefined) granted.set(request, pickFields(answer, names))
        })
        return new PendingOutcome(outcome, () => call.abort('the client has gone'))
      },
      ...(names !== undefined && {
        requestNames: names,
        upstreamRequest: (draft, request) => {
          draft.lines = removeFields(draft.lines, names) + (granted.get(request) ?? '')
          draft.addedLines = removeFields(draft.addedLines, names)
        },
      }),
    }
  },
})

/** Marks a question to an auth server: where it comes back to a route that asks, there would be no end of questions. */
const QUESTION = 'x-portico-auth-question'

/** Where to ask, and the connections that are kept for it. */
class AuthServer {
  readonly url: URL
  readonly timeout: number
  readonly #agent: HttpAgent

  constructor(url: string, timeout: number) {
    this.url = new URL(url)
    this.timeout = timeout
    const options = {
      keepAlive: true,
      maxSockets: MAX_CONNECTIONS,
      maxFreeSockets: MAX_IDLE_CONNECTIONS,
      timeout: MAX_IDLE_MS,
    }
    this.#agent = this.#isSecure ? new HttpsAgent({ ...options, rejectUnauthorized: true }) : new HttpAgent(options)
  }

  get #isSecure(): boolean {
    return this.url.protocol === 'https:'
  }

  /** `headers` are names and values in turn. */
  send(headers: readonly string[]): ClientRequest {
    return (this.#isSecure ? requestHttps : requestHttp)(this.url, { agent: this.#agent, headers })
  }
}

/** One question to the auth server. */
class AuthCall {
  readonly #server: AuthServer
  readonly #headers: readonly string[]
  #request: ClientRequest | undefined
  /** Why nothing waits for the answer any more; undefined: it is waited for. */
  #aborted: string | undefined

  constructor(server: AuthServer, request: FilterRequest) {
    this.#server = server
    this.#headers = composeHeaders(server.url.host, request)
  }

  /** `onGranted` hears of an answer that lets the request go on. */
  async run(onGranted: (answer: IncomingMessage) => void): Promise<FilterOutcome> {
    const { timeout } = this.#server
    const timer = setTimeout(() => this.abort(`no answer within ${printDuration(timeout)}`), timeout)
    try {
      const answer = await this.#ask()
      const body = await readBody(answer)
      if (this.#aborted !== undefined) throw new Error(this.#aborted)
      const status = answer.statusCode!
      if (status >= 200 && status <= 299) {
        onGranted(answer)
        return undefined
      }
      // 304 tells of a copy that nobody has asked about.
      if (status < 200 || status === 304 || status > 599) throw new Error(`status ${status}`)
      return { status, lines: pickFields(answer, { has: findRefusing(answer) }), body }
    } catch (thrown) {
      const why = this.#aborted ?? (thrown as Error).message
      return new GatewayError('PORTICO_GW_AUTH_UNAVAILABLE', `auth server: ${why}`, thrown)
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
        return await this.#send()
      } catch (thrown) {
        // The server may have closed a kept connection just then. Each time one kept connection fewer is left.
        if (this.#aborted !== undefined || !this.#request?.reusedSocket) throw thrown
      }
    }
  }

  #send(): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const request = this.#server.send(this.#headers)
      this.#request = request
      request.on('response', resolve)
      request.on('error', reject)
      request.on('close', () => reject(new Error('the connection was closed')))
      request.end()
    })
  }
}

/** Names and values in turn. */
function composeHeaders(host: string, request: FilterRequest): string[] {
  const { method, scheme, clientAuthority, pathname, query, clientAddress, lines } = request
  const headers = ['Host', host, QUESTION, '1']
  headers.push('X-Forwarded-Method', method, 'X-Forwarded-Proto', scheme, 'X-Forwarded-Host', clientAuthority)
  // What the endpoint gets is what the auth server decides upon, with dot segments resolved.
  headers.push('X-Forwarded-Uri', pathname + query, 'X-Forwarded-For', clientAddress)
  const sent = splitLines(lines)
  for (let at = 0; at < sent.length; at += 2) {
    if (!NOT_ASKED_WITH.test(hyphenate(sent[at]!))) headers.push(sent[at]!, sent[at + 1]!)
  }
  return headers
}

/** The fields of these names as lines. */
function pickFields({ rawHeaders }: IncomingMessage, names: FieldNames): string {
  const picked: string[] = []
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (names.has(rawHeaders[at]!.toLowerCase())) picked.push(rawHeaders[at]!, rawHeaders[at + 1]!)
  }
  return joinLines(picked)
}

/** Says of the lower-case name of a field of an answer that refuses whether the client gets it. */
function findRefusing({ headers }: IncomingMessage): (name: string) => boolean {
  const listed = new Set(headers.connection?.split(',').map((name) => name.trim().toLowerCase()))
  return (name) => !NOT_REFUSED_WITH.has(name) && (END_TO_END.has(name) || !listed.has(name))
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

/** Undefined where it is none of an auth server. */
function parseUrl(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined
  const { username, password, hash, href } = new URL(text)
  return username + password + hash === '' ? href : undefined
}

function readNames(annotations: AnnotationReader): readonly string[] | undefined {
  const text = annotations.text('auth-response-headers')
  if (text === undefined) return undefined
  const names = splitNames(text)
  const own = names.find((name) => CLIENT_FIELDS.has(hyphenate(name)))
  const fault =
    names.length > MAX_NAMES
      ? `it names more than ${MAX_NAMES} fields`
      : own !== undefined
        ? `${own} is written by the gateway itself`
        : names.map(findNameFault).find((each) => each !== undefined)
  if (fault !== undefined) annotations.refuse('auth-response-headers', fault, FIELD_NAMES.help)
  return names
}

function readTimeout(annotations: AnnotationReader): number | undefined {
  const text = annotations.text('auth-timeout')
  if (text === undefined) return undefined
  const timeout = parseMeasure(text, DURATION)
  if (timeout >= 1 && timeout <= MAX_TIMEOUT_MS) return timeout
  annotations.refuse('auth-timeout', `"${text}" is no time from 1ms to 5m`, DURATION.example)
  return undefined
}
