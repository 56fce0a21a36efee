/** ConfigMap: v1. */
import { decodeBase64 } from './base64.ts'
import { checkConfigKey, checkDnsSubdomain } from './format.ts'
import { decodeMeta } from './metadata.ts'
import type { FieldReader } from './reader.ts'
import type { ConfigMap } from './resource.ts'

const MAX_BYTES = 1_048_576

export function decodeConfigMap(root: FieldReader): ConfigMap {
  const { report } = root
  const meta = decodeMeta(root, 'namespaced', checkDnsSubdomain)
  const data = new Map(Object.entries(root.stringMap('data')))
  const binaryData = new Map<string, Buffer>()
  for (const [key, text] of Object.entries(root.stringMap('binaryData'))) {
    const bytes = decodeBase64(text)
    if (Buffer.isBuffer(bytes)) binaryData.set(key, bytes)
    else report.malformed(root.at('binaryData', key), bytes.problem, { name: `binaryData[${key}]` })
  }
  for (const [field, keys] of [
    ['data', data.keys()],
    ['binaryData', binaryData.keys()],
  ] as const) {
    for (const key of keys) {
      for (const problem of checkConfigKey(key)) {
        report.invalid(root.at(field, key), key, problem, { name: `${field}[${key}]`, key: true })
      }
    }
  }
  let size = 0
  for (const text of data.values()) size += Buffer.byteLength(text)
  for (const bytes of binaryData.values()) size += bytes.length
  if (size > MAX_BYTES) report.tooLong(root.path, MAX_BYTES)
  return Object.freeze({ kind: 'ConfigMap', meta, origin: report.origin, data, binaryData })
}
