/**
 * YAML text to its syntax tree, as lenient as kubectl's parser in one point: the further lines of a quoted text may be
 * indented less than they should be, as generated CustomResourceDefinitions often have them.
 */
import { type Document, type ParsedNode, parseDocument, type YAMLError } from 'yaml'

export type SyntaxTree = Readonly<{
  contents: unknown
  /** The first error of the text as it stands. */
  error: YAMLError | undefined
  /** From an offset in the tree to one in the text. */
  toSource: (offset: number) => number
}>

/** Each repair reads the document again. */
const MAX_REPAIRS = 50
const MAX_REPAIRED_LENGTH = 1_048_576
/** More than any line is indented that nests within bounds; folding drops it. */
const FILL = ' '.repeat(512)

export function parseSyntax(text: string): SyntaxTree {
  const parsed = parse(text)
  const error = parsed.errors[0]
  if (!error) return { contents: parsed.contents, error: undefined, toSource: (offset) => offset }
  const repaired = text.length <= MAX_REPAIRED_LENGTH ? repair(text, error) : undefined
  return repaired ?? { contents: null, error, toSource: (offset) => offset }
}

function repair(text: string, first: YAMLError): SyntaxTree | undefined {
  const insertions: number[] = []
  let error: YAMLError | undefined = first
  for (let count = 0; count < MAX_REPAIRS && error; count++) {
    const lines = findContinuation(text, error, (offset) => sourceOffset(offset, insertions))
    if (lines.length === 0) return undefined
    insertions.push(...lines)
    insertions.sort((a, b) => a - b)
    const parsed = parse(fill(text, insertions))
    error = parsed.errors[0]
    if (!error) return { contents: parsed.contents, error, toSource: (offset) => sourceOffset(offset, insertions) }
  }
  return undefined
}

/** Offsets of the lines after the one that `error` stands at the end of, up to the closing quote. */
function findContinuation(text: string, error: YAMLError, toSource: (offset: number) => number): readonly number[] {
  const quote = /^Missing closing (['"])quote/.exec(error.message)?.[1]
  if (quote === undefined) return []
  const pattern = quote === "'" ? /''|'|\n/g : /\\[\s\S]|"|\n/g
  const lines: number[] = []
  pattern.lastIndex = text.indexOf('\n', toSource(error.pos[0]))
  if (pattern.lastIndex < 0) return []
  for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
    if (match[0] === quote) return lines
    if (match[0] === '\n') lines.push(match.index + 1)
  }
  return []
}

function fill(text: string, insertions: readonly number[]): string {
  const parts = [0, ...insertions].map((start, index) => text.slice(start, insertions[index] ?? text.length))
  return parts.join(FILL)
}

function sourceOffset(offset: number, insertions: readonly number[]): number {
  let at = offset
  for (const insertion of insertions) {
    if (at <= insertion) break
    at = Math.max(insertion, at - FILL.length)
  }
  return at
}

function parse(text: string): Document.Parsed<ParsedNode> {
  return parseDocument(text, {
    // Every scalar stays text: what it means is decided in scalar.ts, which tags are allowed in compose.ts.
    schema: 'failsafe',
    resolveKnownTags: false,
    // The library compares each key with each other one; compose.ts finds duplicates in one pass.
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'silent',
    strict: true,
  })
}
