/** Hides what may be secret in the target of a request: the log and the records of requests show targets. HOT */
import { decodeParameter } from './query.ts'

const HIDDEN = '***'
/** `http://user:password@host`, as an absolute target may begin. */
const USER_INFO = /^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i
/** A longer name counts as secret: nobody reads it, and comparing it would cost. */
const LONGEST_NAME = 128

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
 * The target with `***` in the place of values that may be secret: those of the query parameters whose decoded names `keys` matches, and user
 * name and password of an absolute target.
 */
export function redactTarget(target: string, keys: SecretNames): string {
  const shown = target.startsWith('/') ? target : target.replace(USER_INFO, `$1${HIDDEN}@`)
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
    if (equals >= 0 && value < text.length && isSecret(part.slice(0, equals), keys)) return value
    at = end + 1
  }
  return -1
}

function isSecret(name: string, keys: SecretNames): boolean {
  if (name.length > LONGEST_NAME) return true
  const decoded = decodeParameter(name).trim()
  // `code[]` and `code[a][0]` are parts of `code`, and `user[password]` is one of `user`.
  return keys.test(decoded) || keys.test(decoded.replace(/\[.*$/s, '').trim())
}
