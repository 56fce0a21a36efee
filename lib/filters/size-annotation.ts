/** Sizes in annotations. */
import { BYTES, parseMeasure, printBytes } from '../base/measure.ts'
import { type AnnotationForm, matching } from './annotation-form.ts'
import type { AnnotationReader } from './spec.ts'

export const SIZE: AnnotationForm = matching(BYTES.pattern, 'is no size', BYTES.example)

/** Bytes from 1 to `highest`; `usual` where there is no annotation, or one that is refused. */
export function readSize(annotations: AnnotationReader, name: string, usual: number, highest: number): number {
  const text = annotations.text(name)
  if (text === undefined) return usual
  const size = parseMeasure(text, BYTES)
  if (Number.isInteger(size) && size >= 1 && size <= highest) return size
  annotations.refuse(name, `"${text}" is no size from 1 byte to ${printBytes(highest)}`, BYTES.example)
  return usual
}
