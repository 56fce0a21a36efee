/** Changes of field lines, latin1, `Name: value\r\n` each. HOT */
import { isNamed, joinFields } from '../http1/field-line.ts'
import { backOf, frontOf, mayHave, type NameTraces, traceLines } from '../http1/name-traces.ts'

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

/** Names that are looked for in field lines. */
export class SoughtNames {
  /** In lower case. */
  readonly names: readonly string[]
  /** Underscores are taken for hyphens. */
  readonly #isFolded: boolean
  /** A bit for the low five bits of each character that a name begins with: most lines begin with another. */
  readonly #beginnings: number
  /** By name, as NameTraces has them; all bits where an underscore may stand at an end. */
  readonly #fronts: readonly number[]
  readonly #backs: readonly number[]

  /** With `underscores` names count that differ from them in underscores alone. */
  constructor(names: Iterable<string>, underscores?: 'underscores') {
    const isFolded = underscores !== undefined
    this.names = Array.from(names, (name) => (isFolded ? hyphenate(name) : name.toLowerCase()))
    this.#isFolded = isFolded
    // An underscore in the place of a first hyphen.
    const all = isFolded ? [...this.names, '_'] : this.names
    this.#beginnings = all.reduce((bits, name) => bits | (1 << (name.charCodeAt(0) & 31)), 0)
    const isOpen = (name: string): boolean => isFolded && (name.startsWith('-') || name.endsWith('-'))
    this.#fronts = this.names.map((name) => (isOpen(name) ? -1 : frontOf(name)))
    this.#backs = this.names.map((name) => (isOpen(name) ? -1 : backOf(name)))
  }

  /** False: none of the names is among those that left these traces. */
  mayStand(fronts: number, backs: number): boolean {
    for (let named = 0; named < this.names.length; named++) {
      if ((this.#fronts[named]! & fronts) !== 0 && (this.#backs[named]! & backs) !== 0) return true
    }
    return false
  }

  /** The lines without the fields of these names. */
  remove(lines: string): string {
    let kept = ''
    let start = 0
    for (let at = 0; at < lines.length; ) {
      const end = lines.indexOf('\n', at) + 1
      if (this.#find(lines, at) >= 0) {
        kept += lines.slice(start, at)
        start = end
      }
      at = end
    }
    return start === 0 ? lines : kept + lines.slice(start)
  }

  /** Which of the names have a field: bit n for the nth of 31 at most. */
  mark(lines: string): number {
    let marks = 0
    for (let at = 0; at < lines.length; at = lines.indexOf('\n', at) + 1) {
      const named = this.#find(lines, at)
      if (named >= 0) marks |= 1 << named
    }
    return marks
  }

  /** Which of the names the field at `at` has; -1: none. */
  #find(lines: string, at: number): number {
    if ((this.#beginnings & (1 << (lines.charCodeAt(at) & 31))) === 0) return -1
    for (let named = 0; named < this.names.length; named++) {
      if (isNamed(lines, at, this.names[named]!, this.#isFolded)) return named
    }
    return -1
  }
}

/** Field lines that filters change in turn. Names that are not there are mostly told without a look at the lines. */
export class FieldLines {
  // Names with # would be dearer here: classes that extend this one define them anew for each object.
  private text: string
  private fronts: number
  private backs: number

  /** `traces` are the traces of all names in `lines`; left out: they are read from the lines. */
  constructor(lines: string, traces: NameTraces = traceLines(lines)) {
    this.text = lines
    this.fronts = traces.fronts
    this.backs = traces.backs
  }

  get lines(): string {
    return this.text
  }

  /** The values of all fields of this lower-case name, in one list (RFC 9110 §5.3); undefined: there is none. */
  find(name: string): string | undefined {
    return mayHave(name, this.fronts, this.backs) ? joinValues(this.text, name) : undefined
  }

  /** Which of the names have a field, as `SoughtNames.mark` says. */
  mark(names: SoughtNames): number {
    return names.mayStand(this.fronts, this.backs) ? names.mark(this.text) : 0
  }

  /** Leaves out the fields of these names. */
  remove(names: SoughtNames): void {
    if (names.mayStand(this.fronts, this.backs)) this.text = names.remove(this.text)
  }

  /** Adds lines at the end. The second argument has the traces of their names; left out: they are read from the lines. */
  add(lines: string, { fronts, backs }: NameTraces = traceLines(lines)): void {
    this.text += lines
    this.fronts |= fronts
    this.backs |= backs
  }

  /** Puts other values into lines: all names stay. */
  replace(pattern: RegExp, replacer: (...found: string[]) => string): void {
    this.text = this.text.replace(pattern, replacer)
  }
}

const OWN_FIELDS = new SoughtNames(['date', 'server'])

/** Leaves out of an answer of a server that was asked beside the request what the gateway writes itself. */
export function removeOwnFields(lines: string): string {
  return OWN_FIELDS.remove(lines)
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
