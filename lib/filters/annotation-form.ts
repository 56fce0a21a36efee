/** What values of an annotation look like. The same forms are in the JSON Schema for editors, so that both refuse the same. */
import { findNameFault, parseFields, splitNames, TOKEN_CHARACTER } from './field-lines.ts'

export type AnnotationForm = Readonly<{
  /** Without flags; white space around a value does not count. */
  pattern: RegExp
  /** The only values, if they are few. */
  choices?: readonly string[]
  /** What is wrong with a value that does not match. */
  describeFault: (text: string) => string
  /** What to write. */
  help: string
  /** What to write as an option of a RoutePolicy or of the settings, where that is something else. */
  optionHelp?: string
  /**
   * How a RoutePolicy may write it beside a text: a list of texts without commas and white space, which the annotation separates by
   * commas; fields, a mapping of names and values, which the annotation has one a line; or a secret, a mapping that names a file or a
   * variable. Undefined: as a text, a number or a boolean.
   */
  structure?: 'list' | 'fields' | 'secret'
  /** A value may hold a secret, and no diagnostic shows it; `describeFault` says nothing of it. */
  isSecret?: true
}>

/** `what` is said of other values, as in "is no code of a redirect". */
export function matching(pattern: RegExp, what: string, help: string): AnnotationForm {
  return { pattern, describeFault: (text) => `"${text}" ${what}`, help }
}

/** Values of one form with commas between; splitList takes them apart. */
export function listOf(one: string, what: string, help: string): AnnotationForm {
  return matching(new RegExp(`^${one}(?:\\s*,\\s*${one})*$`), what, help)
}

export function splitList(text: string): readonly string[] {
  return text.split(',').map((each) => each.trim())
}

/** Of items separated by commas or white space; splitNames takes them apart. */
export function spaced(item: string): RegExp {
  return new RegExp(`^[\\s,]*${item}(?:[\\s,]+${item})*[\\s,]*$`)
}

export function oneOf(choices: readonly string[], what?: string): AnnotationForm {
  const quoted = choices.map((choice) => `"${choice}"`)
  const list = (word: string): string => `${quoted.slice(0, -1).join(', ')} ${word} ${quoted.at(-1)}`
  const form = matching(
    new RegExp(`^(?:${choices.join('|')})$`),
    what ?? `is neither ${list('nor')}`,
    `write ${list('or')}`,
  )
  return { ...form, choices }
}

/** A path as URLs have it. */
export const PATH = matching(
  /^\/[\w\-.~!$&'()*+,;=:@%/]*$/,
  'is no path',
  'write a path that begins with "/", with other characters percent-encoded',
)

/** A host, with or without a port; the filter itself checks the rest. */
export const AUTHORITY = matching(/^[^\s/?#@]+$/, 'is no host', 'write a host without scheme and path')

/** `name/key`, for patterns. */
export const CONTENT_REFERENCE = '[a-z0-9](?:[-.a-z0-9]*[a-z0-9])?/[-._a-zA-Z0-9]+'

export const CONFIG_MAP_KEY = matching(
  new RegExp(`^${CONTENT_REFERENCE}$`),
  'names no key of a ConfigMap',
  'write the ConfigMap and the key, as in "pages/sorry.html"',
)

export const CONFIG_MAP_NAME = matching(
  /^[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?$/,
  'names no ConfigMap',
  'write the name of a ConfigMap in the namespace of the Ingress',
)

/** `name`, or `name:port` with the port's number or name. */
export const SERVICE_PORT: AnnotationForm = matching(
  /^[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?(?::(?:[1-9]\d{0,4}|[a-z0-9-]{1,15}))?$/,
  'names no Service',
  'write the name of a Service, with a port where the first is not meant, as in "errors:8080"',
)

/** A Secret, by its name alone. What stands there instead may be the secret itself. */
export const SECRET_NAME: AnnotationForm = {
  pattern: /^[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?$/,
  describeFault: () => 'this names no Secret',
  help: 'write the name of a Secret in the namespace of the Ingress',
  optionHelp:
    'write {file: /etc/portico/users}, {env: USERS} or, in a RoutePolicy, the name of a Secret of its namespace',
  structure: 'secret',
  isSecret: true,
}

/** `Name: value` in each line. */
export const FIELDS: AnnotationForm = {
  pattern: new RegExp(`^(?:[^\\S\\n]*(?:${TOKEN_CHARACTER}+:[^\\n]*)?(?:\\n|$))+$`),
  describeFault: (text) => {
    const fault = parseFields(text)
    return typeof fault === 'string' ? fault : 'these are no fields'
  },
  help: 'write one field a line, as in "X-Frame-Options: DENY"',
  structure: 'fields',
}

/** Names of fields, separated by commas or white space. */
export const FIELD_NAMES: AnnotationForm = {
  pattern: spaced(`${TOKEN_CHARACTER}+`),
  describeFault: (text) =>
    splitNames(text)
      .map(findNameFault)
      .find((fault) => fault !== undefined) ?? 'it names no field',
  help: 'write names of fields, separated by commas',
  structure: 'list',
}
