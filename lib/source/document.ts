/** Documents of YAML or JSON text: plain values that know where they stand. */
import type { YAMLError } from 'yaml'
import { type Diagnostic, type DiagnosticCode, DiagnosticList } from '../base/diagnostics.ts'
import type { Origin } from '../base/position.ts'
import { composeValue } from './compose.ts'
import { findTooDeep, MAX_DEPTH } from './depth.ts'
import type { SourceText } from './files.ts'
import { SourceLines } from './lines.ts'
import type { MarkData } from './marks.ts'
import { DocumentOrigin } from './origin.ts'
import { type Chunk, splitDocuments } from './split.ts'
import { parseSyntax } from './syntax.ts'

export type SourceDocument = {
  /** Plain JavaScript: only the own keys of a mapping are its fields. Aliases share values: never change one. */
  readonly value: unknown
  readonly origin: Origin
  /** Counts the documents of one file from 0, empty ones included. */
  readonly index: number
  /** Its file was not named, and need not be a manifest. */
  readonly inFolder?: boolean
}

/** A template action where a value, an item or a whole line should be. */
const TEMPLATE = /^[ \t]*(?:-[ \t]+)?(?:(?:[\w./-]+|"[^"\n]*"|'[^'\n]*')[ \t]*:[ \t]+)?(?=\{\{)/m
/** What Helm has beside what every template in Go may have. */
const HELM =
  /\.(?:Values|Release|Chart|Capabilities|Files|Template)\b|\{\{-?[ \t]*(?:include|define|template|toYaml|tpl)[ \t]/
/** A key that only a manifest has, wherever it stands. */
const TYPE_KEY = /(?:^[ \t]*|[{,][ \t\r\n]*)["']?(?:apiVersion|kind)["']?[ \t]*:/m

/** What a text holds, as plain data: it may come from another thread. */
export type ParsedText = Readonly<{
  documents: readonly Readonly<{ value: unknown; marks: MarkData; index: number }>[]
  diagnostics: readonly Diagnostic[]
  /** A document was not well-formed: the file is then best kept as it was. */
  broken: boolean
}>

export type ParsedDocuments = {
  documents: readonly (SourceDocument & { readonly origin: DocumentOrigin })[]
  broken: boolean
}

/** Reads all documents of a text; empty ones are left out. */
export function parseDocuments(source: SourceText, diagnostics: DiagnosticList): ParsedDocuments {
  const steps = parseInSteps(source)
  for (;;) {
    const step = steps.next()
    if (step.done) return placeDocuments(source, step.value, diagnostics)
  }
}

/** Documents that are known from an earlier text of the file, by where they begin now. */
export type UnchangedDocuments = ReadonlyMap<number, DocumentOrigin>

/** Those of `known`, documents of `before`, that stand in `source` too, word for word and on the same lines. */
export function findUnchanged(before: SourceText, source: SourceText, known: Iterable<Origin>): UnchangedDocuments {
  const found = new Map<number, DocumentOrigin>()
  if (before.name !== source.name) return found
  const origins = new Map<number, DocumentOrigin>()
  for (const origin of known) if (origin instanceof DocumentOrigin) origins.set(origin.start, origin)
  const old = readLines(before).text
  const { text } = readLines(source)
  const places = new Map<number, Chunk>()
  for (const [line, chunk] of placeChunks(old)) places.set(line, chunk)
  for (const [line, { start, end }] of placeChunks(text)) {
    const chunk = places.get(line)
    const origin = chunk && origins.get(chunk.start)
    if (origin && old.slice(chunk.start, chunk.end) === text.slice(start, end)) found.set(start, origin)
  }
  return found
}

/** The documents that have their lines for themselves, with the number of the first. */
function* placeChunks(text: string): Generator<readonly [line: number, chunk: Chunk]> {
  let line = 0
  let counted = 0
  for (const chunk of splitDocuments(text)) {
    for (let at = text.indexOf('\n', counted); at !== -1 && at < chunk.start; at = text.indexOf('\n', at + 1)) {
      line++
      counted = at + 1
    }
    const { start, end } = chunk
    const isWhole = (at: number): boolean => at === 0 || at === text.length || text.charCodeAt(at - 1) === 10
    if (isWhole(start) && isWhole(end)) yield [line, chunk]
  }
}

/** Reads one document at each step, for whoever must not hold up others meanwhile; not those known from before. */
export function* parseInSteps(source: SourceText, known?: UnchangedDocuments): Generator<void, ParsedText> {
  const parser = new DocumentParser(source)
  const documents: ParsedText['documents'][number][] = []
  for (const [index, chunk] of splitDocuments(parser.text).entries()) {
    if (known?.has(chunk.start)) continue
    const document = parser.parse(chunk)
    if (document) documents.push({ ...document, index })
    yield
  }
  if (documents.length === 0 && !parser.broken && !known?.size) parser.reportEmpty()
  return { documents, diagnostics: parser.diagnostics.items, broken: parser.broken }
}

/** Documents that know where they stand; `source` is what `parsed` was read from, without those known from before. */
export function placeDocuments(source: SourceText, parsed: ParsedText, diagnostics: DiagnosticList): ParsedDocuments {
  const lines = readLines(source)
  const inFolder = source.inFolder ?? false
  diagnostics.addAll(parsed.diagnostics)
  const documents = parsed.documents.map(({ value, marks, index }) =>
    Object.freeze({ value, origin: new DocumentOrigin(lines, marks), index, inFolder }),
  )
  return { documents, broken: parsed.broken }
}

/** Takes documents known from before over into `source`, so that nothing holds the earlier text. */
export function moveDocuments(source: SourceText, known: UnchangedDocuments): void {
  if (known.size === 0) return
  const lines = readLines(source)
  for (const [start, origin] of known) origin.move(lines, start)
}

/** A carriage return alone ends a line too (YAML 1.2 §5.4); the library knows it with a line feed only. */
function readLines({ name, text }: SourceText): SourceLines {
  return new SourceLines(name, text.replace(/\r(?!\n)/g, '\n'))
}

class DocumentParser {
  broken = false
  readonly diagnostics: DiagnosticList = new DiagnosticList()
  readonly #lines: SourceLines
  readonly #inFolder: boolean
  #templateSeen = false
  #judged: { chunk: Chunk; isOther: boolean } | undefined

  constructor(source: SourceText) {
    this.#lines = readLines(source)
    this.#inFolder = source.inFolder ?? false
  }

  get text(): string {
    return this.#lines.text
  }

  reportEmpty(): void {
    this.diagnostics.add('PORTICO_FILE_EMPTY', `${this.#lines.file} holds no manifest`, {
      severity: 'info',
      position: this.#lines.position(0, 1),
    })
  }

  /** Undefined where it is empty, or was reported. */
  parse(chunk: Chunk): Readonly<{ value: unknown; marks: MarkData }> | undefined {
    const text = this.#lines.text.slice(chunk.start, chunk.end)
    const tooDeep = findTooDeep(text)
    if (tooDeep !== undefined) {
      this.#add(chunk, 'PORTICO_YAML_DEPTH', `nests deeper than ${MAX_DEPTH} levels`, chunk.start + tooDeep)
      return undefined
    }
    const { contents, error, opening } = parseSyntax(text)
    if (error) {
      this.#addSyntaxError(error, text, chunk, opening)
      return undefined
    }
    const { value, marks, problems } = composeValue(contents, chunk.start)
    // Other tools' files have tags of their own.
    const isTagged = problems.length > 0 && problems.every((problem) => problem.code === 'PORTICO_YAML_TAG')
    if (problems.length > 0 && !(isTagged && this.#isOther(chunk))) {
      const isSyntax = problems.some((problem) => problem.code === 'PORTICO_YAML_SYNTAX')
      if (isSyntax && this.#addTemplate(text, chunk)) return undefined
      for (const { code, message, span, help, first } of problems) {
        const notes = first ? [{ message: 'the first one is here', position: this.#lines.position(...first) }] : []
        this.#add(chunk, code, message, span[0], { end: span[1], help, notes })
      }
      return undefined
    }
    return value === null ? undefined : { value, marks }
  }

  /** One error a document: those after the first are mostly its echoes. */
  #addSyntaxError(error: YAMLError, text: string, chunk: Chunk, opening: number | undefined): void {
    if (this.#addTemplate(text, chunk)) return
    if (opening !== undefined) {
      const [message, help] = explainOpening(text.charAt(opening))
      this.#add(chunk, 'PORTICO_YAML_SYNTAX', message, chunk.start + opening, { help })
      return
    }
    let at = Math.min(error.pos[0], Math.max(0, text.length - 1))
    // What is missing at the end of a line is shown at its last character.
    while (at > 0 && error.message.startsWith('Missing') && /[\r\n]/.test(text.charAt(at))) at--
    const tab = text.indexOf('\t', at)
    if (error.code === 'TAB_AS_INDENT') {
      this.#add(chunk, 'PORTICO_YAML_TAB', 'a tab is used for indentation', chunk.start + (tab === -1 ? at : tab), {
        help: 'indent with spaces',
      })
    } else if (error.code === 'TAG_RESOLVE_FAILED') {
      const end = chunk.start + error.pos[1]
      this.#add(chunk, 'PORTICO_YAML_TAG', lowerFirst(error.message), chunk.start + at, { end })
    } else {
      const [message, help] = explainSyntaxError(error)
      const [start, end] = error.code === 'BAD_INDENT' ? findWord(text, at) : [at, error.pos[1]]
      this.#add(chunk, 'PORTICO_YAML_SYNTAX', message, chunk.start + start, { end: chunk.start + end, help })
    }
  }

  /** Templates are no YAML before they are rendered: say that, once a file, rather than where the parser stumbled. */
  #addTemplate(text: string, chunk: Chunk): boolean {
    const match = TEMPLATE.exec(text)
    if (!match) return false
    this.broken = true
    if (this.#templateSeen) return true
    this.#templateSeen = true
    const at = chunk.start + match.index + match[0].length
    const close = this.#lines.text.indexOf('}}', at)
    const isHelm = HELM.test(this.text)
    this.#add(chunk, 'PORTICO_YAML_SYNTAX', `this is a ${isHelm ? 'Helm ' : ''}template, not a manifest`, at, {
      end: close === -1 ? at + 2 : close + 2,
      help: isHelm
        ? 'render it first: helm template . | portico run -f -'
        : 'render it first, then … | portico run -f -',
    })
    return true
  }

  /** Without the keys of a manifest, what lies in a folder is most likely another tool's. */
  #isOther(chunk: Chunk): boolean {
    if (!this.#inFolder) return false
    if (this.#judged?.chunk !== chunk) {
      this.#judged = { chunk, isOther: !TYPE_KEY.test(this.text.slice(chunk.start, chunk.end)) }
    }
    return this.#judged.isOther
  }

  #add(
    chunk: Chunk,
    code: DiagnosticCode,
    message: string,
    start: number,
    more: { end?: number; help?: string | undefined; notes?: readonly { message: string }[] } = {},
  ): void {
    this.broken = true
    const { end = start + 1, help, notes = [] } = more
    this.diagnostics.add(code, message, {
      position: this.#lines.position(start, end),
      help,
      notes,
      ...(this.#isOther(chunk) && { severity: this.#lines.file.toLowerCase().endsWith('.json') ? 'info' : 'warning' }),
    })
  }
}

const SYNTAX_HELP: Readonly<Record<string, string>> = {
  BAD_INDENT: 'check the indentation and the brackets around this place',
  BLOCK_AS_IMPLICIT_KEY: 'put the mapping on its own line, or quote the text if the colon belongs to it',
  MULTILINE_IMPLICIT_KEY: 'check the indentation of this line, and that a colon follows the key',
  BAD_SCALAR_START: 'quote the text',
  MISSING_CHAR: 'check quotes, brackets and colons before this place',
  UNEXPECTED_TOKEN: 'check the indentation of this line, and quotes and brackets before it',
}

/** The library's names for what people know by its sign. */
const PLAIN_WORDS: readonly (readonly [RegExp, string])[] = [
  [/(["'])quote\b/, '$1'],
  [/\bflow-map-start\b/, '{'],
  [/\bflow-map-end\b/, '}'],
  [/\bflow-seq-start\b/, '['],
  [/\bflow-seq-end\b/, ']'],
  [/\bflow map\b/, '{ } mapping'],
  [/\bflow sequence\b/, '[ ] list'],
  [/\bat node end\b/, 'after the end of a value'],
]

function explainSyntaxError(error: YAMLError): readonly [message: string, help: string | undefined] {
  let message = lowerFirst(error.message)
  for (const [pattern, words] of PLAIN_WORDS) message = message.replace(pattern, words)
  return [message, message.startsWith('missing ,') ? 'put a comma before this' : SYNTAX_HELP[error.code]]
}

/** `sign` is the quote or bracket that is never closed. */
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

/** The first word from `at` on, on the same line: what is wrongly indented is a key, not the blanks before it. */
function findWord(text: string, at: number): readonly [start: number, end: number] {
  const [blanks = '', word = ''] = /^( *)([^\s:]*)/.exec(text.slice(at, at + 1000))?.slice(1) ?? []
  return [at + blanks.length, at + blanks.length + Math.max(1, word.length)]
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}
