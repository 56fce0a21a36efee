/** What lowest and highest value a number may have. */
import { MAX_TIMER_MS } from '../../base/timers.ts'
import { type Read, refuse, type Schema } from '../setting.ts'

export type Range = Readonly<{ min?: number; max?: number }>

export function checkRange(value: number, min: number, max: number, print: (value: number) => string): Read<number> {
  if (value >= min && value <= max) return { value }
  // A bound of the machine is not worth telling to people who are below the range.
  const range = max >= MAX_TIMER_MS && value < min ? `at least ${print(min)}` : `${print(min)} to ${print(max)}`
  return refuse(`${print(value)} is out of range`, `allowed: ${range}`)
}

export function describeRange(min: number | undefined, max: number | undefined): Schema {
  return { ...(min !== undefined && { minimum: min }), ...(max !== undefined && { maximum: max }) }
}
