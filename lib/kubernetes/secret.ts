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
  const starts = findSecretStarts(value)
  return {
    file: origin.file,
    locate: (path) =>
      SECRET_FIELDS.includes(path[0]) ? redactAfterKey(origin, path) : redactValues(origin.locate(path), starts),
    locateKey: (path) =>
      SECRET_FIELDS.includes(path[0]) ? redactAfterKey(origin, path) : redactValues(origin.locateKey(path), starts),
  }

  function redactAfterKey(from: Origin, path: FieldPath): SourcePosition {
    const position = redactValues(from.locateKey(path), starts)
    const end = excerptStart(position) + position.length
    const rest = position.excerpt.slice(end)
    return rest.trim().length > 1 && !rest.endsWith('[redacted]')
      ? Object.freeze({ ...position, excerpt: `${position.excerpt.slice(0, end)}: [redacted]` })
      : position
  }
}

/** How the secret values begin, as they may stand in a line. */
function findSecretStarts(value: unknown): readonly string[] {
  if (!isMapping(value)) return []
  return ['data', 'stringData'].flatMap((field) => {
    const entries = Object.hasOwn(value, field) ? value[field] : undefined
    const values = isMapping(entries) ? Object.values(entries) : []
    return values
      .filter((text) => typeof text === 'string' && text.length >= 4)
      .map((text) => String(text).slice(0, 12))
  })
}

function redactValues(position: SourcePosition, starts: readonly string[]): SourcePosition {
  const { excerpt } = position
  const found = starts.map((start) => excerpt.indexOf(start.split('\n', 1)[0] as string)).filter((at) => at !== -1)
  if (found.length === 0) return position
  const first = Math.min(...found)
  const start = excerptStart(position)
  if (first > start) {
    const length = Math.min(position.length, first - start)
    return Object.freeze({ ...position, length, excerpt: `${excerpt.slice(0, first)}[redacted]` })
  }
  // The span comes after a value: a document on one line. Only the span itself is shown.
  const span = excerpt.slice(start, start + position.length)
  const shown = starts.some((text) => span.includes(text)) ? '[redacted]' : span
  return Object.freeze({ ...position, length: shown.length, excerpt: shown, excerptColumn: 1 })
}

function excerptStart(position: SourcePosition): number {
  return (position.excerptColumn ?? position.column) - 1
}
