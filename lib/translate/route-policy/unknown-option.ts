/** Fields of a RoutePolicy's `spec` that are no options of filters. */
import { addOutcome, type DiagnosticList } from '../../base/diagnostics.ts'
import { findNearest } from '../../base/nearest.ts'
import { printResource, type RoutePolicy } from '../../kubernetes/resource.ts'
import { isMapping } from '../../settings/setting.ts'
import { ANNOTATIONS, CLOSED_ROUTES, findLostRestriction, findMeantNames } from '../annotation.ts'
import { findAnnotationName, findOptionName, OPTIONS } from './option.ts'

/** How deep options are looked for below a field that is none. */
const MAX_DEPTH = 3

const FIELDS: readonly string[] = ['targetRefs', ...OPTIONS.keys()]

/**
 * An unknown field, as in `spec.rateLimti`, that seems to guard, or to be a condition, so that the routes of the targets are closed;
 * undefined: there is none.
 */
export function findLostOption({ options }: Pick<RoutePolicy, 'options'>): string | undefined {
  const lost = listUnknownOptions(options).find((option) => isLost(option, options[option]))
  return lost === undefined ? undefined : `spec.${lost}`
}

export function listUnknownOptions(options: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.keys(options).filter((option) => !OPTIONS.has(option))
}

/** Reports the unknown fields. */
export function checkOptions(policy: RoutePolicy, diagnostics: DiagnosticList): void {
  const unknown = listUnknownOptions(policy.options)
  // The check of shapes reports those beside `spec`.
  const written = unknown.length === 0 ? undefined : policy.origin.read(['spec'])
  for (const option of isMapping(written) ? unknown.filter((one) => Object.hasOwn(written, one)) : []) {
    const help = explainUnknownOption(option)
    diagnostics.add('PORTICO_RES_FIELD_UNKNOWN', `unknown field "spec.${option}"`, {
      severity: 'error',
      position: policy.origin.locateKey(['spec', option]),
      resource: printResource(policy),
      help: isLost(option, policy.options[option])
        ? addOutcome(help, `until then ${CLOSED_ROUTES.RoutePolicy} answer 503`)
        : help,
    })
  }
}

/** True if the unknown field seems to restrict, or holds an option that does, as in `filters: {rateLimit: 1/s}`. */
function isLost(option: string, value: unknown, depth: number = MAX_DEPTH): boolean {
  if (findLostRestriction('RoutePolicy', findAnnotationName(findOptionName(option))) !== undefined) return true
  if (depth === 0 || typeof value !== 'object' || value === null) return false
  return Object.entries(value).some(([key, inner]) => isLost(key, inner, depth - 1))
}

/** What to write in place of a field that is no option. */
export function explainUnknownOption(option: string): string {
  const annotation = findAnnotationName(option)
  const kinds = ANNOTATIONS.get(annotation)?.kinds
  const isHyphened = OPTIONS.has(findOptionName(option))
  if (kinds !== undefined && !isHyphened) return `it belongs on ${kinds.join(' or ')}, as the annotation ${annotation}`
  const near = isHyphened ? findOptionName(option) : findNearest(option, FIELDS)
  const meant = near === undefined ? findMeantNames(annotation).map(findOptionName) : [near]
  const known = meant.filter((name) => FIELDS.includes(name))
  if (known.length > 0) return `did you mean ${known.map((name) => `"${name}"`).join(' and ')}?`
  return 'options of filters stand here, as rateLimit (docs/route-policies.md)'
}
