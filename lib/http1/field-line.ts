/** Field lines as text: `Name: value\r\n` each. */

/** Turns field lines into names and values in turn. */
export function splitLines(lines: string): string[] {
  const pairs: string[] = []
  for (let at = 0; at < lines.length; ) {
    const colon = lines.indexOf(':', at)
    const end = lines.indexOf('\r\n', colon)
    pairs.push(lines.slice(at, colon), trimSpace(lines.slice(colon + 1, end)))
    at = end + 2
  }
  return pairs
}

/** Turns names and values in turn into field lines. */
export function joinLines(pairs: readonly string[]): string {
  let lines = ''
  for (let at = 0; at + 1 < pairs.length; at += 2) lines += `${pairs[at]}: ${pairs[at + 1]}\r\n`
  return lines
}

/** The value of the first line with this lower-case name. */
export function findField(lines: string, name: string): string | undefined {
  for (let at = 0; at < lines.length; ) {
    const end = lines.indexOf('\r\n', at)
    const colon = at + name.length
    if (lines.charCodeAt(colon) === 0x3a && lines.slice(at, colon).toLowerCase() === name) {
      return trimSpace(lines.slice(colon + 1, end))
    }
    at = end + 2
  }
  return undefined
}

/** The values of all fields of this lower-case name, with `separator` between them; undefined: there is none. */
export function joinFields(lines: string, name: string, separator: string): string | undefined {
  let joined: string | undefined
  for (let at = 0; at < lines.length; ) {
    const end = lines.indexOf('\r\n', at)
    const colon = at + name.length
    if (lines.charCodeAt(colon) === 0x3a && lines.slice(at, colon).toLowerCase() === name) {
      const value = trimSpace(lines.slice(colon + 1, end))
      joined = joined === undefined ? value : joined + separator + value
    }
    at = end + 2
  }
  return joined
}

/** The value of a field of a request, by its lower-case name. Cookies may come in several fields, and HTTP/2 joins them so (RFC 9113 §8.2.3). */
export function findRequestField(lines: string, name: string): string | undefined {
  return name === 'cookie' ? joinFields(lines, name, '; ') : findField(lines, name)
}

/** Cuts the spaces and tabs around a value (RFC 9110 §5.5); other white space belongs to the value. */
export function trimSpace(value: string): string {
  let start = 0
  let end = value.length
  while (start < end && isSpace(value.charCodeAt(start))) start++
  while (end > start && isSpace(value.charCodeAt(end - 1))) end--
  return value.slice(start, end)
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09
}
