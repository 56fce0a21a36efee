/** Parameters of a query, as HTML forms write them (URL Standard §5.1). HOT */

/**
 * The value of the first parameter with this name, `''` where it has none; undefined if there is no such parameter. `query` is `''`
 * or `?…`, as sent. Names and values are compared decoded; an encoding that is not UTF-8 stays as it is.
 */
export function findParameter(query: string, name: string): string | undefined {
  for (let at = 1; at < query.length; ) {
    const next = query.indexOf('&', at)
    const end = next < 0 ? query.length : next
    const equals = query.indexOf('=', at)
    const nameEnd = equals < 0 || equals > end ? end : equals
    if (decode(query.slice(at, nameEnd)) === name) return decode(query.slice(nameEnd + 1, end))
    at = end + 1
  }
  return undefined
}

function decode(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text
  if (!spaced.includes('%')) return spaced
  try {
    return decodeURIComponent(spaced)
  } catch {
    return spaced
  }
}
