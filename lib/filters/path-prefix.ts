/** A path with another beginning: what the route matched is replaced, element by element. HOT */
import { compileBeginning } from '../base/pattern.ts'
import type { FilterRequest } from './spec.ts'

/**
 * The path as it is forwarded: doubled slashes count as one, as they do for matching. What an exact route matched is all of it. What a
 * regular expression matched is found in the form that it was matched by, and the rest is taken from there.
 */
export function replacePrefix(
  { pathname, matchPath, match }: Pick<FilterRequest, 'pathname' | 'matchPath' | 'match'>,
  replacement: string,
): string {
  const rest = findRest(pathname, matchPath, match)
  const start = replacement.endsWith('/') ? replacement.slice(0, -1) : replacement
  if (rest === '') return replacement
  return rest.startsWith('/') ? start + rest : `${start}/${rest}`
}

function findRest(path: string, matchPath: string, match: FilterRequest['match']): string {
  if (match.type === 'exact') return ''
  if (match.type === 'prefix') return path.slice(findEnd(path, match.path))
  const matcher = compileBeginning(match).matcher(matchPath)
  return matcher.find() ? matchPath.slice(matcher.end()) : ''
}

/** Where the elements of the prefix end in the path. */
function findEnd(path: string, prefix: string): number {
  let at = 0
  for (const element of prefix.split('/')) {
    if (element === '') continue
    while (path[at] === '/') at++
    const end = path.indexOf('/', at)
    at = end < 0 ? path.length : end
  }
  return at
}
