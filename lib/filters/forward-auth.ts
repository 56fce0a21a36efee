/** Asks an auth server whether a request may go on, as ingress-nginx and Traefik do. */
import { GatewayError } from '../base/errors.ts'
import { DURATION, parseMeasure, printDuration } from '../base/measure.ts'
import { splitTarget } from '../base/path.ts'
import type { UpstreamKey } from '../model/upstream.ts'
import { CONFIG_MAP_NAME, FIELD_NAMES, FIELDS, listOf, matching, oneOf, splitList } from './annotation-form.ts'
import { AuthCache, type AuthCacheOptions } from './auth-cache.ts'
import { AuthServer, pickFields, QUESTION, SET_COOKIE } from './auth-server.ts'
import {
  createNames,
  type Field,
  findNameFault,
  hyphenate,
  isClientField,
  parseFields,
  removeOwnFields,
  SoughtNames,
  splitNames,
  TOKEN_CHARACTER,
} from './field-lines.ts'
import { compileTemplate, encodeByte, findTemplateFault, readFieldsFrom, writeTemplate } from './field-template.ts'
import { Kept } from './kept.ts'
import { NoteKey } from './notes.ts'
import {
  type AnnotationReader,
  defineFilter,
  type FilterAnswer,
  type FilterOutcome,
  type FilterRequest,
  PendingOutcome,
  type QuestionFailure,
} from './spec.ts'
import { findUrlFault, splitUrl, urlForm } from './url-template.ts'

type Options = Readonly<{
  /** With variables (filters/url-template). */
  url: string
  /** How it is reached; undefined: the gateway itself takes the URL. */
  upstream: UpstreamKey | undefined
  method: string
  /** Names of the client's fields that the auth server gets; undefined: all of them. */
  sent: readonly string[] | undefined
  /** Fields that the auth server gets besides, with variables. */
  added: readonly Field[]
  /** What X-Auth-Request-Redirect says, with variables; undefined: what is asked for. */
  redirect: string | undefined
  /** Names of fields that the upstream request gets from the answer of the auth server. */
  copied: readonly string[]
  /** Milliseconds. */
  timeout: number
  /** Where clients without a login are sent; undefined: they get the answer of the auth server. */
  signIn: SignIn | undefined
  /** Cookies of the auth server reach the client whatever the status of the answer is. */
  alwaysSetsCookies: boolean
  cache: AuthCacheOptions | undefined
  /** Requests go on where the auth server cannot be reached. */
  failsOpen: boolean
}>

type SignIn = Readonly<{
  /** A URL or path, as a template. */
  location: string
  /** The parameter that says where the client came from. */
  parameter: string
}>

const NAME = 'forward-auth'
/** As in ingress-nginx. */
const COOKIE_STATUSES: ReadonlySet<number> = new Set([200, 201, 204, 206, 301, 302, 303, 304, 307, 308])
const DEFAULT_TIMEOUT_MS = 5_000
const MAX_TIMEOUT_MS = 300_000
const MAX_NAMES = 64
const MAX_KEY_PARTS = 8
const MAX_CACHE_MS = 86_400_000
/** As in ingress-nginx. */
const DEFAULT_DURATIONS = '200 202 401 5m'
const DEFAULT_PARAMETER = 'rd'
const UNSAFE_IN_PARAMETER = /[^\w.~-]/g

const NO_SERVER = 'no URL of an auth server'
const NO_PAGE = 'no URL and no path'
/** URLs may hold a secret. */
const URL_FORM = urlForm('URLs', NO_SERVER, true)
const SIGN_IN_FORM = urlForm('URLs and paths', NO_PAGE, true)
const REDIRECT_FORM = matching(
  /^[\x21-\x7e]{1,2048}$/,
  'is no URL and no path',
  'write a URL or a path, with characters other than ASCII percent-encoded',
)
const KEY_PART = `(?:client|method|path|(?:header|cookie):${TOKEN_CHARACTER}{1,100})`
const KEY_HELP =
  'write "header:NAME" or "cookie:NAME", and beside them "client", "method" or "path", with commas between'
const KEY_FORM = listOf(KEY_PART, 'is no key', KEY_HELP)
const DURATIONS = '(?:[2-4]\\d\\d\\s+)+(?:\\d+(?:\\.\\d+)?(?:ms|s|m|h))+'
const DURATIONS_HELP = 'write statuses from 200 to 499 and a time behind them, as in "200 202 5m, 401 10s"'
const DURATIONS_FORM = listOf(DURATIONS, 'names no statuses with a time', DURATIONS_HELP)

export const FORWARD_AUTH = defineFilter<Options>({
  name: NAME,
  order: 130,
  isGuard: true,
  dependsOn: 'the answer of its auth server',
  annotations: {
    'auth-url': {
      about:
        'the URL of an auth server that is asked before a request is forwarded: 2xx lets it go on, the client gets any other answer, and 503 where there is none. The question has the fields of the client, and says in X-Forwarded-* and X-Original-* what was asked for. Variables may stand in it; a host that has one is the gateway itself, whose routes take the question',
      form: URL_FORM,
    },
    'auth-method': {
      about: 'the method of the question (`GET`)',
      form: oneOf(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']),
      needs: 'auth-url',
    },
    'auth-request-headers': {
      about:
        'names of the fields of the client that the auth server gets, separated by commas; all where it is left out',
      form: FIELD_NAMES,
      needs: 'auth-url',
    },
    'auth-request-headers-set': {
      about:
        'fields that the auth server gets besides, or in place of others of the same name, one "Name: value" a line; variables may stand in the values',
      form: FIELDS,
      needs: 'auth-url',
    },
    'auth-request-headers-from': {
      about:
        'a ConfigMap in the namespace of the Ingress whose keys are names of such fields, and whose texts are their values; auth-request-headers-set goes before it',
      form: CONFIG_MAP_NAME,
      needs: 'auth-url',
    },
    'auth-request-redirect': {
      about:
        'what `X-Auth-Request-Redirect` tells the auth server, in place of path and query; variables may stand in it',
      form: REDIRECT_FORM,
      needs: 'auth-url',
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
    'auth-signin': {
      about:
        'a URL, or a path, to which a client is redirected (302) where the auth server answers 401; a parameter says where to come back to. Variables may stand in it',
      form: SIGN_IN_FORM,
      needs: 'auth-url',
    },
    'auth-signin-redirect-param': {
      about: 'the name of that parameter (`rd`). A URL that has it already stays as it is',
      form: matching(/^[\w.~-]{1,64}$/, 'is no name of a parameter', 'write letters, digits, "-", "." and "_"'),
      needs: 'auth-signin',
    },
    'auth-always-set-cookie': {
      about:
        '`"true"`: cookies that the auth server sets reach the client even where the endpoint answers with an error; else with 200, 201, 204, 206, 301, 302, 303, 304, 307 and 308',
      form: oneOf(['true', 'false']),
      needs: 'auth-url',
    },
    'auth-cache-key': {
      about:
        'what decides upon the answer of the auth server, which is kept then: `header:NAME` and `cookie:NAME` for the credentials, beside them `client`, `method` and `path` (with the query), with commas between. Nothing is kept where it is left out',
      form: KEY_FORM,
      needs: 'auth-url',
    },
    'auth-cache-duration': {
      about: 'how long answers are kept, by their status (`200 202 401 5m`), as in `200 202 5m, 401 10s`; at most 24h',
      form: DURATIONS_FORM,
      needs: 'auth-cache-key',
    },
    'auth-failure': {
      about:
        'what becomes of requests where the auth server cannot be reached: `closed` answers 503, `open` lets them go on',
      form: oneOf(['closed', 'open']),
      needs: 'auth-url',
    },
  },
  read(annotations) {
    const url = annotations.text('auth-url')
    const options = {
      method: annotations.text('auth-method') ?? 'GET',
      sent: readNames(annotations, 'auth-request-headers', false),
      added: readAdded(annotations),
      redirect: readRedirect(annotations),
      copied: readNames(annotations, 'auth-response-headers', true) ?? [],
      timeout: readTimeout(annotations) ?? DEFAULT_TIMEOUT_MS,
      signIn: readSignIn(annotations),
      alwaysSetsCookies: annotations.text('auth-always-set-cookie') === 'true',
      cache: readCache(annotations),
      failsOpen: annotations.text('auth-failure') === 'open',
    }
    if (url === undefined) return undefined
    const { scheme, authority } = splitUrl(url)
    const isOwn = authority.includes('$')
    const fault =
      findUrlFault(url, NO_SERVER) ??
      (isOwn || !scheme.includes('$')
        ? undefined
        : 'its scheme is that of the request, and the server has one of its own')
    if (fault !== undefined) {
      annotations.refuse('auth-url', fault, URL_FORM.help)
      return undefined
    }
    if (isOwn) return { url, upstream: undefined, ...options }
    const outcome = options.failsOpen ? 'requests go on unasked' : 'the requests that it is asked about answer 503'
    const upstream = annotations.server('auth-url', new URL(`${scheme}://${authority}`), outcome)
    return upstream && { url, upstream, ...options }
  },
  /** Of a URL of the gateway itself whose host and path are those of every request. */
  checkRoute({ url, upstream }, { host, find }) {
    const { authority, target } = splitUrl(url)
    const { path } = splitTarget(target)
    const isOwnHost = authority === `\${request.host}` || authority === `\${request.authority}`
    if (upstream !== undefined || !isOwnHost || path.includes('$') || host === '') return undefined
    const filters = find(path)
    const fault =
      filters === undefined
        ? `no route of ${host} takes ${path}`
        : filters.some(({ name }) => name === NAME)
          ? `the route of ${host} that takes ${path} asks an auth server itself`
          : undefined
    if (fault === undefined) return undefined
    const help = `add a rule for ${host} and ${path}, in an Ingress without auth-url`
    return { annotation: 'auth-url', message: `${fault}, so requests are answered 503`, help }
  },
  print({ url, upstream, method, sent, added, copied, timeout, signIn, cache, failsOpen }) {
    const place =
      upstream === undefined ? ' at the gateway itself' : upstream.includes('://') ? '' : ` (Service ${upstream})`
    return [
      `asks ${method === 'GET' ? '' : `${method} `}${cutQuery(url)}${place} within ${printDuration(timeout)}`,
      ...(sent === undefined ? [] : [`tells it ${sent.join(' ')}`]),
      ...(added.length === 0 ? [] : [`sets ${added.map(([name]) => name).join(' ')} for it`]),
      ...(copied.length === 0 ? [] : [`takes ${copied.join(' ')} from it`]),
      ...(signIn === undefined ? [] : [`401 goes to ${cutQuery(signIn.location)}`]),
      ...(cache === undefined ? [] : [`keeps ${printDurations(cache)} by ${cache.key.join(' ')}`]),
      ...(failsOpen ? ['lets requests pass where it cannot be reached'] : []),
    ].join(', ')
  },
  create(options, { clock, shared, warn }) {
    const { url, sent, copied, signIn, alwaysSetsCookies, failsOpen } = options
    const server = new AuthServer({ ...options, sent: sent && createNames(sent) })
    const names = copied.length === 0 ? undefined : createNames(copied)
    const removed = new SoughtNames(copied, 'underscores')
    const caching = options.cache
    const cache =
      caching &&
      shared(() => new Kept<AuthCache>()).find(
        JSON.stringify([caching, url, options.method, sent, options.added, options.redirect]),
        () => new AuthCache(caching, clock),
      )
    const locate = signIn && createLocator(signIn)
    /** Field lines that a request, and its answer, are to have. */
    const granted = new NoteKey<Readonly<{ lines: string; cookies: string }>>()

    const decide = (request: FilterRequest, answer: FilterAnswer): FilterOutcome => {
      const { status } = answer
      const cookies = pickFields(answer.lines, SET_COOKIE)
      if (status >= 200 && status <= 299) {
        const lines = names === undefined ? '' : pickFields(answer.lines, names)
        if (lines !== '' || cookies !== '') request.notes.set(granted, { lines, cookies })
        return undefined
      }
      if (status === 401 && locate !== undefined) {
        const lines = `Location: ${locate(request)}\r\nCache-Control: no-store\r\n${cookies}`
        return { status: 302, lines, body: undefined }
      }
      return { ...answer, lines: removeOwnFields(answer.lines) }
    }
    const giveUp = (failure: QuestionFailure): FilterOutcome => {
      if (!failsOpen || !failure.isUnreached) {
        return new GatewayError('PORTICO_GW_AUTH_UNAVAILABLE', `auth server: ${failure.message}`, failure)
      }
      warn(`the auth server ${cutQuery(url)} cannot be reached, and requests go on unasked: ${failure.message}`)
      return undefined
    }
    return {
      request(request) {
        if (request.header(QUESTION) === undefined) return undefined
        return new GatewayError('PORTICO_GW_AUTH_UNAVAILABLE', 'auth-url leads back to a route that asks it')
      },
      check(request) {
        const target = server.locate(request)
        if (target === undefined) {
          return new GatewayError('PORTICO_REQ_BAD_PATH', 'what auth-url makes of the request is no path')
        }
        const question = () => server.ask(request, target)
        const found = cache === undefined ? question() : cache.find(request, target, question)
        if ('status' in found) return decide(request, found)
        const outcome = found.answer.then((answer) => decide(request, answer), giveUp)
        return new PendingOutcome(outcome, found.cancel)
      },
      ...(names !== undefined && {
        requestNames: names,
        upstreamRequest: (draft, request) => {
          draft.remove(removed)
          draft.add(request.notes.get(granted)?.lines ?? '')
        },
      }),
      response(head, request) {
        const cookies = request.notes.get(granted)?.cookies
        if (cookies && (alwaysSetsCookies || COOKIE_STATUSES.has(head.status))) head.add(cookies)
      },
    }
  },
})

/** Says where a client signs in, and comes back from to what it asked for. */
function createLocator({ location, parameter }: SignIn): (request: FilterRequest) => string {
  const template = compileTemplate(location)
  const write = (request: FilterRequest): string => writeTemplate(template, request)
  const query = location.indexOf('?') < 0 ? undefined : location.slice(location.indexOf('?') + 1)
  if (query?.split('&').some((each) => each.split('=')[0] === parameter)) return write
  const separator = query === undefined ? '?' : query === '' || query.endsWith('&') ? '' : '&'
  return (request) => {
    const { scheme, clientAuthority, target } = request
    const asked = `${scheme}://${clientAuthority}${target}`.replace(UNSAFE_IN_PARAMETER, encodeByte)
    return `${write(request)}${separator}${parameter}=${asked}`
  }
}

function readAdded(annotations: AnnotationReader): readonly Field[] {
  const name = 'auth-request-headers-set'
  const fields = parseFields(annotations.text(name) ?? '', findTemplateFault)
  if (typeof fields === 'string') {
    annotations.refuse(name, fields, FIELDS.help)
    return []
  }
  const referred = readFieldsFrom(annotations, 'auth-request-headers-from')
  for (const [each, written] of [
    [name, fields],
    ['auth-request-headers-from', referred],
  ] as const) {
    if (written.every(([field]) => hyphenate(field) !== QUESTION)) continue
    annotations.refuse(each, `${QUESTION} is written by the gateway itself`, 'leave this field out')
  }
  const names = createNames(fields.map(([field]) => field))
  return [...fields, ...referred.filter(([field]) => !names.has(field))]
}

function readRedirect(annotations: AnnotationReader): string | undefined {
  const text = annotations.text('auth-request-redirect')
  const fault = text === undefined ? undefined : findTemplateFault(text)
  if (fault !== undefined) annotations.refuse('auth-request-redirect', fault, REDIRECT_FORM.help)
  return text
}

/** Names of fields; `areWritten` in the request to the endpoint. */
function readNames(annotations: AnnotationReader, name: string, areWritten: boolean): readonly string[] | undefined {
  const text = annotations.text(name)
  if (text === undefined) return undefined
  const names = splitNames(text)
  const own = areWritten ? names.find(isClientField) : undefined
  const fault =
    names.length > MAX_NAMES
      ? `it names more than ${MAX_NAMES} fields`
      : own !== undefined
        ? `${own} is written by the gateway itself`
        : names.map(findNameFault).find((each) => each !== undefined)
  if (fault !== undefined) annotations.refuse(name, fault, FIELD_NAMES.help)
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

function readSignIn(annotations: AnnotationReader): SignIn | undefined {
  const location = annotations.text('auth-signin')
  if (location === undefined) return undefined
  const fault = findUrlFault(location, NO_PAGE)
  if (fault !== undefined) {
    annotations.refuse('auth-signin', fault, SIGN_IN_FORM.help)
    return undefined
  }
  return { location, parameter: annotations.text('auth-signin-redirect-param') ?? DEFAULT_PARAMETER }
}

function readCache(annotations: AnnotationReader): AuthCacheOptions | undefined {
  const text = annotations.text('auth-cache-key')
  if (text === undefined) return undefined
  const key = splitList(text)
  const headers = key.flatMap((each) => (each.startsWith('header:') ? each.slice('header:'.length) : []))
  const claim = headers.find(isClientField)
  const fault =
    key.length > MAX_KEY_PARTS
      ? `it has more than ${MAX_KEY_PARTS} parts`
      : !key.some((each) => each.includes(':'))
        ? 'it names no credential, so all users would share one answer'
        : claim !== undefined
          ? `${claim} says who the client is`
          : undefined
  if (fault !== undefined) annotations.refuse('auth-cache-key', fault, KEY_HELP)
  const durations = readDurations(annotations.text('auth-cache-duration') ?? DEFAULT_DURATIONS)
  const wrong = durations.find(([, duration]) => duration < 1 || duration > MAX_CACHE_MS)
  if (wrong !== undefined) annotations.refuse('auth-cache-duration', 'a time is not from 1ms to 24h', DURATIONS_HELP)
  return { key, durations }
}

function readDurations(text: string): readonly (readonly [number, number])[] {
  return splitList(text).flatMap((group) => {
    const words = group.split(/\s+/)
    const duration = parseMeasure(words.at(-1) ?? '', DURATION)
    return words.slice(0, -1).map((status) => [Number(status), duration] as const)
  })
}

function printDurations({ durations }: AuthCacheOptions): string {
  return durations.map(([status, duration]) => `${status} for ${printDuration(duration)}`).join(', ')
}

/** A query may hold a secret. */
function cutQuery(location: string): string {
  return location.split('?', 1)[0]!
}
