/** Reads the documents of a text at once, in this thread. */
import type { DiagnosticList } from '../../lib/base/diagnostics.ts'
import { type ParsedDocument, parseInParts, placeDocuments, readLines } from '../../lib/source/document.ts'
import type { SourceText } from '../../lib/source/text.ts'

export type ParsedDocuments = { documents: ReturnType<typeof placeDocuments>; broken: boolean }

/** Problems go to `diagnostics`; empty documents are left out. */
export function parseDocuments(source: SourceText, diagnostics: DiagnosticList): ParsedDocuments {
  const lines = readLines(source)
  let documents: ParsedDocument[] = []
  let broken = false
  for (const part of parseInParts(source)) {
    if (part.isRefused) documents = []
    if (part.voided !== undefined) documents = documents.filter(({ index }) => index !== part.voided)
    documents.push(...part.documents)
    broken ||= part.broken
    diagnostics.addAll(part.diagnostics)
    diagnostics.drop(part.dropped, 'error')
  }
  return { documents: placeDocuments(lines, documents, source.inFolder), broken }
}
