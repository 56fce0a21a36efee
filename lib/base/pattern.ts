/**
 * Regular expressions that users write. They are run by re2js, an engine without backtracking, whose time grows in proportion to
 * the length of the text. V8 has such an engine too, but only behind a flag of the whole process.
 */
import { RE2JS } from 're2js'

/** Characters. */
const MAX_PATTERN = 1_000
/** Of all repetitions of an expression together, so that compiling it takes no more than a second. */
const MAX_REPEATS = 1_000
/**
 * Instructions of the compiled expression, in which nested repetitions multiply. In the worst case each is tried at each character,
 * which takes some 50 ns: 16 KB then take a tenth of a second or two, and with usual expressions some milliseconds.
 */
const MAX_INSTRUCTIONS = 200

/** What expressions begin with for which the case of letters makes no difference. */
export const CASELESS = '(?i)'

/** What other kinds of expressions have. */
const FOREIGN = /\(\?<?[=!]|\\[1-9]|\\k</

/** Why an expression cannot be used; undefined: it can. */
export function findPatternFault(pattern: string): string | undefined {
  if (pattern.length > MAX_PATTERN) return `it is longer than ${MAX_PATTERN} characters`
  if (/[\x00-\x1f\x7f]/.test(pattern)) return 'it has control characters'
  let repeats = 0
  for (const [, least = 0, most] of pattern.matchAll(/\{(\d+)(?:,(\d*))?\}/g)) repeats += Number(most || least)
  if (repeats > MAX_REPEATS) return `its repetitions add up to more than ${MAX_REPEATS}`
  try {
    const size = RE2JS.compile(pattern).programSize()
    if (size > MAX_INSTRUCTIONS) {
      return `it comes to ${size} instructions, more than ${MAX_INSTRUCTIONS}: shorten it, or its repetitions, which multiply where they are nested`
    }
  } catch (error) {
    const [foreign] = FOREIGN.exec(pattern) ?? []
    if (foreign !== undefined) return `it has "${foreign}", and RE2 has no look-around and no back-references`
    return error instanceof Error ? error.message : String(error)
  }
  try {
    compilePattern(pattern)
    return undefined
  } catch {
    // A quotation is all that may be open at the end.
    return 'what begins with \\Q must end with \\E'
  }
}

/**
 * An expression for texts that begin with what it stands for. Nothing here runs the automaton of re2js: its states may be 8 MiB for
 * each expression, and to make them takes longer than to do without.
 */
export class Pattern {
  readonly #expression: RE2JS

  /** Throws where the expression has a fault. */
  constructor(pattern: string) {
    this.#expression = RE2JS.compile(`^(?:${pattern})`)
  }

  /** True if the text begins with what the expression stands for. */
  begins(text: string): boolean {
    return this.#expression.matcher(text).lookingAt()
  }

  /** True if the expression stands for the text as a whole. */
  describes(text: string): boolean {
    return this.#expression.matcher(text).matches()
  }

  /** The text behind what it begins with; `''` where it begins otherwise. */
  findRest(text: string): string {
    const matcher = this.#expression.matcher(text)
    return matcher.lookingAt() ? text.slice(matcher.end()) : ''
  }

  get groups(): number {
    return this.#expression.groupCount()
  }

  /** What the groups stand for, the first at 0, in a text that begins with what the expression stands for; `''`: nothing. */
  findGroups(text: string): readonly string[] {
    const matcher = this.#expression.matcher(text)
    if (!matcher.lookingAt()) return []
    return Array.from({ length: matcher.groupCount() }, (_, at) => matcher.group(at + 1) ?? '')
  }
}

/** Compiles an expression without a fault, to be looked for in texts; throws where it has one. */
export function compilePattern(pattern: string): RE2JS {
  return RE2JS.compile(`(?:${pattern})`)
}

/** By the object that holds the expression: hosts are compiled again and again. */
const beginnings = new WeakMap<Readonly<{ path: string }>, Pattern>()

/** Compiles `path`, an expression without a fault. */
export function compileBeginning(match: Readonly<{ path: string }>): Pattern {
  let pattern = beginnings.get(match)
  if (pattern === undefined) {
    pattern = new Pattern(match.path)
    beginnings.set(match, pattern)
  }
  return pattern
}
