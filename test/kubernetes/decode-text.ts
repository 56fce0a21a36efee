/** Decodes manifest text as the gateway does, and prints what was found in lines that are easy to compare. */
import type { Diagnostic } from '../../lib/base/diagnostics.ts'
import { DiagnosticList } from '../../lib/base/diagnostics.ts'
import { type Decoded, decodeDocuments } from '../../lib/kubernetes/decode.ts'
import type { Resource, ResourceKind } from '../../lib/kubernetes/resource.ts'
import { type ResourceSet, ResourceStore } from '../../lib/kubernetes/store.ts'
import { sourceFromText } from '../../lib/source/read-source.ts'
import { parseDocuments } from '../helpers/documents.ts'

export type DecodedText = Decoded & {
  readonly set: ResourceSet
  readonly diagnostics: readonly Diagnostic[]
  /** `line:column message`, with the severity before the message where it is not an error. */
  readonly printed: readonly string[]
}

/** `inFolder`: the file lies in a folder and was not named. */
export function decodeText(text: string, name: string = 'web.yaml', inFolder: boolean = false): DecodedText {
  const diagnostics = new DiagnosticList()
  const { documents } = parseDocuments({ ...sourceFromText(name, text), inFolder }, diagnostics)
  const decoded = decodeDocuments(documents, diagnostics)
  const set = new ResourceStore().update(decoded.resources, 1, diagnostics, [])
  return { ...decoded, set, diagnostics: diagnostics.items, printed: diagnostics.sorted().map(printLine) }
}

/** The one resource of `kind` in `text`; throws where there is none. */
export function decodeOne<K extends ResourceKind>(kind: K, text: string): Extract<Resource, { kind: K }> {
  const { resources, printed } = decodeText(text)
  const found = resources.find((resource) => resource.kind === kind)
  if (!found) throw new Error(`no ${kind}: ${printed.join('\n')}`)
  return found as Extract<Resource, { kind: K }>
}

export function printLine({ position, severity, message }: Diagnostic): string {
  const place = position ? `${position.line}:${position.column} ` : ''
  return `${place}${severity === 'error' ? '' : `${severity} `}${message}`
}

/** A manifest whose `spec:` is on line 4 and whose fields, each line given, begin on line 5. */
export function manifest(apiVersion: string, kind: string, ...fields: readonly string[]): string {
  const spec = fields.map((field) => `  ${field}\n`).join('')
  return `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: web}\nspec:\n${spec}`
}
