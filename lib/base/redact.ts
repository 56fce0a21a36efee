/** Hides what may be secret in the target of a request: the log and the records of requests show targets. HOT */
import { decodeParameter } from './query.ts'

const HIDDEN = '***'
/** `http://user:password@host`, as an absolute target may begin. */
const USER_INFO = /^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i
/** A longer name counts as secret: nobody reads it, and comparing it would cost. */
const LONGEST_NAME = 128

/** So many times a value is decoded in search of a URL with secrets: a page that leads back here may be asked with a page that does. */
const MAX_NESTED = 3
/** What parts the parameters of a URL from each other and from the rest of it. */
const PARTS = /[?&;#]/
/** A parameter of a path segment (RFC 3986 §3.3). */
const SEGMENT_PARAMETER = /;([^=;/]*)=([^;/]+)/g

/** Which names of parameters have secret values. */
export type SecretNames = Readonly<{ test(name: string): boolean }>

/** For names of parameters in any case of letters; `*` in a name stands for any text. The time it takes is linear, whatever clients send. */
export function compileRedaction(names: readonly string[]): SecretNames {
  const globs = names.map((name) => name.toLowerCase().split('*'))
  return {
    test: (name) => {
      const text = name.toLowerCase()
      return globs.some((pieces) => fitsGlob(text, pieces))
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
 * The target with `***` in the place of values that may be secret: those of the parameters of query and path segments whose decoded names
 * `keys` matches, values that hold a URL with such a parameter, and user name and password of an absolute target.
 */
export function redactTarget(target: string, keys: SecretNames): string {
  const whole = target.startsWith('/') ? target : target.replace(USER_INFO, `$1${HIDDEN}@`)
  const shown = whole.includes(';') ? hideSegmentParameters(whole, keys) : whole
  const start = shown.indexOf('?')
  if (start < 0 || start === shown.length - 1) return shown
  let result = ''
  /** All before it is in the result. */
  let done = 0
  for (let at = start + 1; at < shown.length; ) {
    const next = shown.indexOf('&', at)
    const end = next < 0 ? shown.length : next
    // Cut first: the searches would go on to the end of the query.
    const value = findSecretValue(shown.slice(at, end), keys)
    if (value >= 0) {
      result += shown.slice(done, at + value) + HIDDEN
      done = end
    }
    at = end + 1
  }
  return done === 0 ? shown : result + shown.slice(done)
}

function hideSegmentParameters(target: string, keys: SecretNames): string {
  const query = target.indexOf('?')
  const path = query < 0 ? target : target.slice(0, query)
  const shown = path.replace(SEGMENT_PARAMETER, (all, name: string) =>
    isSecret(name, keys) ? `;${name}=${HIDDEN}` : all,
  )
  return query < 0 ? shown : shown + target.slice(query)
}

/** Hides in any text what `redactTarget` hides in a target; without `keys` texts stay as they are. */
export function createHider(keys: SecretNames | undefined): (text: string) => string {
  return keys === undefined ? (text) => text : (text) => redactTarget(text, keys)
}

/**
 * Where the first secret value of what stands between two `&` begins; negative: there is none. Some servers part parameters by `;` as well:
 * what follows one in a secret value may belong to it.
 */
function findSecretValue(text: string, keys: SecretNames): number {
  for (let at = 0; at < text.length; ) {
    const next = text.indexOf(';', at)
    const end = next < 0 ? text.length : next
    const part = text.slice(at, end)
    const equals = part.indexOf('=')
    const value = at + equals + 1
    if (equals >= 0 && value < text.length) {
      if (isSecret(part.slice(0, equals), keys) || hasSecretWithin(part.slice(equals + 1), keys)) return value
    }
    at = end + 1
  }
  return -1
}

/** True for a URL, or a part of one, with a parameter that is secret; it may be encoded, more than once. */
function hasSecretWithin(value: string, keys: SecretNames): boolean {
  let text = value
  for (let turn = 0; turn <= MAX_NESTED && (text.includes('=') || text.includes('%')); turn++) {
    for (const part of text.split(PARTS)) {
      const equals = part.indexOf('=')
      if (equals >= 0 && equals < part.length - 1 && isSecret(part.slice(0, equals), keys)) return true
    }
    const decoded = decodeParameter(text)
    if (decoded === text) return false
    text = decoded
  }
  return false
}

function isSecret(name: string, keys: SecretNames): boolean {
  if (name.length > LONGEST_NAME) return true
  const decoded = decodeParameter(name).trim()
  // `code[]` and `code[a][0]` are parts of `code`, and `user[password]` is one of `user`.
  return keys.test(decoded) || keys.test(decoded.replace(/\[.*$/s, '').trim())
}
