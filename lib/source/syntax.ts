/**
 * YAML text to its syntax tree, as lenient as kubectl's parser in one point: the further lines of a quoted text or of a
 * bracketed collection may be indented less than they should be, as generated manifests often have them.
 */
import {
  Composer,
  type Document,
  isCollection,
  isScalar,
  Lexer,
  type Node,
  type ParsedNode,
  Parser,
  visit,
  type YAMLError,
} from 'yaml'

/** Reading takes more memory than it may. */
export class TooLargeError extends Error {}

/**
 * What the tree of one document may take with all that it is made from, bytes, by the estimates below: one of
 * 2 MiB fits as people write them, and the API server takes none above 1.5 MiB.
 */
const MAX_TREE_BYTES = 234_881_024

/** Of a scalar, which is put together from single letters. */
const BYTES_PER_UNIT = 24

export type SyntaxTree = Readonly<{
  contents: unknown
  /** The first error of the text. */
  error: YAMLError | undefined
  /** Offset of the quote or bracket that is never closed, where that is the error. */
  opening?: number
}>

/** A document this large is not read twice. */
const MAX_LENIENT_LENGTH = 1_048_576
const MAX_ERRORS = 1_000
const TOO_LITTLE_INDENT = /^Missing closing|must be sufficiently indented/
const NOT_CLOSED = /^Missing closing|must (?:be sufficiently indented and )?end with a/

export function parseSyntax(text: string): SyntaxTree {
  const strict = parse(text, new Lexer())
  const error = strict.errors[0]
  if (!error) return { contents: strict.contents, error }
  if (text.length <= MAX_LENIENT_LENGTH && strict.errors.some(({ message }) => TOO_LITTLE_INDENT.test(message))) {
    const lexer = createLenientLexer()
    const lenient = lexer && parse(text, lexer)
    if (lenient?.errors.length === 0) return { contents: lenient.contents, error: undefined }
  }
  // The strict reading stops where a quote was forgotten, the lenient one wherever the next quote stands.
  const opening = NOT_CLOSED.test(error.message) ? findOpening(strict, error.pos[0]) : undefined
  return { contents: null, error, ...(opening !== undefined && { opening }) }
}

/** Where the innermost quoted text or bracketed collection begins that was cut off at `end`. */
function findOpening(document: Document.Parsed<ParsedNode>, end: number): number | undefined {
  let opening: number | undefined
  visit(document, {
    Node: (_key, node: Node) => {
      const isOpen = isCollection(node) ? node.flow : isScalar(node) && node.type?.startsWith('QUOTE_')
      if (!isOpen || node.range?.[1] !== end) return
      opening = Math.max(opening ?? 0, node.range[0])
    },
  })
  return opening
}

/** Members of the library's lexer that it does not declare; `indentNext` is how far further lines must be indented. */
type OpenLexer = { indentNext: number } & Record<'parseQuotedScalar' | 'parseFlowCollection', LexerStep>
type LexerStep = (this: OpenLexer) => Generator<string, unknown>

/**
 * Reads up to the closing quote or bracket however the lines are indented, in the one pass in which it reads everything. The
 * library has no option for this. To indent the lines of the text before it is read would take a second lexer, since only a
 * lexer tells a quote that opens a text from one in a comment or a block, and a map of all offsets. Undefined where the library
 * has other members: manifests are then read strictly.
 */
function createLenientLexer(): Lexer | undefined {
  const lexer = new Lexer()
  const open = lexer as unknown as Partial<OpenLexer>
  const { indentNext, parseQuotedScalar, parseFlowCollection } = open
  if (typeof indentNext !== 'number' || !parseQuotedScalar || !parseFlowCollection) return undefined
  open.parseQuotedScalar = ignoreIndent(parseQuotedScalar)
  open.parseFlowCollection = ignoreIndent(parseFlowCollection)
  return lexer
}

function ignoreIndent(step: LexerStep): LexerStep {
  return function* () {
    const { indentNext } = this
    this.indentNext = 0
    const next = yield* step.call(this)
    this.indentNext = indentNext
    return next
  }
}

function parse(text: string, lexer: Lexer): Document.Parsed<ParsedNode> {
  const composer = new Composer<ParsedNode>({
    // Every scalar stays text: what it means is decided in scalar.ts, which tags are allowed in compose.ts.
    schema: 'failsafe',
    resolveKnownTags: false,
    // The library compares each key with each other one; compose.ts finds duplicates in one pass.
    uniqueKeys: false,
    logLevel: 'silent',
    strict: true,
  })
  limitErrors(composer)
  let first: Document.Parsed<ParsedNode> | undefined
  for (const document of composer.compose(parseTokens(text, lexer), true, text.length)) first ??= document
  // Composed with `forceDoc`, there is one even for an empty text.
  return first as Document.Parsed<ParsedNode>
}

/**
 * Each error costs as much as many values, and only the first is told. The library collects all of a document before it hands
 * anything out; where its undeclared `onError` is missing, the bounds on a text's length and time are left.
 */
function limitErrors(composer: Composer<ParsedNode>): void {
  const open = composer as unknown as { onError?: (...args: unknown[]) => void }
  const { onError } = open
  if (!onError) return
  let left = MAX_ERRORS
  open.onError = (...args) => {
    if (left-- > 0) onError(...args)
  }
}

function* parseTokens(text: string, lexer: Lexer): ReturnType<Parser['parse']> {
  const parser = new Parser()
  let bytes = 0
  for (const lexeme of lexer.lex(text)) {
    bytes += estimateBytes(lexeme.charCodeAt(0)) + lexeme.length * BYTES_PER_UNIT
    if (bytes > MAX_TREE_BYTES)
      throw new TooLargeError(`one of its documents takes more than ${MAX_TREE_BYTES / 1_048_576} MiB to read`)
    yield* parser.next(lexeme)
  }
  yield* parser.end()
}

/** What a lexeme comes to at most in tokens and nodes, as measured, by its first character. */
function estimateBytes(code: number): number {
  if (code === 91 /* [ */ || code === 123 /* { */) return 1200
  if (code === 45 /* - */) return 600
  if (code === 44 /* , */) return 400
  // Blanks, comments, colons and closing brackets.
  return code <= 35 || code === 58 || code === 93 || code === 125 ? 150 : 500
}
