/**
 * Regular expressions that users write. They run in linear time, whatever the text: V8's own engine for that needs a flag of the
 * process, RE2 in JavaScript needs nothing.
 */
import { RE2JS } from 're2js'

/** Characters. */
const MAX_PATTERN = 1_000
/** Of all repetitions of an expression together: its time grows with them. */
const MAX_REPEATS = 1_000

/** Why an expression cannot be used; undefined: it can. */
export function findPatternFault(pattern: string): string | undefined {
  if (pattern.length > MAX_PATTERN) return `it is longer than ${MAX_PATTERN} characters`
  if (/[\x00-\x1f\x7f]/.test(pattern)) return 'it has control characters'
  let repeats = 0
  for (const [, least = 0, most] of pattern.matchAll(/\{(\d+)(?:,(\d*))?\}/g)) repeats += Number(most || least)
  if (repeats > MAX_REPEATS) return `its repetitions add up to more than ${MAX_REPEATS}`
  try {
    RE2JS.compile(pattern)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Compiles an expression without a fault; throws where it has one. */
export function compilePattern(pattern: string): RE2JS {
  return RE2JS.compile(pattern)
}

/** By the object that holds the expression: hosts are compiled again and again, and an expression remembers what it found out. */
const beginnings = new WeakMap<Readonly<{ path: string }>, RE2JS>()

/** Compiles `path`, an expression without a fault, for texts that begin with what it stands for. */
export function compileBeginning(match: Readonly<{ path: string }>): RE2JS {
  let expression = beginnings.get(match)
  if (expression === undefined) {
    expression = RE2JS.compile(`^(?:${match.path})`)
    beginnings.set(match, expression)
  }
  return expression
}
