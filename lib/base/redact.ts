/** Hides what may be secret in the target of a request: the log and the records of requests show targets. HOT */
import { decodeParameter } from './query.ts'

const HIDDEN = '***'
/** `http://user:password@host`, as an absolute target may begin. */
const USER_INFO = /^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i
/** A longer name counts as secret: nobody reads it, and comparing it would cost. */
const LONGEST_NAME = 128

/** Characters of a text that are looked at; what follows them is hidden. Logs and records show fewer. */
const LONGEST_TEXT = 4096
/** Parts of a text that are looked at; those that follow are hidden. To judge one takes about a microsecond. */
const MOST_PARTS = 128
/** So many times a value is decoded in search of a URL with secrets: a page that leads back here may be asked with a page that does. */
const MAX_NESTED = 3
/** Names whose answer is remembered: each may keep the target that it came in. */
const MOST_KNOWN = 200
/** Some servers part parameters by ";" too, and some clients write URLs into values as they are: "?" and "#" part parameters there. */
const SEPARATOR = /[;?#]/g
const NESTED_SEPARATOR = /[?&;#]/
/** An encoded character of ASCII. Each is decoded by itself: beside it there may be encodings that are no UTF-8. */
const ENCODED = /%[0-7][0-9a-f]/gi
/** User name and password of a URL in a value. */
const NESTED_USER_INFO = /:\/\/[^/?#@]*@/
/** A target without any of these has nothing to hide. */
const SUSPICIOUS = /[?#;%@]/

/** Which names of parameters, as they are sent, have secret values. */
export type SecretNames = Readonly<{ test(name: string): boolean }>

/** For names of parameters in any case of letters; `*` in a name stands for any text. The time it takes is linear, whatever clients send. */
export function compileRedaction(names: readonly string[]): SecretNames {
  const globs = names.map((name) => name.toLowerCase().split('*'))
  /** Requests have the same names again and again. */
  const known = new Map<string, boolean>()
  return {
    test: (name) => {
      if (name.length > LONGEST_NAME) return true
      let found = known.get(name)
      if (found === undefined) {
        const decoded = decodeParameter(name).trim().toLowerCase()
        // `code[]` and `code[a][0]` are parts of `code`, and `user[password]` is one of `user`.
        const whole = decoded.replace(/\[.*$/s, '').trim()
        found = globs.some((pieces) => fitsGlob(decoded, pieces) || fitsGlob(whole, pieces))
        if (known.size === MOST_KNOWN) known.clear()
        known.set(name, found)
      }
      return found
    },
  }
}

/** `pieces` are what stands between the `*` of a glob. The first place of each piece leaves the most for those behind it. */
function fitsGlob(text: string, pieces: readonly string[]): boolean {
  const first = pieces[0]!
  if (pieces.length === 1) return text === first
  const last = pieces.at(-1)!
  if (!text.startsWith(first)) return false
  let at = first.length
  for (const piece of pieces.slice(1, -1)) {
    const found = text.indexOf(piece, at)
    if (found < 0) return false
    at = found + piece.length
  }
  return text.length - at >= last.length && text.endsWith(last)
}

/** An authority with `***` in the place of user name and password. */
export function redactAuthority(authority: string): string {
  const at = authority.lastIndexOf('@')
  return at < 0 ? authority : HIDDEN + authority.slice(at)
}

/**
 * The target with `***` in the place of what may be secret: values of parameters of the query, the fragment and path segments, where `keys`
 * matches their decoded names; values that hold a URL with such a parameter or with a password; user name and password of an absolute
 * target; and what is too long to be looked at.
 */
export function redactTarget(target: string, keys: SecretNames): string {
  if (!SUSPICIOUS.test(target)) return target
  const shown = target.startsWith('/') ? target : target.replace(USER_INFO, `$1${HIDDEN}@`)
  const text = shown.length > LONGEST_TEXT ? shown.slice(0, LONGEST_TEXT) : shown
  const found = text.search(/[?#]/)
  const start = found < 0 ? text.length : found
  const search = new SecretSearch(keys)
  const path = search.hideIn(text.slice(0, start), '/')
  const rest = text.slice(start, start + 1) + search.hideIn(text.slice(start + 1), '&')
  return text === shown ? path + rest : path + rest + HIDDEN
}

/** Hides in any text what `redactTarget` hides in a target; without `keys` texts stay as they are. */
export function createHider(keys: SecretNames | undefined): (text: string) => string {
  return keys === undefined ? (text) => text : (text) => redactTarget(text, keys)
}

class SecretSearch {
  readonly #keys: SecretNames
  #left = MOST_PARTS

  constructor(keys: SecretNames) {
    this.#keys = keys
  }

  /** The parts of a path are segments, the parts of a query and fragment are parameters. */
  hideIn(text: string, separator: '/' | '&'): string {
    const isPath = separator === '/'
    if (text === '' || (isPath && !SUSPICIOUS.test(text))) return text
    let result = ''
    for (let at = 0; at <= text.length; ) {
      if (this.#left <= 0) return result + HIDDEN
      const next = text.indexOf(separator, at)
      const end = next < 0 ? text.length : next
      result += this.#hidePart(text.slice(at, end), isPath)
      if (next >= 0) result += separator
      at = end + 1
    }
    return result
  }

  /**
   * A secret value goes on to the end of the part: what follows a ";" in it may belong to it. The first piece of a path segment is no
   * parameter.
   */
  #hidePart(part: string, isSegment: boolean): string {
    for (let at = 0; at <= part.length; ) {
      SEPARATOR.lastIndex = at
      const end = SEPARATOR.exec(part)?.index ?? part.length
      const piece = part.slice(at, end)
      const equals = piece.indexOf('=')
      const value = at + equals + 1
      const isParameter = equals >= 0 && value < part.length && !(isSegment && at === 0)
      if (this.#left-- <= 0 || (isParameter && this.#keys.test(piece.slice(0, equals))) || this.#isNested(piece))
        return part.slice(0, value) + HIDDEN
      at = end + 1
    }
    return part
  }

  /** True for a URL, or parameters, with a secret; encoded, maybe more than once. */
  #isNested(piece: string): boolean {
    if (NESTED_USER_INFO.test(piece)) return true
    let text = piece
    for (let turn = 0; turn < MAX_NESTED && text.includes('%'); turn++) {
      text = text.replace(ENCODED, decodeAscii)
      if (NESTED_USER_INFO.test(text)) return true
      if (!NESTED_SEPARATOR.test(text)) continue
      for (const part of text.split(NESTED_SEPARATOR)) {
        const equals = part.indexOf('=')
        if (equals < 0 || equals === part.length - 1) continue
        if (this.#left-- <= 0 || (equals <= LONGEST_NAME && this.#keys.test(part.slice(0, equals)))) return true
      }
    }
    return false
  }
}

function decodeAscii(encoded: string): string {
  return String.fromCharCode(Number.parseInt(encoded.slice(1), 16))
}
