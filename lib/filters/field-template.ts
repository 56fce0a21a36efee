/** Values with variables, of fields and of URLs, as in `${client.address}`. HOT */
import { findNearest } from '../base/nearest.ts'
import { compileBeginning } from '../base/pattern.ts'
import { findCookie } from '../http1/cookie.ts'
import { type Field, findFieldFault, findForeignVariable, printFields, TOKEN_CHARACTER } from './field-lines.ts'
import type { AnnotationReader, FilterRequest } from './spec.ts'

type Variable = (request: FilterRequest) => string

/** All variables with fixed names. `''`: the request has nothing of this kind. */
const VARIABLES: ReadonlyMap<string, Variable> = new Map<string, Variable>([
  ['client.address', (request) => request.clientAddress],
  ['request.authority', (request) => request.clientAuthority],
  ['request.encoded-target', (request) => request.target.replace(NOT_UNRESERVED, encodeByte)],
  ['request.host', (request) => request.clientHostname],
  ['request.id', (request) => request.id],
  ['request.method', (request) => request.method],
  ['request.path', (request) => request.pathname],
  ['request.protocol', (request) => request.protocol],
  ['request.query', (request) => request.query.slice(1)],
  ['request.scheme', (request) => request.scheme],
  ['request.target', (request) => request.target],
  ['request.time', (request) => String(request.startedAt)],
  ['tls.cipher', (request) => request.tls?.cipher ?? ''],
  ['tls.server-name', (request) => request.tls?.serverName ?? ''],
  ['tls.version', (request) => request.tls?.version ?? ''],
])

type Family = Readonly<{
  /** What the names of its variables begin with. */
  beginning: string
  /** For people: what stands behind it. */
  example: string
  names: RegExp
  create: (name: string) => Variable
}>

const TOKEN = new RegExp(`^${TOKEN_CHARACTER}{1,100}$`)

/** Variables whose names end with a name, or a number, that the configuration chooses. */
const FAMILIES: readonly Family[] = [
  {
    beginning: 'match.',
    example: '1',
    names: /^[1-9]$/,
    create: (name) => {
      const at = Number(name) - 1
      return ({ match, matchPath }) =>
        match.type === 'regex' ? (compileBeginning(match).findGroups(matchPath)[at] ?? '') : ''
    },
  },
  {
    beginning: 'request.cookie.',
    example: 'NAME',
    names: TOKEN,
    create: (name) => (request) => findCookie(request.header('cookie'), name) ?? '',
  },
  {
    beginning: 'request.header.',
    example: 'NAME',
    names: TOKEN,
    create: (written) => {
      const name = written.toLowerCase()
      return (request) => request.header(name) ?? ''
    },
  },
  {
    beginning: 'request.parameter.',
    example: 'NAME',
    names: /^[\w.~-]{1,100}$/,
    create: (name) => (request) => encodeURIComponent(request.parameter(name) ?? ''),
  },
]

/** Undefined: there is no such variable. */
function findVariable(name: string): Variable | undefined {
  const own = VARIABLES.get(name)
  if (own !== undefined) return own
  const family = FAMILIES.find(({ beginning }) => name.startsWith(beginning))
  const rest = name.slice(family?.beginning.length)
  return family?.names.test(rest) ? family.create(rest) : undefined
}

/** What nginx calls these variables: values that were written for ingress-nginx have them. */
const NAMES_OF_NGINX: ReadonlyMap<string, string> = new Map([
  ['args', 'request.query'],
  ['escaped_request_uri', 'request.encoded-target'],
  ['host', 'request.host'],
  ['http_host', 'request.authority'],
  ['msec', 'request.time'],
  ['query_string', 'request.query'],
  ['realip_remote_addr', 'client.address'],
  ['remote_addr', 'client.address'],
  ['req_id', 'request.id'],
  ['request_id', 'request.id'],
  ['request_method', 'request.method'],
  ['request_uri', 'request.target'],
  ['scheme', 'request.scheme'],
  ['server_protocol', 'request.protocol'],
  ['ssl_cipher', 'tls.cipher'],
  ['ssl_protocol', 'tls.version'],
  ['ssl_server_name', 'tls.server-name'],
  ['the_real_ip', 'client.address'],
  ['uri', 'request.path'],
])

/** `$${` is a `${` that begins no variable. */
const PARTS = /(\$\$\{)|\$\{([^}]*)(\}?)/g
const UNSAFE = /[^\x21-\x7e]/g
/** RFC 3986 §2.3. */
const NOT_UNRESERVED = /[^\w.~-]/g

/** A value without variables, or what makes it for a request. */
export type Template = string | ((request: FilterRequest) => string)

/** The variable of Portico for one of nginx, written `$name` or `name`; undefined: there is none. */
export function findEquivalent(written: string): string | undefined {
  const name = written.replace(/[${}]/g, '')
  const part = NAMES_OF_NGINX.has(name) ? undefined : splitVariable(name)
  return part === undefined ? NAMES_OF_NGINX.get(name) : `request.${part.kind}.${part.name}`
}

/** What a variable of nginx as `http_x_a`, `cookie_a` or `arg_a` stands for, by its name without `$`; undefined: it is another one. */
export function splitVariable(
  written: string,
): Readonly<{ kind: 'header' | 'cookie' | 'parameter'; name: string }> | undefined {
  const [, kind, name = ''] = /^(arg|cookie|http)_(\w+)$/.exec(written) ?? []
  if (kind === undefined) return undefined
  if (kind === 'http') return { kind: 'header', name: name.replaceAll('_', '-') }
  return { kind: kind === 'arg' ? 'parameter' : 'cookie', name }
}

/** Why a value has no meaning as a template; undefined: it has one. */
export function findTemplateFault(value: string): string | undefined {
  for (const [, literal, name = '', end] of value.matchAll(PARTS)) {
    if (literal !== undefined || (end !== '' && findVariable(name) !== undefined)) continue
    if (end === '') return `"\${${name}" has no end; "$\${" stands for these two characters themselves`
    const meant = findEquivalent(name) ?? findNearest(name, VARIABLES.keys())
    const all = [...VARIABLES.keys(), ...FAMILIES.map(({ beginning, example }) => beginning + example)]
    const help = meant === undefined ? `there are ${all.join(', ')}` : `did you mean \${${meant}}?`
    return `there is no variable \${${name}}; ${help}`
  }
  const foreign = findForeignVariable(value.replace(PARTS, ' '))
  if (foreign === undefined) return undefined
  const own = findEquivalent(foreign)
  return `nothing takes the place of ${foreign}${own === undefined ? '' : `; write \${${own}}`}`
}

/** `value` has no fault. Whatever a client sends, the value stays in its line: what is not printable ASCII is percent-encoded. */
export function compileTemplate(value: string): Template {
  const parts: Template[] = []
  let text = ''
  let last = 0
  for (const { index, 0: written, 1: literal, 2: name = '' } of value.matchAll(PARTS)) {
    text += value.slice(last, index)
    last = index + written.length
    if (literal !== undefined) text += '${'
    else {
      if (text !== '') parts.push(text)
      text = ''
      parts.push(findVariable(name)!)
    }
  }
  text += value.slice(last)
  if (parts.length === 0) return text
  if (text !== '') parts.push(text)
  return (request) => {
    let made = ''
    for (const part of parts) made += typeof part === 'string' ? part : encodeUnsafe(part(request))
    return made.trim()
  }
}

export function writeTemplate(template: Template, request: FilterRequest): string {
  return typeof template === 'string' ? template : template(request)
}

/** The most fields that a ConfigMap may hold. */
const MOST_FIELDS = 100

/** The fields that the keys of a ConfigMap name, with variables in their values; the annotation of this name names the ConfigMap. */
export function readFieldsFrom(annotations: AnnotationReader, name: string): readonly Field[] {
  const fields = annotations.entries(name) ?? []
  const fault =
    fields.length > MOST_FIELDS
      ? `it has ${fields.length} keys, and ${MOST_FIELDS} are allowed`
      : fields.map((field) => findFieldFault(field, findTemplateFault)).find((each) => each !== undefined)
  if (fault === undefined) return fields
  annotations.refuse(name, `the ConfigMap cannot be used: ${fault}`, 'each key of it is the name of a field')
  return []
}

/** Field lines. One whose variables all have nothing to say is left out. */
export function compileFields(fields: readonly Field[]): Template {
  const lines = fields.map(compileField)
  if (lines.every((line) => typeof line === 'string')) return lines.join('')
  return (request) => {
    let text = ''
    for (const line of lines) text += writeTemplate(line, request)
    return text
  }
}

function compileField([name, value]: Field): Template {
  const template = compileTemplate(value)
  if (typeof template === 'string') return printFields([[name, template]])
  return (request) => {
    const text = template(request)
    return text === '' ? '' : `${name}: ${text}\r\n`
  }
}

/** What is printable ASCII, and percent-encodings in place of all else. */
function encodeUnsafe(value: string): string {
  return value.replace(UNSAFE, encodeByte)
}

/** Percent-encodes a character of a latin1 text, which is a byte. */
export function encodeByte(character: string): string {
  return `%${(character.charCodeAt(0) & 0xff).toString(16).toUpperCase().padStart(2, '0')}`
}
