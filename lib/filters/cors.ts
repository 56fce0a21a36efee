/** Says which pages of other origins may read answers, and answers the preflights that browsers send (WHATWG Fetch, CORS protocol). HOT */
import { DURATION, parseMeasure, printDuration } from '../base/measure.ts'
import { findPatternFault, Pattern } from '../base/pattern.ts'
import { TextMemo } from '../base/text-memo.ts'
import { traceNames } from '../http1/name-traces.ts'
import { type AnnotationForm, FIELD_NAMES, matching, oneOf, spaced } from './annotation-form.ts'
import { SoughtNames, splitNames, TOKEN_CHARACTER } from './field-lines.ts'
import { type AnnotationReader, defineFilter, type FilterAnswer, type FilterRequest } from './spec.ts'
import { addVary } from './vary.ts'

type Options = Readonly<{
  /** As browsers send them, `null` among them; with `*.` before the host: each host with one label in its place. */
  origins: readonly string[]
  /** Stands for whole origins. */
  pattern: string | undefined
  /** `*` alone stands for all. */
  methods: readonly string[]
  /** `*` alone stands for all. */
  headers: readonly string[]
  exposed: readonly string[]
  credentials: boolean
  /** Milliseconds that a browser may rely on the answer to a preflight. */
  maxAge: number
  privateNetwork: boolean
}>

const USUAL_METHODS: readonly string[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']
/** Those that ingress-nginx allows. */
const USUAL_HEADERS: readonly string[] = [
  'Authorization',
  'Cache-Control',
  'Content-Type',
  'DNT',
  'If-Modified-Since',
  'Keep-Alive',
  'Range',
  'User-Agent',
  'X-Requested-With',
]
const USUAL_MAX_AGE = 600_000
const MAX_AGE_MS = 86_400_000
const MAX_ITEMS = 200
/** Characters; a host has 253. */
const MAX_ORIGIN = 300
/** Origins that are remembered. */
const MAX_KNOWN = 64
/** Nobody has such an origin: an expression that stands for it stands for all. */
const NOBODY = 'https://nobody.invalid'

const HOST = '(?:(?:[a-z0-9_](?:[-a-z0-9_]*[a-z0-9_])?\\.)*[a-z0-9_](?:[-a-z0-9_]*[a-z0-9_])?|\\[[0-9a-f:.]+\\])'
const ORIGIN = `(?:\\*|null|[a-z][-a-z0-9+.]*://(?:\\*\\.)?${HOST}(?::\\d{1,5})?)`
const ORIGIN_HELP =
  'write scheme, host and port, where it has one, as in "https://app.example.com" or "https://*.example.com"'

const ORIGINS: AnnotationForm = {
  pattern: spaced(ORIGIN),
  describeFault: (text) => {
    const wrong = splitNames(text).find((each) => !new RegExp(`^${ORIGIN}$`).test(each))
    return wrong === undefined ? 'it names no origin' : explainOrigin(wrong)
  },
  help: ORIGIN_HELP,
  structure: 'list',
}
const ORIGIN_PATTERN: AnnotationForm = {
  pattern: /^(?!\s)[^\x00-\x1f\x7f]{1,1000}$/,
  describeFault: (text) => findPatternFault(text) ?? 'it is empty',
  help: 'write an expression of RE2 for the whole origin, as in "https://pr-[0-9]+\\.example\\.com"',
}
const TOKEN = `${TOKEN_CHARACTER}+`
const METHODS: AnnotationForm = {
  ...matching(
    spaced(TOKEN),
    'names no methods',
    'write methods in capitals, separated by commas, as in "GET, PUT", or "*"',
  ),
  structure: 'list',
}
const NAME_LIST = new RegExp(`^${TOKEN}(?:[ \\t]*,[ \\t]*${TOKEN})*$`)

const NAMES: ReadonlySet<string> = new Set([
  'access-control-allow-credentials',
  'access-control-allow-headers',
  'access-control-allow-methods',
  'access-control-allow-origin',
  'access-control-allow-private-network',
  'access-control-expose-headers',
  'access-control-max-age',
])
const OWN = new SoughtNames(NAMES)
const TRACES = traceNames([...NAMES])

const PREFLIGHT: FilterAnswer = { status: 204, lines: '', body: undefined }

export const CORS = defineFilter<Options>({
  name: 'cors',
  order: 105,
  isGuard: false,
  annotations: {
    'cors-allow-origins': {
      about:
        'origins whose pages may read answers, separated by commas: `https://app.example.com`; `https://*.example.com` for each host with one label in place of `*`; `null`; or `*` for all. The fields that say so stand in all answers to these origins, errors of Portico too, in place of those that the endpoint sends. A preflight is answered with 204, before any guard that asks who the user is; other requests with OPTIONS go on',
      form: ORIGINS,
    },
    'cors-allow-origins-regex': {
      about: 'a regular expression (RE2) that stands for whole origins, which are allowed too',
      form: ORIGIN_PATTERN,
    },
    'cors-allow-methods': {
      about: `the methods that such pages may use (\`${USUAL_METHODS.join(', ')}\`), or \`*\``,
      form: METHODS,
    },
    'cors-allow-headers': {
      about: `the fields that they may send (\`${USUAL_HEADERS.join(', ')}\`), or \`*\``,
      form: FIELD_NAMES,
    },
    'cors-expose-headers': { about: 'the fields of answers that they may read, or `*`', form: FIELD_NAMES },
    'cors-allow-credentials': {
      about: '`"true"`: they may send cookies and credentials; not together with the origins `*` and `null`',
      form: oneOf(['true', 'false']),
    },
    'cors-max-age': {
      about: `how long a browser may rely on the answer to a preflight (\`${printDuration(USUAL_MAX_AGE)}\`), at most 24h`,
      form: matching(DURATION.pattern, 'is no time', DURATION.example),
    },
    'cors-allow-private-network': {
      about: '`"true"`: pages of public networks may ask although this gateway is in a private one',
      form: oneOf(['true', 'false']),
    },
  },
  read(annotations) {
    const written = annotations.text('cors-allow-origins')
    const pattern = annotations.text('cors-allow-origins-regex')
    const options = {
      origins: readOrigins(annotations, written),
      pattern,
      methods: readList(annotations, 'cors-allow-methods', USUAL_METHODS),
      headers: readList(annotations, 'cors-allow-headers', USUAL_HEADERS),
      exposed: readList(annotations, 'cors-expose-headers', []),
      credentials: annotations.text('cors-allow-credentials') === 'true',
      maxAge: readMaxAge(annotations),
      privateNetwork: annotations.text('cors-allow-private-network') === 'true',
    }
    if (written === undefined && pattern === undefined) {
      const alone = Object.keys(CORS.annotations).find((name) => annotations.text(name) !== undefined)
      const fault = 'it says nothing without cors-allow-origins'
      if (alone !== undefined) annotations.refuse(alone, fault, 'add portico.dev/cors-allow-origins, or leave it out')
      return undefined
    }
    const fault = pattern === undefined ? undefined : findPatternFault(pattern)
    if (fault !== undefined) annotations.refuse('cors-allow-origins-regex', fault, ORIGIN_PATTERN.help)
    else if (options.credentials) refuseUnsafe(annotations, options)
    return options
  },
  print({ origins, pattern, methods, credentials }) {
    const allowed = [...origins, ...(pattern === undefined ? [] : [`/${pattern}/`])].join(' ')
    return `${allowed}${credentials ? ' with credentials' : ''} may ${methods.join(' ')}`
  },
  create({ origins, pattern, methods, headers, exposed, credentials, maxAge, privateNetwork }) {
    const isAny = origins.includes('*')
    const allows = createTest(origins, pattern)
    const end = credentials ? '\r\nAccess-Control-Allow-Credentials: true\r\n' : '\r\n'
    const anyLines = isAny ? `Access-Control-Allow-Origin: *${end}` : undefined
    const exposedLine = exposed.length === 0 ? '' : `Access-Control-Expose-Headers: ${exposed.join(', ')}\r\n`
    const methodsLine = `Access-Control-Allow-Methods: ${methods.join(', ')}\r\n`
    const headersLine = `Access-Control-Allow-Headers: ${headers.join(', ')}\r\n`
    const ageLine = `Access-Control-Max-Age: ${Math.floor(maxAge / 1000)}\r\n`
    const ofOrigins = new TextMemo(MAX_KNOWN, (origin) =>
      allows(origin) ? `Access-Control-Allow-Origin: ${origin}${end}` : undefined,
    )

    /** The lines that allow the origin of the request; undefined: it is not allowed, or there is none. */
    const findLines = (origin: string | undefined): string | undefined => {
      if (isAny) return anyLines
      return origin === undefined ? undefined : ofOrigins.find(origin)
    }

    /** The wildcard `*` does not hold for requests with credentials, nor for Authorization: what was asked for is allowed by name. */
    const answerPreflight = (request: FilterRequest): string => {
      const method = request.header('access-control-request-method')!
      const names = request.header('access-control-request-headers')
      let lines = methodsLine
      if (methods[0] === '*') lines = NAME_LIST.test(method) ? `Access-Control-Allow-Methods: ${method}\r\n` : ''
      if (headers[0] !== '*') lines += headersLine
      else if (names !== undefined && NAME_LIST.test(names)) lines += `Access-Control-Allow-Headers: ${names}\r\n`
      if (privateNetwork && request.header('access-control-request-private-network') === 'true')
        lines += 'Access-Control-Allow-Private-Network: true\r\n'
      return lines + ageLine
    }

    return {
      responseNames: NAMES,
      request: (request) => (isPreflight(request) ? PREFLIGHT : undefined),
      response(head, request) {
        head.remove(OWN)
        if (!isAny) addVary(head, 'Origin')
        const lines = findLines(request.header('origin'))
        if (!isPreflight(request)) {
          if (lines !== undefined) head.add(lines + exposedLine, TRACES)
          return
        }
        addVary(head, 'Access-Control-Request-Method')
        addVary(head, 'Access-Control-Request-Headers')
        if (privateNetwork) addVary(head, 'Access-Control-Request-Private-Network')
        if (lines !== undefined) head.add(lines + answerPreflight(request), TRACES)
      },
    }
  },
})

/** Other requests with OPTIONS go on to the endpoint. */
function isPreflight(request: FilterRequest): boolean {
  return (
    request.method === 'OPTIONS' &&
    request.header('origin') !== undefined &&
    request.header('access-control-request-method') !== undefined
  )
}

function createTest(origins: readonly string[], pattern: string | undefined): (origin: string) => boolean {
  const exact = new Set(origins)
  const wildcards = origins.filter((each) => each.includes('*.')).map((each) => each.split('*') as [string, string])
  const expression = pattern === undefined ? undefined : new Pattern(pattern)
  return (origin) => {
    if (exact.has(origin)) return true
    if (origin.length > MAX_ORIGIN) return false
    for (const [before, after] of wildcards) {
      const isLong = origin.length > before.length + after.length
      if (isLong && origin.startsWith(before) && origin.endsWith(after)) {
        const label = origin.slice(before.length, origin.length - after.length)
        if (/^[-a-z0-9_]+$/.test(label)) return true
      }
    }
    return expression?.describes(origin) === true
  }
}

/** Refuses options by which any page could act in the name of a user. */
function refuseUnsafe(annotations: AnnotationReader, { origins, pattern, exposed }: Options): void {
  const help = 'name the origins that may send credentials, or leave cors-allow-credentials out'
  for (const origin of ['*', 'null']) {
    if (!origins.includes(origin)) continue
    const who = origin === '*' ? 'any page' : 'any page, in a frame with the attribute sandbox,'
    annotations.refuse('cors-allow-origins', `with credentials "${origin}" lets ${who} act for its users`, help)
  }
  if (pattern !== undefined && [NOBODY, 'null'].some((each) => new Pattern(pattern).describes(each))) {
    const fault = 'it stands for any origin, and with credentials any page could act for its users'
    annotations.refuse('cors-allow-origins-regex', fault, help)
  }
  if (exposed[0] === '*') {
    const fault = 'with credentials browsers take "*" for a name of a field'
    annotations.refuse('cors-expose-headers', fault, 'name the fields that pages may read')
  }
}

/** In the form in which browsers send them: without the usual port. The form has seen that they are origins. */
function readOrigins(annotations: AnnotationReader, text: string | undefined): readonly string[] {
  const origins = splitNames(text ?? '').map((each) =>
    each.replace(/^(http:\/\/.*):0*80$|^(https:\/\/.*):0*443$/, '$1$2'),
  )
  checkCount(annotations, 'cors-allow-origins', origins)
  return origins
}

function readList(annotations: AnnotationReader, name: string, usual: readonly string[]): readonly string[] {
  const text = annotations.text(name)
  if (text === undefined) return usual
  const items = splitNames(text)
  checkCount(annotations, name, items)
  return items.includes('*') ? ['*'] : items
}

function checkCount(annotations: AnnotationReader, name: string, { length }: readonly string[]): void {
  if (length > MAX_ITEMS)
    annotations.refuse(name, `it has ${length} items, and ${MAX_ITEMS} are allowed`, 'leave some out')
}

function readMaxAge(annotations: AnnotationReader): number {
  const text = annotations.text('cors-max-age')
  if (text === undefined) return USUAL_MAX_AGE
  const age = parseMeasure(text, DURATION)
  if (age <= MAX_AGE_MS) return age
  annotations.refuse('cors-max-age', `"${text}" is longer than 24h`, 'browsers do not rely on it for longer')
  return USUAL_MAX_AGE
}

function explainOrigin(text: string): string {
  if (!/^[A-Za-z][-A-Za-z0-9+.]*:\/\//.test(text)) return `"${text}" has no scheme`
  if (/^[^:]+:\/\/[^/]*\//.test(text)) return `"${text}" has a path, and origins have none`
  if (/^[^:]+:\/\/(?!\*\.)[^/]*\*|\*.*\*/.test(text))
    return `in "${text}" the "*" stands for no whole first label; cors-allow-origins-regex can say it`
  if (/[A-Z]/.test(text)) return `"${text}" has capitals, and browsers send none`
  return `"${text}" is no origin`
}
