/** `Vary`: on which fields of the request an answer depends. HOT */
import { joinValues } from './field-lines.ts'
import type { FilterHead } from './spec.ts'

/** Says that the answer depends on a field of the request, so that caches do not give it to other clients (RFC 9110 §12.5.5). */
export function addVary(head: FilterHead, name: string): void {
  const vary = joinValues(head.lines, 'vary')
  if (vary === undefined || !names(vary, name)) head.lines += `Vary: ${name}\r\n`
}

function names(vary: string, name: string): boolean {
  const lowerName = name.toLowerCase()
  return vary
    .toLowerCase()
    .split(/[\s,]+/)
    .some((each) => each === '*' || each === lowerName)
}
