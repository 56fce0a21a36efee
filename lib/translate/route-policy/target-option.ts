/** Options of a RoutePolicy that mean nothing on one of its targets: conditions on a Service, the balancer of an Ingress. */
import { addOutcome, type DiagnosticList } from '../../base/diagnostics.ts'
import { type PolicyTarget, printResource, type RoutePolicy } from '../../kubernetes/resource.ts'
import { ANNOTATION_DOMAIN } from '../../settings/service.ts'
import { ANNOTATIONS, CLOSED_ROUTES } from '../annotation.ts'
import { readMentions } from '../ingress/filters.ts'
import { isCondition } from '../ingress/match-annotation.ts'
import { type FilterMentions, locateValue, NO_MENTIONS } from '../ingress/mention.ts'

const picked = new WeakMap<FilterMentions, Map<PolicyTarget['kind'], FilterMentions>>()

/** What means something on a target; the same object for the same mentions. */
export function pickFor(mentions: FilterMentions, kind: PolicyTarget['kind']): FilterMentions {
  const known = picked.get(mentions) ?? new Map()
  picked.set(mentions, known)
  let found: FilterMentions | undefined = known.get(kind)
  if (found === undefined) {
    const meant = [...mentions].filter(([name]) => !isIdle(name, kind))
    found = meant.length === mentions.size ? mentions : meant.length === 0 ? NO_MENTIONS : new Map(meant)
    known.set(kind, found)
  }
  return found
}

/** Reports options with a target on which they mean nothing, each with the first such target. */
export function checkTargets(policy: RoutePolicy, diagnostics: DiagnosticList): void {
  for (const [name, mention] of readMentions(policy)) {
    const target = policy.targets.find(({ kind, isGuess }) => !isGuess && isIdle(name, kind))
    if (target === undefined) continue
    const isUsed = policy.targets.some(({ kind }) => !isIdle(name, kind))
    const help = isUsed
      ? `it acts on ${target.kind === 'Ingress' ? 'Service' : 'Ingress'} alone: write a policy for each kind`
      : `it acts on ${target.kind === 'Ingress' ? 'Service' : 'Ingress'} alone: name one in targetRefs, or leave it out`
    diagnostics.add('PORTICO_RES_FIELD_VALUE', `${mention.label}: it means nothing for ${target.kind} ${target.name}`, {
      severity: isCondition(name) ? 'error' : 'warning',
      position: locateValue(mention),
      resource: printResource(policy),
      help: isCondition(name) ? addOutcome(help, `until then ${CLOSED_ROUTES.Service} answer 503`) : help,
      notes: [{ message: 'the target is here', position: policy.origin.locate(['spec', 'targetRefs', target.index]) }],
    })
  }
}

function isIdle(name: string, kind: PolicyTarget['kind']): boolean {
  const kinds = ANNOTATIONS.get(ANNOTATION_DOMAIN + name)?.kinds
  // The name of a filter is not always that of an annotation: filters act on both.
  return kinds !== undefined && !kinds.includes(kind)
}
