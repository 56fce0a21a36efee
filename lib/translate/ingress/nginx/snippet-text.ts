/**
 * The syntax of nginx's configuration (ngx_conf_read_token): directives of words, which `;` or a block of further directives ends. It is
 * read, and never executed.
 */

/** Characters of a snippet. */
export const MOST_CHARACTERS = 65_536
const MOST_DIRECTIVES = 1_000
const MOST_WORDS = 100
/** Blocks within blocks. */
const DEEPEST = 8

export type Directive = Readonly<{
  name: string
  /** With quotes and escapes resolved. */
  words: readonly string[]
  /** Undefined: it ends with `;`. */
  block: readonly Directive[] | undefined
  /** Counted from 1. */
  line: number
}>

/** Where a text is none of nginx, and why. */
export type SnippetFault = Readonly<{ line: number; message: string }>

/** Throws nothing: a text that nginx would refuse, or that is too large, has a fault. */
export function parseSnippet(text: string): readonly Directive[] | SnippetFault {
  if (text.length > MOST_CHARACTERS) return { line: 1, message: `it is longer than ${MOST_CHARACTERS} characters` }
  try {
    return new SnippetParser(text).read()
  } catch (error) {
    if (error instanceof FaultError) return { line: error.line, message: error.message }
    throw error
  }
}

class FaultError extends Error {
  readonly line: number

  constructor(message: string, line: number) {
    super(message)
    this.line = line
  }
}

type Token = Readonly<{ kind: 'word'; text: string; line: number } | { kind: ';' | '{' | '}' | 'end'; line: number }>

/** What may follow a quote; a parenthesis is a word of its own then, as in `if ($a = "b")`. */
const AFTER_QUOTE = /[\s;{)]/
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "'": "'",
  '\\': '\\',
  t: '\t',
  r: '\r',
  n: '\n',
}

class SnippetParser {
  readonly #text: string
  #at = 0
  #line = 1
  #directives = 0

  constructor(text: string) {
    this.#text = text
  }

  read(): readonly Directive[] {
    return this.#readBlock(0)
  }

  #readBlock(depth: number): readonly Directive[] {
    if (depth > DEEPEST) throw new FaultError(`blocks are nested more than ${DEEPEST} deep`, this.#line)
    const directives: Directive[] = []
    for (;;) {
      const first = this.#readToken()
      if (first.kind === 'end') {
        if (depth > 0) throw new FaultError('a "}" is missing at the end', first.line)
        return directives
      }
      if (first.kind === '}') {
        if (depth === 0) throw new FaultError('there is no "{" to this "}"', first.line)
        return directives
      }
      if (first.kind !== 'word') throw new FaultError(`nothing stands before "${first.kind}"`, first.line)
      if (++this.#directives > MOST_DIRECTIVES) {
        throw new FaultError(`it has more than ${MOST_DIRECTIVES} directives`, first.line)
      }
      directives.push(this.#readDirective(first.text, first.line, depth))
    }
  }

  #readDirective(name: string, line: number, depth: number): Directive {
    const words: string[] = []
    for (;;) {
      const token = this.#readToken()
      if (token.kind === 'word') {
        if (words.length === MOST_WORDS) throw new FaultError(`"${cut(name)}" has more than ${MOST_WORDS} words`, line)
        words.push(token.text)
      } else if (token.kind === ';') return { name, words, block: undefined, line }
      else if (token.kind === '{') return { name, words, block: this.#readBlock(depth + 1), line }
      else throw new FaultError(`the ";" behind "${cut(name)}" is missing`, line)
    }
  }

  #readToken(): Token {
    this.#skipBlanks()
    const line = this.#line
    const sign = this.#text[this.#at]
    if (sign === undefined) return { kind: 'end', line }
    if (sign === ';' || sign === '{' || sign === '}') {
      this.#at++
      return { kind: sign, line }
    }
    return { kind: 'word', text: sign === '"' || sign === "'" ? this.#readQuoted(sign) : this.#readPlain(), line }
  }

  #skipBlanks(): void {
    for (; this.#at < this.#text.length; this.#at++) {
      const sign = this.#text[this.#at]!
      if (sign === '#') {
        const end = this.#text.indexOf('\n', this.#at)
        this.#at = (end < 0 ? this.#text.length : end) - 1
      } else if (sign === '\n') this.#line++
      else if (!isBlank(sign)) return
    }
  }

  #readQuoted(quote: string): string {
    const line = this.#line
    let word = ''
    for (this.#at++; this.#text[this.#at] !== quote; ) word += this.#readSign('a quote has no end', line)
    this.#at++
    const next = this.#text[this.#at]
    if (next !== undefined && !AFTER_QUOTE.test(next)) {
      throw new FaultError(`"${next}" stands directly behind a quote`, this.#line)
    }
    return word
  }

  /** `${` begins a variable, and no block. */
  #readPlain(): string {
    const line = this.#line
    let word = ''
    for (;;) {
      const sign = this.#text[this.#at]
      if (sign === undefined || isBlank(sign) || sign === '\n' || sign === ';') return word
      if (sign === '{' && !word.endsWith('$')) return word
      word += this.#readSign('', line)
    }
  }

  #readSign(missing: string, line: number): string {
    const sign = this.#text[this.#at++]
    if (sign === undefined) throw new FaultError(missing, line)
    if (sign === '\n') this.#line++
    if (sign !== '\\') return sign
    const next = this.#text[this.#at++]
    if (next === undefined) throw new FaultError('nothing follows the "\\" at the end', line)
    if (next === '\n') this.#line++
    return ESCAPES[next] ?? sign + next
  }
}

function isBlank(sign: string): boolean {
  return sign === ' ' || sign === '\t' || sign === '\r'
}

/** The beginning of a text that may be long. */
function cut(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text
}
