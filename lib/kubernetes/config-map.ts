/** ConfigMap: v1. */
import type { FieldPath } from '../base/position.ts'
import { decodeBase64 } from './base64.ts'
import { checkConfigKey, checkDnsSubdomain } from './format.ts'
import { decodeMeta } from './metadata.ts'
import type { FieldReader } from './reader.ts'
import type { ConfigMap } from './resource.ts'

const MAX_BYTES = 1_048_576
const FIELDS = ['data', 'binaryData'] as const

export function decodeConfigMap(root: FieldReader): ConfigMap {
  const { report } = root
  const meta = decodeMeta(root, 'namespaced', checkDnsSubdomain)
  const keys = new Map<string, 'data' | 'binaryData'>()
  let size = 0
  for (const field of FIELDS) {
    for (const [key, text] of Object.entries(root.stringMap(field))) {
      const path = root.at(field, key)
      const name = `${field}[${key}]`
      for (const problem of checkConfigKey(key)) report.invalid(path, key, problem, { name, key: true })
      // Kubernetes: "The keys stored in Data must not overlap with the keys in the BinaryData field".
      if (keys.has(key)) report.invalid(path, key, 'duplicate of key present in data', { name, key: true })
      keys.set(key, field)
      const bytes = field === 'data' ? Buffer.byteLength(text) : decodeBase64(text)
      if (typeof bytes === 'number') size += bytes
      else if (Buffer.isBuffer(bytes)) size += bytes.length
      else report.malformed(path, bytes.problem, { name })
    }
  }
  if (size > MAX_BYTES) report.tooLong(root.path, MAX_BYTES)
  return Object.freeze({ kind: 'ConfigMap', meta, origin: report.origin, keys })
}

/** Where a key stands; the place of its `data`, if the ConfigMap does not have it. */
export function findContentField({ keys }: ConfigMap, key: string): FieldPath {
  return [keys.get(key) ?? 'data', key]
}

/** The bytes of a key; undefined if the ConfigMap does not have it. */
export function readContent({ keys, origin }: ConfigMap, key: string): Buffer | undefined {
  const field = keys.get(key)
  if (field === undefined) return undefined
  const text = origin.read([field, key]) ?? ''
  if (typeof text !== 'string') throw new TypeError(`${field}[${key}] was a text when it was decoded`)
  return field === 'data' ? Buffer.from(text) : (decodeBase64(text) as Buffer)
}
