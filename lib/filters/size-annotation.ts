/** Sizes in annotations. */
import { BYTES, parseMeasure, printBytes } from '../base/measure.ts'
import { type AnnotationForm, matching } from './annotation-form.ts'
import type { AnnotationReader } from './spec.ts'

export const SIZE: AnnotationForm = matching(BYTES.pattern, 'is no size', BYTES.example)

/** Bytes from `lowest` to `highest`; `usual` where there is no annotation, or one that is refused. */
export function readSize(
  annotations: AnnotationReader,
  name: string,
  usual: number,
  highest: number,
  lowest: number = 1,
): number {
  const text = annotations.text(name)
  if (text === undefined) return usual
  const size = parseMeasure(text, BYTES)
  if (Number.isInteger(size) && size >= lowest && size <= highest) return size
  annotations.refuse(
    name,
    `"${text}" is no size from ${lowest === 1 ? '1 byte' : printBytes(lowest)} to ${printBytes(highest)}`,
    BYTES.example,
  )
  return usual
}
