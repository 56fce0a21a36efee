/** Changes of field lines, latin1, `Name: value\r\n` each. HOT */

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
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

export type Field = readonly [name: string, value: string]

/** Lower-case names of fields. */
export type FieldNames = Pick<ReadonlySet<string>, 'has'>

/** The values of all fields of this lower-case name, in one list (RFC 9110 §5.3); undefined: there is none. */
export function joinValues(lines: string, name: string): string | undefined {
  let joined: string | undefined
  for (let at = 0; at < lines.length; ) {
    const end = lines.indexOf('\r\n', at)
    const colon = at + name.length
    if (lines.charCodeAt(colon) === 0x3a && lines.slice(at, colon).toLowerCase() === name) {
      const value = lines.slice(colon + 1, end).trim()
      joined = joined === undefined ? value : `${joined}, ${value}`
    }
    at = end + 2
  }
  return joined
}

/** The lines without the fields of these names. */
export function removeFields(lines: string, names: FieldNames): string {
  let kept = ''
  let start = 0
  for (let at = 0; at < lines.length; ) {
    const end = lines.indexOf('\r\n', at) + 2
    if (names.has(lines.slice(at, lines.indexOf(':', at)).toLowerCase())) {
      kept += lines.slice(start, at)
      start = end
    }
    at = end
  }
  return start === 0 ? lines : kept + lines.slice(start)
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

/** `Name: value` in each line of a text, or why one of them is none. Empty lines are passed over. */
export function parseFields(text: string): readonly Field[] | string {
  const fields: Field[] = []
  for (const line of text.split('\n')) {
    const written = line.trim()
    if (written === '') continue
    const colon = written.indexOf(':')
    if (colon <= 0) return `"${written}" is not "Name: value"`
    const name = written.slice(0, colon)
    const value = written.slice(colon + 1).trim()
    const fault = findNameFault(name)
    if (fault !== undefined) return fault
    if (value !== '' && !VALUE.test(value)) return `the value of ${name} has characters that a field cannot have`
    fields.push([name, value])
  }
  return fields
}
