/** A path with another beginning: what the route matched is replaced, element by element. HOT */
import { compileBeginning } from '../base/pattern.ts'
import type { FilterRequest } from './spec.ts'

/**
 * The path as it is forwarded: in what a prefix matched, doubled slashes count as one. What an exact route matched is all of it. What a
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
  return compileBeginning(match).findRest(matchPath)
}

/** Where the elements of the prefix end in the path. */
function findEnd(path: string, prefix: string): number {
  let at = 0
  let start = 0
  while (start < prefix.length) {
    const end = prefix.indexOf('/', start)
    const next = end < 0 ? prefix.length : end
    if (next > start) at = skipElement(path, at)
    start = next + 1
  }
  return at
}

/** Where the element behind the slashes at `at` ends. */
function skipElement(path: string, at: number): number {
  let start = at
  while (path.charCodeAt(start) === 0x2f) start++
  const end = path.indexOf('/', start)
  return end < 0 ? path.length : end
}
