/** The Cookie field of a request (RFC 6265 §4.2.1). HOT */
import { trimSpace } from './field-line.ts'

/** The value of the first cookie with this name, without quotes around it; undefined if there is no such cookie. */
export function findCookie(field: string | undefined, name: string): string | undefined {
  if (field === undefined) return undefined
  for (let at = field.indexOf(name); at >= 0; at = field.indexOf(name, at + 1)) {
    if (field.charCodeAt(at + name.length) !== 0x3d || !beginsPair(field, at)) continue
    const start = at + name.length + 1
    const end = field.indexOf(';', start)
    const value = trimSpace(end < 0 ? field.slice(start) : field.slice(start, end))
    const isQuoted = value.length >= 2 && value.startsWith('"') && value.endsWith('"')
    return isQuoted ? value.slice(1, -1) : value
  }
  return undefined
}

/** True if only white space stands between `start` and the `;` before it, or the beginning of the field. */
function beginsPair(field: string, start: number): boolean {
  let at = start - 1
  while (at >= 0 && (field.charCodeAt(at) === 0x20 || field.charCodeAt(at) === 0x09)) at--
  return at < 0 || field.charCodeAt(at) === 0x3b
}
