/**
 * Patterns in paths: other controllers read them as regular expressions or globs, Portico reads every path literally unless it is told
 * otherwise. The advice names paths with the same meaning, and never paths that match more.
 */

/** The signs of a pattern. */
const PATTERN_SIGN = /[\\^$*()|[\]{}?]|\.\+/
/** Patterns for everything below an element of the path. */
const EVERYTHING_BELOW =
  /(?:\(\/\|\$\)\(\.\*\)|\(\/\|\$\)|\(\/\.\*\)\??|\(\?:\/\.\*\)\?|\/?\(\.[*+]\)|\/?\.[*+]|\/?\*|\/\?\(\.\*\))\$?$/
/** A pattern that stands for more paths is not spelled out. */
const MAX_PATHS = 8

export function isPattern(path: string): boolean {
  return PATTERN_SIGN.test(path)
}

/** The index of the first sign of a pattern; -1 if the path is not a pattern. */
export function findPatternSign(path: string): number {
  return path.search(PATTERN_SIGN)
}

/** What all paths begin with that an expression without alternatives stands for. */
export function findPatternStem(expression: string): string {
  const first = findPatternSign(expression)
  const stem = first < 0 ? expression : expression.slice(0, first)
  const isLastCertain = first < 0 || !/[*?{]/.test(expression[first]!)
  // A percent-encoding may go on in a class.
  return (isLastCertain ? stem : stem.slice(0, -1)).replace(/%[\da-f]?$/i, '')
}

/** A beginning of paths that an expression stands for; undefined: not known, or of none. */
export function findSample(expression: string): string | undefined {
  if (hasAlternatives(expression)) return undefined
  // A dot may stand for any character.
  const sample = findPatternStem(expression).replaceAll('.', 'x')
  return sample.startsWith('/') ? sample : undefined
}

/** True for alternatives outside of groups: they need not have a common beginning. */
export function hasAlternatives(pattern: string): boolean {
  let depth = 0
  for (const sign of pattern) {
    if (sign === '(') depth++
    else if (sign === ')') depth--
    else if (sign === '|' && depth === 0) return true
  }
  return false
}

/** The help: what to write in place of the pattern. */
export function explainPattern(path: string): string {
  const body = path.replace(/^\^/, '')
  const isPrefix = EVERYTHING_BELOW.test(body)
  const stem = isPrefix ? body.replace(EVERYTHING_BELOW, '') : body.replace(/\/\?\$$/, '').replace(/\$$/, '')
  const paths = listPaths(stem)
  if (paths === undefined) {
    return 'write the paths that it stands for out, each with pathType: Prefix or Exact; or have it matched as a regular expression: portico.dev/path-type: regex'
  }
  const type = isPrefix || !body.endsWith('$') ? 'Prefix' : 'Exact'
  const written = paths.map((each) => (each === '' ? '/' : each))
  return written.length === 1
    ? `write path: ${written[0]} with pathType: ${type}`
    : `write a path for each of ${written.join(', ')} with pathType: ${type}`
}

/** The paths that a pattern of letters and alternatives stands for; undefined for any other pattern. */
function listPaths(pattern: string): readonly string[] | undefined {
  let paths: readonly string[] = ['']
  for (const [token, escaped, group] of pattern.matchAll(/\\(.)|\((?:\?:)?([^()]*)\)|[\s\S]/g)) {
    let choices: readonly string[]
    if (group !== undefined) choices = group.split('|')
    else if (escaped !== undefined) choices = [escaped]
    else choices = [token]
    // An escaped letter, such as \d or \w, stands for a class of characters.
    const isPlain = escaped === undefined ? choices.every((choice) => !isPattern(choice)) : !/\w/.test(escaped)
    if (!isPlain) return undefined
    paths = paths.flatMap((path) => choices.map((choice) => path + choice))
    if (paths.length > MAX_PATHS) return undefined
  }
  return paths
}
