/** Whether a body may be coded anew, and how: `no-transform` and Accept-Encoding. HOT */
import { joinValues, SoughtNames } from './field-lines.ts'

/** Digests of the bytes as they were sent: who changes the bytes makes them wrong (RFC 9530). */
export const DIGEST_NAMES: ReadonlySet<string> = new Set(['content-digest', 'content-md5', 'digest', 'repr-digest'])

const CONTROL = 1
const FORBIDDING = new SoughtNames(['cache-control', ...DIGEST_NAMES])

/** True if a message forbids that intermediaries change its body, or has a digest of it (RFC 9111 §5.2.1.6 and §5.2.2.6). */
export function isTransformForbidden(lines: string): boolean {
  const present = FORBIDDING.mark(lines)
  if (present > CONTROL) return true
  return present === CONTROL && /(?:^|[\s,])no-transform(?:$|[\s,])/i.test(joinValues(lines, 'cache-control')!)
}

/**
 * The coding that Accept-Encoding prefers, of equal ones the first; undefined where none is acceptable, or the client prefers
 * the body as it is (RFC 9110 §12.5.3).
 */
export function chooseCoding<Coding extends string>(accepted: string, codings: readonly Coding[]): Coding | undefined {
  const weights = readWeights(accepted)
  let best: Coding | undefined
  let bestWeight = weights.get('identity') ?? 0
  for (const coding of codings) {
    const weight = weights.get(coding) ?? weights.get(`x-${coding}`) ?? weights.get('*') ?? 0
    if (weight > bestWeight || (weight === bestWeight && weight > 0 && best === undefined)) {
      best = coding
      bestWeight = weight
    }
  }
  return best
}

/** By coding in lower case. A coding whose weight is malformed is not asked for. */
function readWeights(accepted: string): ReadonlyMap<string, number> {
  const weights = new Map<string, number>()
  for (const item of accepted.toLowerCase().split(',')) {
    const [name = '', ...parameters] = item.split(';')
    weights.set(name.trim(), readWeight(parameters))
  }
  return weights
}

function readWeight(parameters: readonly string[]): number {
  if (parameters.length === 0) return 1
  const [, digits] = /^\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*$/.exec(parameters.join(';')) ?? []
  return digits === undefined ? 0 : Number(digits)
}
