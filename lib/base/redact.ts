/** Targets of requests as logs show them: without the secrets that clients put into queries. */

const REDACTED = '***'

/**
 * The target with `***` in place of the values of query parameters whose decoded names `keys` matches. `keys` has no flag `g` or
 * `y`. Where nothing is to be hidden, it is the same text.
 */
export function redactTarget(target: string, keys: RegExp): string {
  const query = target.indexOf('?') + 1
  if (query === 0) return target
  let redacted = ''
  let kept = 0
  for (let at = query; at < target.length; ) {
    const end = findEnd(target, at)
    const equals = target.indexOf('=', at)
    if (equals >= 0 && equals + 1 < end && keys.test(decodeName(target.slice(at, equals)))) {
      redacted += target.slice(kept, equals + 1) + REDACTED
      kept = end
    }
    at = end + 1
  }
  return kept === 0 ? target : redacted + target.slice(kept)
}

/** Some programs part parameters by semicolons. */
function findEnd(target: string, from: number): number {
  for (let at = from; at < target.length; at++) {
    const char = target[at]
    if (char === '&' || char === ';') return at
  }
  return target.length
}

/** A name that cannot be decoded stays as it is. */
function decodeName(name: string): string {
  if (!name.includes('%')) return name
  try {
    return decodeURIComponent(name)
  } catch {
    return name
  }
}
