/** Secret: v1. Its values are never shown, in diagnostics' excerpts neither. */
import type { FieldPath, Origin, SourcePosition } from '../base/position.ts'
import { decodeBase64 } from './base64.ts'
import { checkConfigKey, checkDnsSubdomain } from './format.ts'
import { decodeMeta } from './metadata.ts'
import type { FieldReader } from './reader.ts'
import type { Secret } from './resource.ts'
import { isMapping } from './shape.ts'

const TLS_TYPE = 'kubernetes.io/tls'
const MAX_BYTES = 1_048_576
/** "-----BEGIN", in base64. */
const ENCODED_PEM = 'LS0tLS1CRUdJTi'
const SECRET_FIELDS: readonly unknown[] = ['data', 'stringData']
/** A value is known by so many letters; a shorter one is no secret. */
const MIN_START = 4
const MAX_START = 12

export function decodeSecret(root: FieldReader): Secret {
  const { report } = root
  const meta = decodeMeta(root, 'namespaced', checkDnsSubdomain)
  const type = root.string('type') || 'Opaque'
  const data = new Map<string, Buffer>()
  for (const [key, text] of Object.entries(root.stringMap('data'))) {
    const bytes = decodeValue(root, key, text)
    if (bytes) data.set(key, bytes)
  }
  // stringData is merged over data (D16).
  for (const [key, text] of Object.entries(root.stringMap('stringData'))) data.set(key, Buffer.from(text))
  checkKeys(root)
  if (type === TLS_TYPE) {
    for (const key of ['tls.crt', 'tls.key']) {
      const isGiven = root.child('data').has(key) || data.has(key)
      if (!isGiven)
        report.required(root.at('data', key), '', { name: `data[${key}]`, help: `a TLS Secret holds ${key}` })
    }
  }
  const size = [...data.values()].reduce((sum, bytes) => sum + bytes.length, 0)
  if (size > MAX_BYTES) report.tooLong(root.at('data'), MAX_BYTES)
  return Object.freeze({ kind: 'Secret', meta, origin: report.origin, type, data })
}

function decodeValue(root: FieldReader, key: string, text: string): Buffer | undefined {
  const path = root.at('data', key)
  const name = `data[${key}]`
  const bytes = decodeBase64(text)
  if (!Buffer.isBuffer(bytes)) {
    const help = text.startsWith('-----BEGIN')
      ? 'this is PEM text: put it under stringData, or encode it: base64 -w0 FILE'
      : 'encode it: base64 -w0 FILE; plain text belongs under stringData'
    root.report.malformed(path, bytes.problem, { name, help, key: true })
    return undefined
  }
  if (bytes.subarray(0, ENCODED_PEM.length).toString('latin1') === ENCODED_PEM) {
    root.report.malformed(path, 'is base64 of base64', {
      name,
      key: true,
      severity: 'warning',
      help: 'encode it once only',
    })
  }
  return bytes
}

function checkKeys(root: FieldReader): void {
  for (const field of ['data', 'stringData']) {
    for (const key of Object.keys(root.stringMap(field))) {
      const path = root.at(field, key)
      for (const problem of checkConfigKey(key)) {
        root.report.invalid(path, key, problem, { name: `${field}[${key}]`, key: true })
      }
    }
  }
}

/** The origin of a Secret's document, whose positions show none of its values. */
export function redactOrigin(origin: Origin, value: unknown): Origin {
  const starts = new SecretStarts(value)
  return {
    file: origin.file,
    locate: (path) =>
      SECRET_FIELDS.includes(path[0]) ? redactAfterKey(origin, path) : starts.redact(origin.locate(path)),
    locateKey: (path) =>
      SECRET_FIELDS.includes(path[0]) ? redactAfterKey(origin, path) : starts.redact(origin.locateKey(path)),
  }

  function redactAfterKey(from: Origin, path: FieldPath): SourcePosition {
    const position = starts.redact(from.locateKey(path))
    const end = excerptStart(position) + position.length
    const rest = position.excerpt.slice(end)
    return rest.trim().length > 1 && !rest.endsWith('[redacted]')
      ? Object.freeze({ ...position, excerpt: `${position.excerpt.slice(0, end)}: [redacted]` })
      : position
  }
}

/** How the values of a Secret begin, as they may stand in a line: looking costs the line's length, not their number. */
class SecretStarts {
  /** First lines, by their length. */
  readonly #lines = new Map<number, Set<string>>()

  constructor(value: unknown) {
    if (!isMapping(value)) return
    for (const field of ['data', 'stringData']) {
      const entries = Object.hasOwn(value, field) ? value[field] : undefined
      for (const text of isMapping(entries) ? Object.values(entries) : []) {
        if (typeof text !== 'string' || text.length < MIN_START) continue
        const line = text.slice(0, MAX_START).split('\n', 1)[0] as string
        const known = this.#lines.get(line.length)
        if (known) known.add(line)
        else this.#lines.set(line.length, new Set([line]))
      }
    }
  }

  redact(position: SourcePosition): SourcePosition {
    const { excerpt } = position
    const first = this.#find(excerpt)
    if (first === -1) return position
    const start = excerptStart(position)
    if (first > start) {
      const length = Math.min(position.length, first - start)
      return Object.freeze({ ...position, length, excerpt: `${excerpt.slice(0, first)}[redacted]` })
    }
    // The span comes after a value: a document on one line. Only the span itself is shown.
    const span = excerpt.slice(start, start + position.length)
    const shown = this.#find(span) === -1 ? span : '[redacted]'
    return Object.freeze({ ...position, length: shown.length, excerpt: shown, excerptColumn: 1 })
  }

  #find(text: string): number {
    for (let at = 0; at <= text.length; at++) {
      for (const [length, lines] of this.#lines) if (lines.has(text.slice(at, at + length))) return at
    }
    return -1
  }
}

function excerptStart(position: SourcePosition): number {
  return (position.excerptColumn ?? position.column) - 1
}
