/** Namespace: v1. */
import { checkDnsLabel } from './format.ts'
import { decodeMeta } from './metadata.ts'
import type { FieldReader } from './reader.ts'
import type { Namespace } from './resource.ts'

export function decodeNamespace(root: FieldReader): Namespace {
  const meta = decodeMeta(root, 'cluster', checkDnsLabel)
  return Object.freeze({ kind: 'Namespace', meta, origin: root.report.origin })
}
