/** The content of one text: parsed and decoded, except for documents known from the text before. */
import { setImmediate } from 'node:timers/promises'
import { countDiagnostics, type Diagnostic, DiagnosticList } from '../base/diagnostics.ts'
import { type Decoded, decodeDocuments } from '../kubernetes/decode.ts'
import type { Resource } from '../kubernetes/resource.ts'
import {
  findUnchanged,
  MAX_PROBLEMS,
  moveDocuments,
  type ParsedPart,
  parseInParts,
  placeDocuments,
  readLines,
  type SourceDocument,
  type UnchangedDocuments,
} from '../source/document.ts'
import { ParserPool } from '../source/parser-pool.ts'
import { splitDocuments } from '../source/split.ts'
import type { SourceText } from '../source/text.ts'

export type Content = {
  /** The text it was read from; undefined if no document of it can be reused. */
  readonly source: SourceText | undefined
  readonly resources: readonly Resource[]
  readonly refused: readonly Resource[]
  readonly settings: readonly SourceDocument[]
  readonly diagnostics: readonly Diagnostic[]
  readonly objects: number
  /** True if nothing had to be left out: an API server would accept every object. */
  readonly isGood: boolean
  /** The time when this text was first read, in milliseconds since the epoch. */
  readonly readAt: number
}

export type Parser = {
  /** Documents in `known` may be skipped. */
  parse(source: SourceText, known: UnchangedDocuments): AsyncIterable<ParsedPart>
  close(): Promise<void>
}

/** Text of this size, in bytes, takes less time to read than a thread to start. */
const INLINE_BYTES = 131_072
/** A longer document, in UTF-16 units, could block the event loop for longer than that, so a thread reads it. */
const INLINE_DOCUMENT = 32_768
/** Milliseconds of reading after which the event loop gets a turn; one document is never interrupted. */
const SLICE_MS = 5

/** The documents of one part of a text. */
type Entry = Readonly<{
  start: number
  /** The index of the list whose items they are. */
  list: number | undefined
  decoded: Decoded
  problems: DiagnosticList
}>

/** Reads a text; documents that are unchanged since `before` are taken over. Call `take` if the result is used. */
export async function readContent(
  source: SourceText,
  parser: Parser,
  before: Content | undefined,
  readAt: number,
): Promise<Readonly<{ content: Content; take: () => void }>> {
  const known = findKnown(before, source)
  const lines = readLines(source)
  let entries = takeOver(known, before?.resources ?? [])
  let broken = false
  let listed = 0
  let since = performance.now()
  for await (const part of parser.parse(source, known)) {
    if (part.isRefused) entries = []
    if (part.voided !== undefined) entries = entries.filter(({ list }) => list !== part.voided)
    if (part.isRefused || part.voided !== undefined) listed = countProblems(entries)
    const problems = new DiagnosticList(Math.max(0, MAX_PROBLEMS - listed))
    problems.addAll(part.diagnostics)
    problems.drop(part.dropped, 'error')
    const { documents, list } = part
    // A parser may have read known documents again. Known documents lie between the others, so these are added one by one.
    const groups = known.size === 0 ? [documents] : documents.map((document) => [document])
    for (const group of groups) {
      const placed = placeDocuments(lines, group, source.inFolder).filter(({ origin }) => !known.has(origin.start))
      entries.push({ start: placed[0]?.origin.start ?? 0, list, decoded: decodeDocuments(placed, problems), problems })
      if (performance.now() - since < SLICE_MS) continue
      await setImmediate()
      since = performance.now()
    }
    if (groups.length === 0) entries.push({ start: 0, list, decoded: NOTHING, problems })
    broken ||= part.broken
    listed += problems.items.length
  }
  if (known.size > 0) entries.sort((a, b) => a.start - b.start)
  return { content: describe(source, entries, broken, readAt), take: () => moveDocuments(source, known) }
}

/** The content of a file that cannot be read. */
export function createEmptyContent(diagnostics: readonly Diagnostic[]): Content {
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

export function isEmpty(content: Content): boolean {
  return content.resources.length === 0 && content.settings.length === 0
}

function describe(source: SourceText, entries: readonly Entry[], broken: boolean, readAt: number): Content {
  const all = new DiagnosticList(MAX_PROBLEMS)
  for (const problems of listProblems(entries)) {
    all.addAll(problems.items)
    all.drop(problems.dropped, problems.worstDropped)
  }
  all.closeList('PORTICO_RES_MORE', source.name)
  const { items: diagnostics } = all
  const resources = entries.flatMap(({ decoded }) => decoded.resources)
  const refused = entries.flatMap(({ decoded }) => decoded.refused)
  const isGood = !broken && refused.length === 0 && countDiagnostics(diagnostics).error === 0
  const isReusable = isGood && diagnostics.length === 0 && resources.length > 0
  return {
    source: isReusable ? source : undefined,
    resources,
    refused,
    settings: entries.flatMap(({ decoded }) => decoded.settings),
    objects: entries.reduce((sum, { decoded }) => sum + decoded.objects, 0),
    diagnostics,
    readAt,
    isGood,
  }
}

/** Each list of problems once, since entries of one part share it. */
function listProblems(entries: readonly Entry[]): Iterable<DiagnosticList> {
  return new Set(entries.map(({ problems }) => problems))
}

function countProblems(entries: readonly Entry[]): number {
  return [...listProblems(entries)].reduce((sum, { items }) => sum + items.length, 0)
}

/** Uses threads for larger amounts, so that no text, however hostile, holds up the event loop. */
export function chooseParser(sizes: readonly number[]): Parser {
  const size = sizes.reduce((sum, bytes) => sum + bytes, 0)
  return size > INLINE_BYTES ? new ParserPool({ size }) : new InlineParser()
}

/** Reads cheap texts in this thread. */
class InlineParser implements Parser {
  #pool: ParserPool | undefined

  async *parse(source: SourceText, known: UnchangedDocuments): AsyncGenerator<ParsedPart> {
    const isLarge = [...splitDocuments(source.text)].some(
      ({ start, end }) => end - start > INLINE_DOCUMENT && !known.has(start),
    )
    if (!isLarge) yield* parseInParts(source, known)
    else {
      this.#pool ??= new ParserPool({ size: source.text.length })
      yield* this.#pool.parse(source)
    }
  }

  async close(): Promise<void> {
    await this.#pool?.close()
  }
}

/** The documents that stand unchanged in `source`, except those with diagnostics. */
function findKnown(before: Content | undefined, source: SourceText): UnchangedDocuments {
  if (before?.source === undefined) return new Map()
  const origins = before.resources.map(({ origin }) => origin)
  return findUnchanged(before.source, source, origins)
}

/** Turns known documents into entries. */
function takeOver(known: UnchangedDocuments, before: readonly Resource[]): Entry[] {
  if (known.size === 0) return []
  const byOrigin = new Map(before.map((resource) => [resource.origin, resource]))
  const problems = new DiagnosticList()
  return Array.from(known, ([start, origin]) => {
    const resources = [byOrigin.get(origin) as Resource]
    return { start, list: undefined, decoded: { ...NOTHING, resources, objects: 1 }, problems }
  })
}

const NOTHING: Decoded = Object.freeze({ resources: [], refused: [], settings: [], objects: 0 })
