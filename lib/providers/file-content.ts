/** What one file holds: its text parsed and decoded, except for what is known from the text before. */
import { setImmediate } from 'node:timers/promises'
import { countDiagnostics, type Diagnostic, DiagnosticList } from '../base/diagnostics.ts'
import { type Decoded, decodeDocuments } from '../kubernetes/decode.ts'
import type { Resource } from '../kubernetes/resource.ts'
import {
  findUnchanged,
  moveDocuments,
  type ParsedDocuments,
  type ParsedText,
  parseDocuments,
  parseInSteps,
  placeDocuments,
  type SourceDocument,
  type UnchangedDocuments,
} from '../source/document.ts'
import type { SourceText } from '../source/files.ts'
import { ParserPool } from '../source/parser-pool.ts'

export type FileContent = {
  /** What it was read from; undefined where nothing in it could be kept. */
  readonly source: SourceText | undefined
  readonly resources: readonly Resource[]
  readonly refused: readonly Resource[]
  readonly settings: readonly SourceDocument[]
  readonly diagnostics: readonly Diagnostic[]
  readonly objects: number
  /** Nothing in it had to be left out: an API server would take all of it. */
  readonly isGood: boolean
  /** When this text was first read, milliseconds since the epoch. */
  readonly readAt: number
}

export type Parser = {
  /** Documents among `known` need not be read. */
  parse(source: SourceText, known: UnchangedDocuments): Promise<ParsedText>
  close(): Promise<void>
}

/** As much text as takes less time to read than a thread to start, bytes. */
const INLINE_BYTES = 131_072
/** How long others may have to wait for the parser, milliseconds; one document is the least that is parsed at a time. */
const PARSE_SLICE_MS = 5

/** Reads a text; what stands in it as it did in the one before is taken over. `take` is to be called where the outcome is used. */
export async function readContent(
  source: SourceText,
  parser: Parser,
  before: FileContent | undefined,
  readAt: number,
): Promise<Readonly<{ content: FileContent; take: () => void }>> {
  const problems = new DiagnosticList()
  const known = findKnown(before, source)
  const parsed = placeDocuments(source, await parser.parse(source, known), problems)
  const decoded = decodeAround(parsed, known, before?.resources ?? [], problems)
  return {
    content: describe(source, decoded, parsed.broken, problems, readAt),
    take: () => moveDocuments(source, known),
  }
}

/** The same of a text that nothing came before, while nobody waits. */
export function readContentAtOnce(source: SourceText, readAt: number): FileContent {
  const problems = new DiagnosticList()
  const { documents, broken } = parseDocuments(source, problems)
  return describe(source, decodeDocuments(documents, problems), broken, problems, readAt)
}

/** Of a file that cannot be read. */
export function createEmptyContent(diagnostics: readonly Diagnostic[]): FileContent {
  return {
    source: undefined,
    resources: [],
    refused: [],
    settings: [],
    objects: 0,
    diagnostics,
    isGood: false,
    readAt: 0,
  }
}

export function isEmpty(content: FileContent): boolean {
  return content.resources.length === 0 && content.settings.length === 0
}

function describe(
  source: SourceText,
  { resources, refused, settings, objects }: Decoded,
  broken: boolean,
  { items: diagnostics }: DiagnosticList,
  readAt: number,
): FileContent {
  const isGood = !broken && refused.length === 0 && countDiagnostics(diagnostics).error === 0
  const isReusable = isGood && diagnostics.length === 0 && resources.length > 0
  return {
    source: isReusable ? source : undefined,
    resources,
    refused,
    settings,
    objects,
    diagnostics,
    readAt,
    isGood,
  }
}

/** Threads for as much as is worth them: then nothing that is read, however hostile, holds anything else up. */
export function chooseParser(sizes: readonly number[]): Parser {
  const size = sizes.reduce((sum, bytes) => sum + bytes, 0)
  return size > INLINE_BYTES ? new ParserPool({ size }) : { parse: parseInSlices, close: async () => undefined }
}

async function parseInSlices(source: SourceText, known: UnchangedDocuments): Promise<ParsedText> {
  const steps = parseInSteps(source, known)
  let since = performance.now()
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
    if (performance.now() - since < PARSE_SLICE_MS) continue
    await setImmediate()
    since = performance.now()
  }
}

/** What of the content before stands unchanged in `source`; of what there was something to report nothing is. */
function findKnown(before: FileContent | undefined, source: SourceText): UnchangedDocuments {
  if (before?.source === undefined) return new Map()
  const origins = before.resources.map(({ origin }) => origin)
  return findUnchanged(before.source, source, origins)
}

/** Decodes documents; those of `known` are as they were, in their places between the others. */
function decodeAround(
  { documents }: ParsedDocuments,
  known: UnchangedDocuments,
  before: readonly Resource[],
  problems: DiagnosticList,
): Decoded {
  if (known.size === 0) return decodeDocuments(documents, problems)
  const byOrigin = new Map(before.map((resource) => [resource.origin, resource]))
  const entries: { start: number; decoded: Decoded }[] = []
  for (const [start, origin] of known) {
    const resources = [byOrigin.get(origin) as Resource]
    entries.push({ start, decoded: { resources, refused: [], settings: [], objects: 1 } })
  }
  for (const document of documents) {
    // A parser may have read what is known as well.
    if (known.has(document.origin.start)) continue
    entries.push({ start: document.origin.start, decoded: decodeDocuments([document], problems) })
  }
  entries.sort((a, b) => a.start - b.start)
  return {
    resources: entries.flatMap(({ decoded }) => decoded.resources),
    refused: entries.flatMap(({ decoded }) => decoded.refused),
    settings: entries.flatMap(({ decoded }) => decoded.settings),
    objects: entries.reduce((sum, { decoded }) => sum + decoded.objects, 0),
  }
}
