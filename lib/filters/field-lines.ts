/** Changes of field lines, latin1, `Name: value\r\n` each. HOT */
import { joinFields } from '../http1/field-line.ts'

/** A character of the name of a field (RFC 9110 §5.6.2), for patterns. */
export const TOKEN_CHARACTER: string = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]"
const TOKEN = new RegExp(`^${TOKEN_CHARACTER}+$`)
/** A value in one line (RFC 9110 §5.5), without white space around it. */
export const VALUE = /^[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?$/

/** Fields of the hop and of the framing, which the gateway itself writes (RFC 9110 §7.6.1). */
const RESERVED = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'x-request-id',
])

/** See `isClientField`. */
const CLIENT_FIELDS: ReadonlySet<string> = new Set([
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
  'x-real-ip',
])

/** Variables of nginx, which stand in values that were written for ingress-nginx. */
const VARIABLE =
  /\$\{?(?:arg_|args\b|best_http_|binary_|body_|cookie_|document_|geoip|host\b|hostname\b|http_|is_args|msec\b|namespace\b|proxy_|query_string|realip_|remote_|req_id|request|scheme\b|sent_|server_|service_|ssl_|status\b|the_real_ip|time_|upstream_|uri\b)\w*\}?/

export type Field = readonly [name: string, value: string]

/** Lower-case names of fields. */
export type FieldNames = Pick<ReadonlySet<string>, 'has'>

/** The names, and those that differ from them in underscores alone. */
export function createNames(names: readonly string[]): FieldNames {
  const known = new Set(names.map(hyphenate))
  return { has: (name) => known.has(hyphenate(name)) }
}

/** Servers after the CGI model take an underscore in a name for a hyphen. */
export function hyphenate(name: string): string {
  return name.toLowerCase().replaceAll('_', '-')
}

/** True if the gateway itself writes the field, to say who the client is. */
export function isClientField(name: string): boolean {
  return CLIENT_FIELDS.has(hyphenate(name))
}

/** The values of all fields of this lower-case name, in one list (RFC 9110 §5.3); undefined: there is none. */
export function joinValues(lines: string, name: string): string | undefined {
  return joinFields(lines, name, ', ')
}

/** Makes what leaves out the fields of these names; with `underscores` those too that differ from them in underscores alone. */
export function createRemover(names: Iterable<string>, underscores?: 'underscores'): (lines: string) => string {
  const sought = new SoughtNames(names, underscores !== undefined)
  if (sought.isEmpty) return (lines) => lines
  return (lines) => {
    let kept = ''
    let start = 0
    for (let at = 0; at < lines.length; ) {
      const end = lines.indexOf('\n', at) + 1
      if (sought.find(lines, at) >= 0) {
        kept += lines.slice(start, at)
        start = end
      }
      at = end
    }
    return start === 0 ? lines : kept + lines.slice(start)
  }
}

/** The fields whose names, as they stand there, are to be kept. */
export function keepFields(lines: string, isKept: (name: string) => boolean): string {
  let kept = ''
  for (let at = 0; at < lines.length; ) {
    const end = lines.indexOf('\n', at) + 1
    if (isKept(lines.slice(at, lines.indexOf(':', at)))) kept += lines.slice(at, end)
    at = end
  }
  return kept
}

/** Makes what says which of these names have a field: bit n for the nth of 31 at most. */
export function createMarker(names: Iterable<string>): (lines: string) => number {
  const sought = new SoughtNames(names, false)
  return (lines) => {
    let marks = 0
    for (let at = 0; at < lines.length; at = lines.indexOf('\n', at) + 1) {
      const named = sought.find(lines, at)
      if (named >= 0) marks |= 1 << named
    }
    return marks
  }
}

class SoughtNames {
  readonly #names: readonly string[]
  /** Underscores are taken for hyphens. */
  readonly #isFolded: boolean
  /** A bit for the low five bits of each character that a name begins with: most lines begin with another. */
  readonly #beginnings: number

  constructor(names: Iterable<string>, isFolded: boolean) {
    this.#names = Array.from(names, (name) => (isFolded ? hyphenate(name) : name.toLowerCase()))
    this.#isFolded = isFolded
    // An underscore in the place of a first hyphen.
    const all = isFolded ? [...this.#names, '_'] : this.#names
    this.#beginnings = all.reduce((bits, name) => bits | (1 << (name.charCodeAt(0) & 31)), 0)
  }

  get isEmpty(): boolean {
    return this.#names.length === 0
  }

  /** Which of the names the field at `at` has; -1: none. */
  find(lines: string, at: number): number {
    if ((this.#beginnings & (1 << (lines.charCodeAt(at) & 31))) === 0) return -1
    const names = this.#names
    for (let named = 0; named < names.length; named++) {
      const name = names[named]!
      if (lines.charCodeAt(at + name.length) === 0x3a && spells(lines, at, name, this.#isFolded)) return named
    }
    return -1
  }
}

/** Leaves out of an answer of a server that was asked beside the request what the gateway writes itself. */
export const removeOwnFields: (lines: string) => string = createRemover(['date', 'server'])

function spells(lines: string, at: number, name: string, isFolded: boolean): boolean {
  for (let index = 0; index < name.length; index++) {
    let code = lines.charCodeAt(at + index)
    if (code >= 0x41 && code <= 0x5a) code += 0x20
    else if (isFolded && code === 0x5f) code = 0x2d
    if (code !== name.charCodeAt(index)) return false
  }
  return true
}

export function printFields(fields: readonly Field[]): string {
  return fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
}

/** Why a field of this name cannot be changed; undefined: it can. */
export function findNameFault(name: string): string | undefined {
  if (!TOKEN.test(name)) return `"${name}" is no name of a field`
  return RESERVED.has(name.toLowerCase()) ? `${name} is written by the gateway itself` : undefined
}

/** Names that stand in a text, separated by commas or white space. */
export function splitNames(text: string): readonly string[] {
  return text.split(/[\s,]+/).filter((each) => each !== '')
}

/**
 * `Name: value` in each line of a text, or why one of them is none. Empty lines are passed over. `findFault` says what is wrong
 * with a value that may have variables.
 */
export function parseFields(
  text: string,
  findFault: (value: string) => string | undefined = refuseVariables,
): readonly Field[] | string {
  const fields: Field[] = []
  for (const line of text.split('\n')) {
    const written = line.trim()
    if (written === '') continue
    const colon = written.indexOf(':')
    if (colon <= 0) return `"${written}" is not "Name: value"`
    const name = written.slice(0, colon)
    const value = written.slice(colon + 1).trim()
    const fault = findFieldFault([name, value], findFault)
    if (fault !== undefined) return fault
    fields.push([name, value])
  }
  return fields
}

/** Why it cannot be a field; `findFault` says what is wrong with a value that may have variables. */
export function findFieldFault(
  [name, value]: Field,
  findFault: (value: string) => string | undefined,
): string | undefined {
  const fault = findNameFault(name)
  if (fault !== undefined) return fault
  if (value !== '' && !VALUE.test(value)) return `the value of ${name} has characters that a field cannot have`
  const valueFault = findFault(value)
  return valueFault === undefined ? undefined : `the value of ${name}: ${valueFault}`
}

function refuseVariables(value: string): string | undefined {
  const variable = /\$\{[^}]*\}?/.exec(value)?.[0] ?? findForeignVariable(value)
  return variable === undefined ? undefined : `nothing takes the place of the variable ${variable} here`
}

/** The first variable of nginx in a value; undefined: there is none. */
export function findForeignVariable(value: string): string | undefined {
  return VARIABLE.exec(value)?.[0]
}
