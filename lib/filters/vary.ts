/** `Vary`: on which fields of the request an answer depends. HOT */
import { traceNames } from '../http1/name-traces.ts'
import type { FilterHead } from './spec.ts'

const TRACES = traceNames(['vary'])

/** Says that the answer depends on a field of the request, so that caches do not give it to other clients (RFC 9110 §12.5.5). */
export function addVary(head: FilterHead, name: string): void {
  const vary = head.find('vary')
  if (vary === undefined || !names(vary, name)) head.add(`Vary: ${name}\r\n`, TRACES)
}

function names(vary: string, name: string): boolean {
  const lowerName = name.toLowerCase()
  return vary
    .toLowerCase()
    .split(/[\s,]+/)
    .some((each) => each === '*' || each === lowerName)
}
