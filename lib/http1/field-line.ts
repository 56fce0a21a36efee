/** Field lines as text: `Name: value\r\n` each. */

/** Turns field lines into names and values in turn. */
export function splitLines(lines: string): string[] {
  const pairs: string[] = []
  for (let at = 0; at < lines.length; ) {
    const colon = lines.indexOf(':', at)
    const end = lines.indexOf('\r\n', colon)
    pairs.push(lines.slice(at, colon), trimSpace(lines, colon + 1, end))
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
    const end = lines.indexOf('\n', at)
    if (isNamed(lines, at, name)) return trimSpace(lines, at + name.length + 1, end - 1)
    at = end + 1
  }
  return undefined
}

/** True if the line at `at` has this lower-case name; `isFolded`: also where it has underscores in the place of hyphens. */
export function isNamed(lines: string, at: number, name: string, isFolded: boolean = false): boolean {
  if (lines.charCodeAt(at + name.length) !== 0x3a) return false
  for (let index = 0; index < name.length; index++) {
    let code = lines.charCodeAt(at + index)
    if (code >= 0x41 && code <= 0x5a) code += 0x20
    else if (isFolded && code === 0x5f) code = 0x2d
    if (code !== name.charCodeAt(index)) return false
  }
  return true
}

/** The values of all fields of this lower-case name, with `separator` between them; undefined: there is none. */
export function joinFields(lines: string, name: string, separator: string): string | undefined {
  let joined: string | undefined
  for (let at = 0; at < lines.length; ) {
    const end = lines.indexOf('\n', at)
    if (isNamed(lines, at, name)) {
      const value = trimSpace(lines, at + name.length + 1, end - 1)
      joined = joined === undefined ? value : joined + separator + value
    }
    at = end + 1
  }
  return joined
}

/** The value of a field of a request, by its lower-case name. Cookies may come in several fields, and HTTP/2 joins them so (RFC 9113 §8.2.3). */
export function findRequestField(lines: string, name: string): string | undefined {
  return name === 'cookie' ? joinFields(lines, name, '; ') : findField(lines, name)
}

/** The part of a text without the spaces and tabs around it (RFC 9110 §5.5); other white space belongs to a value. */
export function trimSpace(text: string, from: number = 0, to: number = text.length): string {
  let start = from
  let end = to
  while (start < end && isSpace(text.charCodeAt(start))) start++
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x09
}
