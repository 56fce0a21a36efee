/** What stays in force when its present version cannot be used. */
import { printTime } from '../base/clock.ts'
import type { Diagnostic } from '../base/diagnostics.ts'

/** A source whose last good version is used, because its present version cannot be. */
export type Kept = Readonly<{
  /** `still serving k8s/shop.yaml as of 14:03:11` */
  text: string
  /** The problems of the present version; each has `text` as its last note. */
  reasons: readonly Diagnostic[]
}>

/** `since`: when the version that is still served was read, in milliseconds since the epoch. */
export function describeKept(name: string, since: number, reasons: readonly Diagnostic[]): Kept {
  return noteLastGood(`still serving ${name} as of ${printTime(since)}`, reasons)
}

/** Adds to each reason a note that the last good version is served. */
export function noteLastGood(text: string, reasons: readonly Diagnostic[]): Kept {
  const noted = reasons.map((reason) => Object.freeze({ ...reason, notes: [...reason.notes, { message: text }] }))
  return Object.freeze({ text, reasons: noted })
}
