/**
 * Patterns in paths, as other controllers read them: regular expressions, and globs. Here a path is what it is, letter by
 * letter; advice names the paths that mean the same, and none that mean more.
 */

/** What patterns are made of. */
const PATTERN_SIGN = /[\\^$*()|[\]{}?]|\.\+/
/** All that comes after an element of the path. */
const EVERYTHING_BELOW =
  /(?:\(\/\|\$\)\(\.\*\)|\(\/\|\$\)|\(\/\.\*\)\??|\(\?:\/\.\*\)\?|\/?\(\.[*+]\)|\/?\.[*+]|\/?\*|\/\?\(\.\*\))\$?$/
/** A path has no more meanings that are worth listing. */
const MAX_PATHS = 8

export function isPattern(path: string): boolean {
  return PATTERN_SIGN.test(path)
}

/** Where the first sign of a pattern stands; -1: the path is none. */
export function findPatternSign(path: string): number {
  return path.search(PATTERN_SIGN)
}

/** What to write instead. */
export function explainPattern(path: string): string {
  const body = path.replace(/^\^/, '')
  const isPrefix = EVERYTHING_BELOW.test(body)
  const stem = isPrefix ? body.replace(EVERYTHING_BELOW, '') : body.replace(/\/\?\$$/, '').replace(/\$$/, '')
  const paths = listPaths(stem)
  if (paths === undefined) return 'write the paths that it stands for out, each with pathType: Prefix or Exact'
  const type = isPrefix || !body.endsWith('$') ? 'Prefix' : 'Exact'
  const written = paths.map((each) => (each === '' ? '/' : each))
  return written.length === 1
    ? `write path: ${written[0]} with pathType: ${type}`
    : `write a path for each of ${written.join(', ')} with pathType: ${type}`
}

/** The paths that a pattern of letters and of groups of alternatives stands for; undefined: it has more than that. */
function listPaths(pattern: string): readonly string[] | undefined {
  let paths: readonly string[] = ['']
  for (const [token, escaped, group] of pattern.matchAll(/\\(.)|\((?:\?:)?([^()]*)\)|[\s\S]/g)) {
    let choices: readonly string[]
    if (group !== undefined) choices = group.split('|')
    else if (escaped !== undefined) choices = [escaped]
    else choices = [token]
    // The letters that stand for classes when they are escaped: \d, \w.
    const isPlain = escaped === undefined ? choices.every((choice) => !isPattern(choice)) : !/\w/.test(escaped)
    if (!isPlain) return undefined
    paths = paths.flatMap((path) => choices.map((choice) => path + choice))
    if (paths.length > MAX_PATHS) return undefined
  }
  return paths
}
