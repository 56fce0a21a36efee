/** Reads an amount with its unit. */
import { type Measure, parseMeasure } from '../../base/measure.ts'
import { type Form, type Read, refuse, show } from '../setting.ts'
import { checkRange } from './range.ts'

export function readMeasure(raw: unknown, form: Form, measure: Measure, min = 0, max = measure.max): Read<number> {
  const { what, example, pattern } = measure
  const zero = raw === 0 || raw === '0'
  const bare = typeof raw === 'number' || (form === 'text' && typeof raw === 'string' && /^-?\d+$/.test(raw))
  if (bare && !zero && !measure.bare) return refuse(`${show(raw)} has no unit`, example)
  const text = typeof raw === 'number' ? String(raw) : raw
  if (typeof text !== 'string' || !(zero || pattern.test(text))) return refuse(`${show(raw)} is not ${what}`, example)
  const value = zero ? 0 : parseMeasure(text, measure)
  if (!Number.isSafeInteger(value)) return refuse(`${show(raw)} is not ${what}`, example)
  return checkRange(value, min, max, measure.print)
}
