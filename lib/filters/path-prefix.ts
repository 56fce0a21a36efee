/** A path with another beginning: what the route matched is replaced, element by element. HOT */
import type { PathMatch } from '../model/route.ts'

/** `path` as it is forwarded: doubled slashes count as one, as they do for matching. What an exact route matched is all of it. */
export function replacePrefix(path: string, match: PathMatch, replacement: string): string {
  const rest = match.type === 'exact' ? '' : path.slice(findEnd(path, match.path))
  const start = replacement.endsWith('/') ? replacement.slice(0, -1) : replacement
  if (rest === '') return replacement
  return rest.startsWith('/') ? start + rest : `${start}/${rest}`
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
