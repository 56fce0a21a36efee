/** The lowest and the highest value of a number. */
import { MAX_TIMER_MS } from '../../base/timers.ts'
import { type Read, refuse, type Schema } from '../setting.ts'

export type Range = Readonly<{ min?: number; max?: number }>

export function checkRange(value: number, min: number, max: number, print: (value: number) => string): Read<number> {
  if (value >= min && value <= max) return { value }
  // The largest number of the machine says nothing to people whose value is too small.
  const range = max >= MAX_TIMER_MS && value < min ? `at least ${print(min)}` : `${print(min)} to ${print(max)}`
  return refuse(`${print(value)} is out of range`, `allowed: ${range}`)
}

export function describeRange(min: number | undefined, max: number | undefined): Schema {
  return { ...(min !== undefined && { minimum: min }), ...(max !== undefined && { maximum: max }) }
}
