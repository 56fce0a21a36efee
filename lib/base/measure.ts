/** Durations (`500ms`, `1m30s`) and sizes (`64Ki`) as people write them. */
import { MAX_TIMER_MS } from './timers.ts'

/** The notation of an amount: digits with a unit behind them. */
export type Measure = Readonly<{
  what: string
  example: string
  units: ReadonlyMap<string, number>
  /** True if a number may stand without a unit. */
  bare: boolean
  max: number
  /** True if several terms may follow each other, as in `1m30s`. */
  pattern: RegExp
  print(value: number): string
}>

export const DURATION: Measure = {
  what: 'a duration',
  example: 'write it with its unit: 500ms, 10s, 5m or 1h',
  units: new Map([
    ['ms', 1],
    ['s', 1_000],
    ['m', 60_000],
    ['h', 3_600_000],
  ]),
  bare: false,
  max: MAX_TIMER_MS,
  pattern: /^(?:\d+(?:\.\d+)?(?:ms|s|m|h))+$/,
  print: printDuration,
}

export const BYTES: Measure = {
  what: 'a size',
  example: 'write bytes as a number, or with Ki, Mi or Gi: 65536, 64Ki',
  units: new Map([
    ['', 1],
    ['k', 1e3],
    ['M', 1e6],
    ['G', 1e9],
    ['Ki', 1024],
    ['Mi', 1024 ** 2],
    ['Gi', 1024 ** 3],
  ]),
  bare: true,
  max: Number.MAX_SAFE_INTEGER,
  pattern: /^\d+(?:\.\d+)?(?:Ki|Mi|Gi|k|M|G)?$/,
  print: printBytes,
}

/** `90000` → `1m30s`; the form the loader reads. */
export function printDuration(milliseconds: number): string {
  if (milliseconds === 0) return '0'
  let rest = milliseconds
  let out = ''
  for (const [unit, size] of [...DURATION.units].reverse()) {
    const count = Math.floor(rest / size)
    if (count > 0) out += `${count}${unit}`
    rest -= count * size
  }
  return out
}

/** A time that was measured, for people: `4.0 s`, `12 ms`, `2.3 ms`. */
export function printElapsed(milliseconds: number): string {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(1)} s`
  return milliseconds < 10 ? `${milliseconds.toFixed(1)} ms` : `${Math.round(milliseconds)} ms`
}

/** `65536` → `64Ki`; the form the loader reads. */
export function printBytes(bytes: number): string {
  for (const unit of ['Gi', 'Mi', 'Ki']) {
    const size = BYTES.units.get(unit) ?? 1
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`
  }
  return String(bytes)
}

/** `65536` → `64 KiB`; for people. */
export function sayBytes(bytes: number): string {
  const [, count, unit] = /^(\d+)([KMG]i)?$/.exec(printBytes(bytes))!
  return unit === undefined ? `${count} bytes` : `${count} ${unit}B`
}

/** The amount in milliseconds or bytes; the text must match the pattern. */
export function parseMeasure(text: string, { units }: Measure): number {
  let value = 0
  for (const [, digits = '', unit = ''] of text.matchAll(/(\d+(?:\.\d+)?)([A-Za-z]*)/g)) {
    value += Number(digits) * (units.get(unit) ?? 0)
  }
  return value
}
