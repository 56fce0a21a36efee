/** Secret: v1. Its values are never shown, not even in excerpts of diagnostics. */
import { findNearest } from '../base/nearest.ts'
import type { FieldPath } from '../base/position.ts'
import { PLAIN_KEY } from '../base/veil.ts'
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
const SECRET_TYPE = /^(?:(?:bootstrap\.)?kubernetes\.io\/|Opaque$)/
const OPEN_FIELDS: readonly unknown[] = ['apiVersion', 'kind', 'type', 'immutable']
const OPEN_METADATA: readonly unknown[] = ['name', 'namespace', 'generateName', 'creationTimestamp']

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
  const name = printKey('data', key)
  const bytes = decodeBase64(text)
  if (!Buffer.isBuffer(bytes)) {
    const help = text.startsWith('ENC[')
      ? 'this is encrypted by SOPS: sops -d FILE | portico run -f -'
      : text.startsWith('-----BEGIN')
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
        root.report.invalid(path, key, problem, { name: printKey(field, key), key: true })
      }
    }
  }
}

/**
 * True if an object is a Secret or may be meant as one: its kind is missing or misspelt, or its fields look like a Secret's. A value
 * that is not an object may be a fragment of a Secret.
 */
export function mayBeSecret(value: unknown): boolean {
  if (!isMapping(value)) return true
  const own = (field: string): unknown => (Object.hasOwn(value, field) ? value[field] : undefined)
  const kind = own('kind')
  if (typeof kind !== 'string' || kind === '' || Object.hasOwn(value, 'stringData')) return true
  if (Object.hasOwn(value, 'data') && kind !== 'ConfigMap') return true
  const type = own('type')
  if (typeof type === 'string' && SECRET_TYPE.test(type)) return true
  return findNearest(kind, ['Secret', 'Secrets']) !== undefined
}

/** True for fields of a Secret that may be shown. */
export function mayBeShown(path: FieldPath): boolean {
  const [first, second] = path
  if (path.length === 1) return OPEN_FIELDS.includes(first)
  return first === 'metadata' && (path.length === 2 ? OPEN_METADATA.includes(second) : second === 'labels')
}

function printKey(field: string, key: string): string {
  return `${field}[${PLAIN_KEY.test(key) ? key : '…'}]`
}
