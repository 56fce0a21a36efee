/** Reads documents of YAML or JSON text: plain values, with an origin that finds the position of each field. */
import type { YAMLError } from 'yaml'
import { type Diagnostic, type DiagnosticCode, type DiagnosticDetails, DiagnosticList } from '../base/diagnostics.ts'
import type { Origin, SourcePosition } from '../base/position.ts'
import { veilPosition } from '../base/veil.ts'
import { type ComposeProblem, composeValue } from './compose.ts'
import { findTooDeep, MAX_DEPTH } from './depth.ts'
import { findIndentFault } from './indentation.ts'
import { SourceLines } from './lines.ts'
import { countValues, type MarkData } from './marks.ts'
import { DocumentOrigin } from './origin.ts'
import { mayBeSecretText } from './secret-text.ts'
import { type Chunk, splitDocuments, splitList } from './split.ts'
import { parseSyntax, TooLargeError } from './syntax.ts'
import type { SourceText } from './text.ts'

export type SourceDocument = {
  /** Plain JavaScript. Only the own keys of a mapping are its fields. Aliases share values, so never change one. */
  readonly value: unknown
  readonly origin: Origin
  /** The index of the document in its file, from 0, with empty documents counted. */
  readonly index: number
  /** True if nobody named the file: it lies in a folder or matches a pattern, so it need not be a manifest. */
  readonly inFolder?: boolean
  /** Problems of a document that can still be read: duplicate keys. The document's kind decides how severe they are. */
  readonly flaws?: readonly Diagnostic[]
}

/** A template action in the place of a value, an item or a whole line. */
const TEMPLATE = /^[ \t]*(?:-[ \t]+)?(?:(?:[\w./-]+|"[^"\n]*"|'[^'\n]*')[ \t]*:[ \t]+)?(?=\{\{)/m
/** Expressions of Helm that other Go templates do not have. */
const HELM =
  /\.(?:Values|Release|Chart|Capabilities|Files|Template)\b|\{\{-?[ \t]*(?:include|define|template|toYaml|tpl)[ \t]/
/** A key that marks a manifest, anywhere in the text. */
const TYPE_KEY = /(?:^[ \t]*|[{,][ \t\r\n]*)["']?(?:apiVersion|kind)["']?[ \t]*:/m

/** Most objects of one file, lists included. A file of the largest size has as many if all objects are of the smallest size. */
const MAX_OBJECTS = 100_000
const TOO_MANY_OBJECTS = `it has more than ${MAX_OBJECTS} objects`
/** Most values of one file. A file of the largest size has fewer if its keys are like those of Kubernetes. */
const MAX_VALUES = 2_000_000
/** Most problems listed for one file. */
export const MAX_PROBLEMS = 1_000
/** A longer list is read item by item. */
const LONG_LIST = 131_072

/** A document as plain data: it may come from another thread. */
export type ParsedDocument = Readonly<{
  value: unknown
  marks: MarkData
  index: number
  /** True for an item of a list. */
  isItem: boolean
  flaws?: readonly Diagnostic[]
}>

/** A part of a text: some of its documents, in their order. */
export type ParsedPart = Readonly<{
  documents: readonly ParsedDocument[]
  diagnostics: readonly Diagnostic[]
  /** The number of problems that are not listed. */
  dropped: number
  /** True if a document is not well-formed; the file's last good version should then stay in force. */
  broken: boolean
  /** The index of the list whose items these are; such a part holds no other documents. */
  list: number | undefined
  /** The index of a list whose items, sent before, do not count, because a later item is broken. */
  voided: number | undefined
  /** True if the text exceeds a limit. Only the diagnostics of this part, the last, then count. */
  isRefused: boolean
}>

const EMPTY_PART: ParsedPart = {
  documents: [],
  diagnostics: [],
  dropped: 0,
  broken: false,
  list: undefined,
  voided: undefined,
  isRefused: false,
}

/** A document that knows where it stands. */
type PlacedDocument = SourceDocument & { readonly origin: DocumentOrigin }

/** The only part of a text that cannot be read, with the reason. */
export function refuse(source: SourceText, reason: string): ParsedPart {
  const problems = new DiagnosticList()
  problems.add('PORTICO_YAML_LIMIT', `${source.name} cannot be read: ${reason}`, {
    help: 'split it into several files, or look for mistakes: long runs of commas, dashes or brackets',
  })
  return { ...EMPTY_PART, diagnostics: problems.items, broken: true, isRefused: true }
}

/** Documents known from an earlier text of the file, by the offset where they begin now. */
export type UnchangedDocuments = ReadonlyMap<number, DocumentOrigin>

/** The documents of `known` that stand unchanged in `source`, on the same lines as in `before`. */
export function findUnchanged(before: SourceText, source: SourceText, known: Iterable<Origin>): UnchangedDocuments {
  const found = new Map<number, DocumentOrigin>()
  if (before.name !== source.name) return found
  const origins = new Map<number, DocumentOrigin>()
  for (const origin of known) if (origin instanceof DocumentOrigin) origins.set(origin.start, origin)
  const { text: old } = before
  const { text } = source
  if (hasTooMany(splitDocuments(text))) return found
  const places = new Map<number, Chunk>()
  for (const [line, chunk] of placeChunks(old)) places.set(line, chunk)
  for (const [line, { start, end }] of placeChunks(text)) {
    const chunk = places.get(line)
    const origin = chunk && origins.get(chunk.start)
    if (origin && old.slice(chunk.start, chunk.end) === text.slice(start, end)) found.set(start, origin)
  }
  return found
}

/** The documents that share no line with another, with the number of their first line. */
function* placeChunks(text: string): Generator<readonly [line: number, chunk: Chunk]> {
  let line = 0
  let next = text.indexOf('\n')
  for (const chunk of splitDocuments(text)) {
    for (; next !== -1 && next < chunk.start; next = text.indexOf('\n', next + 1)) line++
    const { start, end } = chunk
    const isWhole = (at: number): boolean => at === 0 || at === text.length || text.charCodeAt(at - 1) === 10
    if (isWhole(start) && isWhole(end)) yield [line, chunk]
  }
}

/** Reads one document, or one item of a list, at each step, so that the caller can pause in between. Skips the documents in `known`. */
export function* parseInParts(source: SourceText, known?: UnchangedDocuments): Generator<ParsedPart> {
  const parser = new DocumentParser(source)
  let index = 0
  let objects = 0
  let values = 0
  try {
    if (hasTooMany(splitDocuments(source.text))) throw new TooLargeError(TOO_MANY_OBJECTS)
    for (const chunk of splitDocuments(source.text)) {
      for (const part of known?.has(chunk.start) ? [] : parser.read(chunk, index)) {
        for (const { marks } of part.documents) values += countValues(marks)
        if (++objects > MAX_OBJECTS) throw new TooLargeError(TOO_MANY_OBJECTS)
        if (values > MAX_VALUES) throw new TooLargeError(`it has more than ${MAX_VALUES} values`)
        yield part
      }
      index++
    }
  } catch (error) {
    if (!(error instanceof TooLargeError)) throw error
    yield refuse(source, error.message)
    return
  }
  if (values === 0 && !parser.broken && !known?.size) yield parser.reportEmpty()
}

/** Checked before any document is read. */
function hasTooMany(chunks: Iterable<Chunk>): boolean {
  let count = 0
  for (const _ of chunks) if (++count > MAX_OBJECTS) return true
  return false
}

/** The number of values in a part. */
export function countPartValues({ documents }: ParsedPart): number {
  return documents.reduce((sum, { marks }) => sum + countValues(marks), 0)
}

/** True if `next` may be joined to the parts that began with `first`. */
export function canJoin(first: ParsedPart, next: ParsedPart): boolean {
  return first.list === next.list && next.voided === undefined && !next.isRefused
}

/** Joins consecutive parts into one. */
export function joinParts(parts: readonly ParsedPart[]): ParsedPart {
  return {
    ...(parts[0] as ParsedPart),
    documents: parts.flatMap(({ documents }) => documents),
    diagnostics: parts.flatMap(({ diagnostics }) => diagnostics),
    dropped: parts.reduce((sum, { dropped }) => sum + dropped, 0),
    broken: parts.some(({ broken }) => broken),
  }
}

/** Gives documents their origins; `lines` are the lines of their text. */
export function placeDocuments(
  lines: SourceLines,
  documents: readonly ParsedDocument[],
  inFolder: boolean = false,
): readonly PlacedDocument[] {
  return documents.map(({ value, marks, index, isItem, flaws }) => {
    const origin = new DocumentOrigin(lines, marks)
    return Object.freeze({ value, origin, index, inFolder: inFolder && !isItem, ...(flaws && { flaws }) })
  })
}

/** Moves known documents to `source`, so that nothing refers to the earlier text. */
export function moveDocuments(source: SourceText, known: UnchangedDocuments): void {
  if (known.size === 0) return
  const lines = readLines(source)
  for (const [start, origin] of known) origin.move(lines, start)
}

export function readLines({ name, text }: SourceText): SourceLines {
  return new SourceLines(name, text)
}

/** The content of a document, or a function that reports why it cannot be read. */
type Outcome = (Omit<ParsedDocument, 'index' | 'isItem'> & { report?: undefined }) | Readonly<{ report: () => void }>

class DocumentParser {
  broken = false
  readonly #lines: SourceLines
  readonly #inFolder: boolean
  #problems = new DiagnosticList(MAX_PROBLEMS)
  #templateSeen = false
  /** The document being read. */
  #document: Chunk = { start: 0, end: 0 }
  #judged: { chunk: Chunk; isOther: boolean } | undefined
  /** True if no value of this document may be shown. */
  #veiled: { chunk: Chunk; isVeiled: boolean } | undefined

  constructor(source: SourceText) {
    this.#lines = readLines(source)
    this.#inFolder = source.inFolder ?? false
  }

  reportEmpty(): ParsedPart {
    this.#problems.add('PORTICO_FILE_EMPTY', `${this.#lines.file} holds no manifest`, {
      severity: 'info',
      position: { ...this.#lines.position(0, 1), excerpt: '' },
    })
    return this.#part([])
  }

  /** Yields one part, or for a long list one part for each item. Throws a TooLargeError. */
  *read(chunk: Chunk, index: number): Generator<ParsedPart> {
    this.#document = chunk
    const list = chunk.end - chunk.start > LONG_LIST ? this.#splitList(chunk) : undefined
    let report: (() => void) | undefined
    if (list) {
      if (hasTooMany(list)) throw new TooLargeError(TOO_MANY_OBJECTS)
      for (const item of list) {
        const read = this.#parse(item, 'item')
        report = read.report
        if (read.report) break
        yield this.#part([{ ...read, index, isItem: true }], index)
      }
      if (!report) return
      yield { ...EMPTY_PART, voided: index }
    }
    // A broken item may be no item at all: an alias of another item, or a text that looks like items.
    const whole = this.#parseWhole(chunk, report)
    if (whole.report) whole.report()
    const isThere = !whole.report && whole.value !== null
    yield this.#part(isThere ? [{ ...whole, index, isItem: false }] : [])
  }

  #part(documents: readonly ParsedDocument[], list?: number): ParsedPart {
    const { items: diagnostics, dropped, limit } = this.#problems
    this.#problems = new DiagnosticList(limit - diagnostics.length)
    return { ...EMPTY_PART, documents, diagnostics, dropped, broken: this.broken, list }
  }

  /** The items of a `kind: List`; undefined if the document is no list, or its items cannot be told apart. */
  #splitList(chunk: Chunk): readonly Chunk[] | undefined {
    const list = splitList(this.#lines.text, chunk)
    if (!list || list.shell.length > LONG_LIST) return undefined
    const { contents, error } = parseSyntax(list.shell)
    if (error) return undefined
    const { value, problems } = composeValue(contents, 0)
    return problems.length === 0 && isKindList(value) ? list.items : undefined
  }

  #parseWhole(chunk: Chunk, report: (() => void) | undefined): Outcome {
    try {
      return this.#parse(chunk)
    } catch (error) {
      if (report === undefined) throw error
      return { report }
    }
  }

  #parse(chunk: Chunk, form?: 'item'): Outcome {
    const slice = this.#lines.text.slice(chunk.start, chunk.end)
    // The dash of an item is replaced by a blank, which leaves all columns as they are.
    const text = form === 'item' ? slice.replace(/^( *)-/, '$1 ') : slice
    const tooDeep = findTooDeep(text)
    if (tooDeep !== undefined) {
      const message = `nests deeper than ${MAX_DEPTH} levels`
      return { report: () => this.#add('PORTICO_YAML_DEPTH', message, chunk.start + tooDeep) }
    }
    const { contents, error, opening } = parseSyntax(text)
    if (error) return { report: () => this.#addSyntaxError(error, text, chunk, opening) }
    const { value, marks, problems } = composeValue(contents, chunk.start)
    // Files of other tools have custom tags.
    const isTagged = problems.length > 0 && problems.every((problem) => problem.code === 'PORTICO_YAML_TAG')
    if (problems.length === 0 || (isTagged && this.#isOther())) return { value, marks }
    if (problems.every(isFlaw)) {
      return { value, marks, flaws: this.#listFlaws(problems) }
    }
    return { report: () => this.#addProblems(problems, text, chunk) }
  }

  #listFlaws(problems: readonly ComposeProblem[]): readonly Diagnostic[] {
    const flaws = new DiagnosticList()
    for (const problem of problems) this.#addProblem(problem, flaws)
    return flaws.items
  }

  #addProblems(problems: readonly ComposeProblem[], text: string, chunk: Chunk): void {
    const isSyntax = problems.some((problem) => problem.code === 'PORTICO_YAML_SYNTAX')
    if (isSyntax && this.#addTemplate(text, chunk)) return
    this.broken = true
    for (const problem of problems) this.#addProblem(problem, this.#problems)
  }

  #addProblem({ code, message, subject, span, help, first }: ComposeProblem, problems: DiagnosticList): void {
    const notes = first ? [{ message: 'the first one is here', position: this.#position(...first) }] : []
    const text = subject === undefined || this.#isVeiled() ? message : `${message} ${JSON.stringify(subject)}`
    problems.add(code, text, { position: this.#position(...span), help, notes, ...this.#severity() })
  }

  /** A file in a folder that belongs to another tool gets a warning in place of an error. */
  #severity(): Pick<DiagnosticDetails, 'severity'> {
    if (!this.#isOther()) return {}
    return { severity: this.#lines.file.toLowerCase().endsWith('.json') ? 'info' : 'warning' }
  }

  /** Reports one error for each document: the later ones mostly follow from the first. */
  #addSyntaxError(error: YAMLError, text: string, chunk: Chunk, opening: number | undefined): void {
    if (this.#addTemplate(text, chunk)) return
    if (opening !== undefined) {
      const [message, help] = explainOpening(text.charAt(opening))
      this.#add('PORTICO_YAML_SYNTAX', message, chunk.start + opening, { help })
      return
    }
    let at = Math.min(error.pos[0], Math.max(0, text.length - 1))
    // Something missing at the end of a line is shown at the line's last character.
    while (at > 0 && error.message.startsWith('Missing') && /[\r\n]/.test(text.charAt(at))) at--
    const tab = text.indexOf('\t', at)
    if (error.code === 'TAB_AS_INDENT') {
      this.#add('PORTICO_YAML_TAB', 'a tab is used for indentation', chunk.start + (tab === -1 ? at : tab), {
        help: 'indent with spaces',
      })
    } else if (error.code === 'TAG_RESOLVE_FAILED') {
      const end = chunk.start + error.pos[1]
      const message = this.#isVeiled() ? 'unsupported tag' : lowerFirst(error.message)
      this.#add('PORTICO_YAML_TAG', message, chunk.start + at, { end })
    } else if (!this.#addIndentFault(error, text, chunk)) {
      const [message, help] = explainKey(error, text, at) ?? explainSyntaxError(error, this.#isVeiled())
      const [start, end] = error.code === 'BAD_INDENT' ? findWord(text, at) : [at, error.pos[1]]
      this.#add('PORTICO_YAML_SYNTAX', message, chunk.start + start, { end: chunk.start + end, help })
    }
  }

  /** Most broken YAML has a wrongly indented line, which the parser takes for another fault. */
  #addIndentFault(error: YAMLError, text: string, chunk: Chunk): boolean {
    const fault = INDENT_CODES.has(error.code) ? findIndentFault(text) : undefined
    // A line behind the place where the parser stopped is not the cause.
    if (!fault || countLines(text, fault.start) > countLines(text, error.pos[0]) + 1) return false
    const { start, end, message, help } = fault
    this.#add('PORTICO_YAML_SYNTAX', message, chunk.start + start, { end: chunk.start + end, help })
    return true
  }

  /** Templates are not YAML before they are rendered. Says that, once for each file, in place of the parser's error. */
  #addTemplate(text: string, chunk: Chunk): boolean {
    const match = TEMPLATE.exec(text)
    if (!match) return false
    this.broken = true
    if (this.#templateSeen) return true
    this.#templateSeen = true
    const at = chunk.start + match.index + match[0].length
    const close = this.#lines.text.indexOf('}}', at)
    const isHelm = HELM.test(this.#lines.text)
    this.#add('PORTICO_YAML_SYNTAX', `this is a ${isHelm ? 'Helm ' : ''}template, not a manifest`, at, {
      end: close === -1 ? at + 2 : close + 2,
      help: isHelm
        ? 'render its chart first: helm template FOLDER | portico check -f -'
        : 'render it first, then … | portico run -f -',
    })
    return true
  }

  /** True for a file in a folder without the keys of a manifest: most likely it belongs to another tool. */
  #isOther(): boolean {
    if (!this.#inFolder) return false
    const chunk = this.#document
    if (this.#judged?.chunk !== chunk) {
      this.#judged = { chunk, isOther: !TYPE_KEY.test(this.#lines.text.slice(chunk.start, chunk.end)) }
    }
    return this.#judged.isOther
  }

  #isVeiled(): boolean {
    const chunk = this.#document
    if (this.#veiled?.chunk !== chunk) {
      this.#veiled = { chunk, isVeiled: mayBeSecretText(this.#lines.text.slice(chunk.start, chunk.end)) }
    }
    return this.#veiled.isVeiled
  }

  #position(start: number, end: number): SourcePosition {
    const position = this.#lines.position(start, end, [this.#document.start, this.#document.end])
    return this.#isVeiled() ? veilPosition(position) : position
  }

  #add(
    code: DiagnosticCode,
    message: string,
    start: number,
    more: { end?: number; help?: string | undefined } = {},
  ): void {
    this.broken = true
    const { end = start + 1, help } = more
    this.#problems.add(code, message, {
      position: this.#position(start, end),
      help,
      ...this.#severity(),
    })
  }
}

/** The parser's errors that a wrong indentation may cause. */
const INDENT_CODES: ReadonlySet<string> = new Set([
  'BAD_INDENT',
  'BLOCK_AS_IMPLICIT_KEY',
  'MISSING_CHAR',
  'MULTILINE_IMPLICIT_KEY',
  'UNEXPECTED_TOKEN',
])

const SYNTAX_HELP: Readonly<Record<string, string>> = {
  BAD_ALIAS: 'quote a text that begins with * or &, as in "*"',
  BAD_INDENT: 'check the indentation and the brackets around this place',
  BLOCK_AS_IMPLICIT_KEY: 'put the mapping on its own line, or quote the text if the colon belongs to it',
  MULTILINE_IMPLICIT_KEY: 'check the indentation of this line, and that a colon follows the key',
  BAD_SCALAR_START: 'quote the text',
  MISSING_CHAR: 'check quotes, brackets and colons before this place',
  UNEXPECTED_TOKEN: 'check the indentation of this line, and quotes and brackets before it',
}

/** Messages for a text of which nothing may be shown. */
const VEILED_WORDS: Readonly<Record<string, string>> = {
  BAD_INDENT: 'this line is indented differently from the lines around it',
  BAD_DQ_ESCAPE: 'invalid escape sequence',
  BLOCK_AS_IMPLICIT_KEY: 'a mapping begins within a line',
  MULTILINE_IMPLICIT_KEY: 'a key goes over several lines',
  BAD_SCALAR_START: 'a text cannot begin with this character',
  MISSING_CHAR: 'a quote, bracket, comma or colon is missing',
  UNEXPECTED_TOKEN: 'this cannot stand here',
}

/** Replaces the library's names for signs by the signs themselves. */
const PLAIN_WORDS: readonly (readonly [RegExp, string])[] = [
  [/(["'])quote\b/, '$1'],
  [/\bflow-map-start\b/, '{'],
  [/\bflow-map-end\b/, '}'],
  [/\bflow-seq-start\b/, '['],
  [/\bflow-seq-end\b/, ']'],
  [/\bflow map\b/, '{ } mapping'],
  [/\bflow sequence\b/, '[ ] list'],
  [/\bat node end\b/, 'after the end of a value'],
  [/^(alias|anchor) cannot be an empty string$/, 'no name of an $1 follows this sign'],
]

/** Explains a key without its colon, or without the space behind it, which the parser takes for text. */
function explainKey({ code }: YAMLError, text: string, at: number): readonly [string, string] | undefined {
  if (code !== 'MULTILINE_IMPLICIT_KEY') return undefined
  const word = /^(?:- )*["']?[\w./-]+["']?(:?)(.*)/.exec(text.slice(at, at + 1000))
  if (!word || word[0].trimEnd().includes(' ')) return undefined
  return word[1] === ':' && word[2] !== ''
    ? ['a space is missing after the colon of this key', 'write a space between the colon and the value']
    : ['a colon is missing after this key', 'end the key with a colon']
}

/** The library's message may quote the text, so a veiled text gets another message. */
function explainSyntaxError(error: YAMLError, isVeiled: boolean): readonly [message: string, help: string | undefined] {
  let message = isVeiled ? (VEILED_WORDS[error.code] ?? 'this is not well-formed YAML') : lowerFirst(error.message)
  for (const [pattern, words] of PLAIN_WORDS) message = message.replace(pattern, words)
  return [message, message.startsWith('missing ,') ? 'put a comma before this' : SYNTAX_HELP[error.code]]
}

/** `sign` is the unclosed quote or bracket. */
function explainOpening(sign: string): readonly [message: string, help: string] {
  if (sign === '{' || sign === '[') {
    const closing = sign === '{' ? '}' : ']'
    return [
      `missing closing ${closing}`,
      `close what begins here with ${closing}; its lines are indented more than the first`,
    ]
  }
  return [`missing closing ${sign}`, 'close the text that begins here with the same quote']
}

function countLines(text: string, end: number): number {
  let count = 0
  for (let at = text.indexOf('\n'); at !== -1 && at < end; at = text.indexOf('\n', at + 1)) count++
  return count
}

/** The first word from `at` on, on the same line, so that the caret points at the key and not at the blanks before it. */
function findWord(text: string, at: number): readonly [start: number, end: number] {
  const [blanks = '', word = ''] = /^( *)([^\s:]*)/.exec(text.slice(at, at + 1000))?.slice(1) ?? []
  return [at + blanks.length, at + blanks.length + Math.max(1, word.length)]
}

/** A duplicate key is a flaw, except apiVersion and kind: they show that the `---` between two objects is missing. */
function isFlaw({ code, subject }: ComposeProblem): boolean {
  return code === 'PORTICO_YAML_DUPLICATE_KEY' && subject !== 'apiVersion' && subject !== 'kind'
}

function isKindList(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.hasOwn(value, 'kind') &&
    'kind' in value &&
    value.kind === 'List'
  )
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}
