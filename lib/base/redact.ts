/** Hides what may be secret in the target of a request: the log and the records of requests show targets. HOT */
import { decodeParameter } from './query.ts'

const HIDDEN = '***'
/** `http://user:password@host`, as an absolute target may begin. */
const USER_INFO = /^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i
/** A longer name counts as secret: nobody reads it, and comparing it would cost. */
const LONGEST_NAME = 128

/** Matches no name. */
const NOTHING = /(?!)/

/** An expression for names of parameters, in any case of letters; `*` in a name stands for any text. */
export function compileRedaction(names: readonly string[]): RegExp {
  if (names.length === 0) return NOTHING
  const patterns = names.map((name) => {
    const [first = '', ...rest] = name.split('*').map((piece) => piece.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    const last = rest.pop()
    // Without an anchor where any text may stand, so that the search is no longer than the name.
    if (last === undefined) return `^${first}$`
    return `${first === '' ? '' : `^${first}.*`}${rest.join('.*')}${last === '' ? '' : `${rest.length > 0 ? '.*' : ''}${last}$`}`
  })
  return new RegExp(patterns.join('|'), 'is')
}

/**
 * The target with `***` in the place of values that may be secret: those of the query parameters whose decoded names `keys` matches, and user
 * name and password of an absolute target. `keys` has no flag `g` or `y`.
 */
export function redactTarget(target: string, keys: RegExp): string {
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

/**
 * Where the first secret value of what stands between two `&` begins; negative: there is none. Some servers part parameters by `;` as well:
 * what follows one in a secret value may belong to it.
 */
function findSecretValue(text: string, keys: RegExp): number {
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

function isSecret(name: string, keys: RegExp): boolean {
  // `code[]` and `code[0]` are lists named `code`.
  return name.length > LONGEST_NAME || keys.test(decodeParameter(name).replace(/\[\d*\]$/, ''))
}
