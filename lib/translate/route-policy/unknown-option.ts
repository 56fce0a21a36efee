/** Fields of a RoutePolicy's `spec`, and of `routes` in the settings, that are no options. */
import { addOutcome, type DiagnosticList } from '../../base/diagnostics.ts'
import { findNearest } from '../../base/nearest.ts'
import { printResource, type RoutePolicy } from '../../kubernetes/resource.ts'
import { isMapping } from '../../settings/setting.ts'
import {
  ANNOTATIONS,
  CLOSED_ROUTES,
  explainSettingOfAll,
  findLostRestriction,
  findMeantNames,
  type Restriction,
  veilLost,
} from '../annotation.ts'
import { findAnnotationName, findOptionName, listOptions } from './option.ts'

/** How deep options are looked for below a field that is none. */
const MAX_DEPTH = 3
/** The gravest first. */
const RESTRICTIONS: readonly Restriction[] = ['guard', 'clients', 'condition']

/** A RoutePolicy, or the settings of all routes. */
type OptionOwner = Readonly<{ kind: 'RoutePolicy' | 'Setting'; options: Readonly<Record<string, unknown>> }>

/** Unknown fields, as `spec.rateLimti`, each with how it seems to restrict routes. */
export function listLostOptions(owner: OptionOwner): readonly (readonly [Restriction | undefined, label: string])[] {
  return listUnknownOptions(owner).map((option) => [findLost(option, owner.options[option]), `spec.${option}`] as const)
}

export function listUnknownOptions({ kind, options }: OptionOwner): readonly string[] {
  const known = listOptions(kind)
  return Object.keys(options).filter((option) => !known.has(option))
}

/** Reports the unknown fields. */
export function checkOptions(policy: RoutePolicy, diagnostics: DiagnosticList): void {
  const unknown = listUnknownOptions(policy)
  // The check of shapes reports those beside `spec`.
  const written = unknown.length === 0 ? undefined : policy.origin.read(['spec'])
  for (const option of isMapping(written) ? unknown.filter((one) => Object.hasOwn(written, one)) : []) {
    const help = explainUnknownOption(policy.kind, option)
    diagnostics.add('PORTICO_RES_FIELD_UNKNOWN', `unknown field "spec.${option}"`, {
      severity: 'error',
      position: veilLost(policy.origin.locateKey(['spec', option]), findAnnotationName(option)),
      resource: printResource(policy),
      help: findLost(option, policy.options[option])
        ? addOutcome(help, `until then ${CLOSED_ROUTES.RoutePolicy} answer 503`)
        : help,
    })
  }
}

/** How the unknown field seems to restrict, or an option that it holds, as in `filters: {rateLimit: 1/s}`; undefined: it does not. */
function findLost(option: string, value: unknown, depth: number = MAX_DEPTH): Restriction | undefined {
  const own = findLostRestriction('RoutePolicy', findAnnotationName(findOptionName(option)))
  if (own !== undefined || depth === 0 || typeof value !== 'object' || value === null) return own
  const inner = Object.entries(value).map(([key, each]) => findLost(key, each, depth - 1))
  return RESTRICTIONS.find((one) => inner.includes(one))
}

/** What to write in place of a field that is no option. */
export function explainUnknownOption(owner: OptionOwner['kind'], option: string): string {
  const options = listOptions(owner)
  const annotation = findAnnotationName(option)
  const kinds = ANNOTATIONS.get(annotation)?.kinds
  const isHyphened = options.has(findOptionName(option))
  if (kinds !== undefined && !isHyphened) return `it belongs on ${kinds.join(' or ')}, as the annotation ${annotation}`
  const near = isHyphened
    ? findOptionName(option)
    : findNearest(option, [...(owner === 'Setting' ? [] : ['targetRefs']), ...options.keys()])
  const meant = near === undefined ? findMeantNames(annotation).map(findOptionName) : [near]
  const known = meant.filter((name) => name === 'targetRefs' || options.has(name))
  if (known.length > 0) return `did you mean ${known.map((name) => `"${name}"`).join(' and ')}?`
  return explainSettingOfAll(annotation) ?? 'options of filters stand here, as rateLimit (docs/route-policies.md)'
}
