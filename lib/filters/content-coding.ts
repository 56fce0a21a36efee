/** Whether a body may be coded anew: Accept-Encoding and `no-transform`. HOT */
import { joinValues } from './field-lines.ts'

/** RFC 9111 §5.2.1.6 and §5.2.2.6: a message may forbid that intermediaries change its body. */
export function isTransformForbidden(lines: string): boolean {
  const control = joinValues(lines, 'cache-control')
  return control !== undefined && /(?:^|[\s,])no-transform(?:$|[\s,])/i.test(control)
}

/** True if Accept-Encoding asks for this coding, and for no coding at all not more (RFC 9110 §12.5.3). */
export function acceptsCoding(accepted: string | undefined, coding: string): boolean {
  if (accepted === undefined) return false
  let own: number | undefined
  let any = 0
  let none = 0
  for (const item of accepted.toLowerCase().split(',')) {
    const [name = '', ...parameters] = item.split(';')
    const weight = readWeight(parameters)
    const written = name.trim()
    if (written === coding || written === `x-${coding}`) own = Math.max(own ?? 0, weight)
    else if (written === '*') any = weight
    else if (written === 'identity') none = weight
  }
  const found = own ?? any
  return found > 0 && found >= none
}

/** What is malformed is not asked for. */
function readWeight(parameters: readonly string[]): number {
  if (parameters.length === 0) return 1
  const [, digits] = /^\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*$/.exec(parameters.join(';')) ?? []
  return digits === undefined ? 0 : Number(digits)
}
