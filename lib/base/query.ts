/** Parameters of a query, as HTML forms write them (URL Standard §5.1). HOT */

/** Two hexadecimal digits of a continuation byte of UTF-8. */
const NEXT = '%[89ab][0-9a-f]'

/**
 * Matches what decodeURIComponent decodes: whole encodings of UTF-8 (RFC 3629 §4). To ask costs less than an exception. No text can
 * match in two ways, so that the time is linear.
 */
const DECODABLE = new RegExp(
  `^[^%]*(?:%(?:${[
    '[0-7][0-9a-f]',
    `(?:c[2-9a-f]|d[0-9a-f])${NEXT}`,
    `(?:e0%[ab][0-9a-f]|e[1-9a-cef]${NEXT}|ed%[89][0-9a-f])${NEXT}`,
    `(?:f0%[9ab][0-9a-f]|f[1-3]${NEXT}|f4%8[0-9a-f])${NEXT}${NEXT}`,
  ].join('|')})[^%]*)*$`,
  'i',
)

/**
 * Values by name: `''` where a parameter has none, the first where there are several. `query` is `''` or `?…`, as sent. Names and
 * values are decoded; an encoding that is not UTF-8 stays as it is.
 */
export function parseParameters(query: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>()
  for (let at = 1; at < query.length; ) {
    const next = query.indexOf('&', at)
    const end = next < 0 ? query.length : next
    if (end > at) {
      // Cut first: the search for "=" would go on to the end of the query.
      const parameter = query.slice(at, end)
      const equals = parameter.indexOf('=')
      const name = decodeParameter(equals < 0 ? parameter : parameter.slice(0, equals))
      if (!parameters.has(name)) parameters.set(name, equals < 0 ? '' : decodeParameter(parameter.slice(equals + 1)))
    }
    at = end + 1
  }
  return parameters
}

/** Decoded as a name or value of a query; an encoding that is not UTF-8 stays as it is. */
export function decodeParameter(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text
  return spaced.includes('%') && DECODABLE.test(spaced) ? decodeURIComponent(spaced) : spaced
}
