/** Annotations that name clients by their addresses. */
import { normalizeRange } from '../base/cidr.ts'
import { type AnnotationForm, spaced } from './annotation-form.ts'
import { splitNames } from './field-lines.ts'
import type { AnnotationReader } from './spec.ts'

const MAX_RANGES = 20_000
/** Most ranges that are printed. */
const MAX_PRINTED = 5

/** Addresses and CIDR ranges, separated by commas or white space; `readRanges` checks each. */
export const RANGES: AnnotationForm = {
  pattern: spaced('[0-9A-Fa-f:.]+(?:/\\d{1,3})?'),
  describeFault: (text) => findFault(splitNames(text)) ?? 'it names no address',
  help: 'write addresses and CIDR ranges with commas between, as in "10.0.0.0/8, 2001:db8::1"',
  structure: 'list',
}

/** Ranges in normal form, each once; undefined where there is no annotation, or one that is refused. */
export function readRanges(annotations: AnnotationReader, name: string): readonly string[] | undefined {
  const text = annotations.text(name)
  if (text === undefined) return undefined
  const ranges = splitNames(text)
  const fault = ranges.length > MAX_RANGES ? `it has more than ${MAX_RANGES} ranges` : findFault(ranges)
  if (fault !== undefined) {
    annotations.refuse(name, fault, RANGES.help)
    return undefined
  }
  return [...new Set(ranges.map((each) => normalizeRange(each).range))]
}

export function printRanges(ranges: readonly string[]): string {
  const more = ranges.length - MAX_PRINTED
  return ranges.slice(0, MAX_PRINTED).join(' ') + (more > 0 ? ` and ${more} more` : '')
}

/** Why the first wrong range is wrong; undefined: all are right. */
function findFault(ranges: readonly string[]): string | undefined {
  for (const range of ranges) {
    try {
      normalizeRange(range)
    } catch (thrown) {
      return (thrown as RangeError).message
    }
  }
  return undefined
}
