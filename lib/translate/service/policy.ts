/**
 * The policy that a Service sets for itself: `services` of the settings goes before its annotations, these before its RoutePolicies, these
 * before what Ingresses say of its port (ingress-option.ts), and this before its spec. What an Ingress and the RoutePolicies of it set goes before all of these, for its own routes.
 */
import { findAuthorityFault } from '../../base/authority-file.ts'
import { addOutcome, type DiagnosticList } from '../../base/diagnostics.ts'
import { splitName } from '../../base/resource-name.ts'
import { type Ingress, printResource, type RoutePolicy, type Service } from '../../kubernetes/resource.ts'
import type { ResourceSet } from '../../kubernetes/store.ts'
import { resolveValue } from '../../settings/policy.ts'
import {
  ANNOTATION_DOMAIN,
  type PolicyOverrides,
  SERVICE_SETTINGS_BY_ANNOTATION,
  type ServiceSetting,
} from '../../settings/service.ts'
import type { Read, ValueProblem } from '../../settings/setting.ts'
import type { Settings } from '../../settings/table.ts'
import { readMentions } from '../ingress/filters.ts'
import type { FilterMention, FilterMentions } from '../ingress/mention.ts'
import { readRouteOption } from '../ingress/route-option.ts'
import { readServiceOptions } from '../ingress/service-option.ts'
import { findOptionName } from '../route-policy/option.ts'
import type { TranslationSettings } from '../settings.ts'
import { findNearestObject } from '../suggestion.ts'

/**
 * Undefined where the Service sets nothing. What cannot be used is left out. `policies` is what its RoutePolicies set, `ingresses` what
 * Ingresses say of one port.
 */
export function readPolicy(
  service: Service,
  policies: PolicyOverrides | undefined,
  ingresses: FilterMentions,
  settings: TranslationSettings,
): PolicyOverrides | undefined {
  const found: Record<string, unknown> = {}
  if (service.sessionAffinity !== undefined) {
    found['affinity.type'] = 'client-ip'
    found['affinity.timeout'] = service.sessionAffinity.timeoutSeconds * 1000
  }
  Object.assign(found, readOverrides(ingresses), policies, readOverrides(readMentions(service)))
  Object.assign(found, settings.services[`${service.meta.namespace}/${service.meta.name}`])
  return Object.keys(found).length === 0 ? undefined : Object.freeze(found)
}

/** Routes share them. */
const known = new WeakMap<FilterMentions, { readonly overrides: PolicyOverrides | undefined }>()

/** The settings among what is said; undefined where there is none. The same object for the same mentions. */
export function readOverrides(said: FilterMentions): PolicyOverrides | undefined {
  if (said.size === 0) return undefined
  let found = known.get(said)
  if (found === undefined) {
    const values: Record<string, unknown> = {}
    for (const { setting, read } of readSettings(said)) if ('value' in read) values[setting.name] = read.value
    found = { overrides: Object.keys(values).length === 0 ? undefined : Object.freeze(values) }
    known.set(said, found)
  }
  return found.overrides
}

/** Reports the settings that cannot be used. */
export function checkPolicy(resource: Service | Ingress | RoutePolicy, diagnostics: DiagnosticList): void {
  const code = resource.kind === 'RoutePolicy' ? 'PORTICO_RES_FIELD_VALUE' : 'PORTICO_ANN_VALUE'
  const said = [readMentions(resource), ...(resource.kind === 'Ingress' ? [readServiceOptions(resource)] : [])]
  for (const { setting, read, mention } of said.flatMap((one) => [...readSettings(one)])) {
    for (const { message, help } of findProblems(setting, read)) {
      diagnostics.add(code, `${mention.label}: ${message}`, {
        severity: 'error',
        position: resource.origin.locate(mention.field),
        resource: printResource(resource),
        help,
      })
    }
  }
}

/** The settings on which others of a Service depend, by their dotted names. */
export function pickNeeded({ balancer, affinity }: Settings['upstream']): PolicyOverrides {
  return { balancer, 'affinity.type': affinity.type }
}

/**
 * Reports settings that do nothing for a Service, since another setting of it has a value with which they have no meaning. `layers` are
 * what it and its policies say, `policy` is what that and the settings come to for it, and `defaults` what holds without.
 */
export function reportIdleSettings(
  service: Service,
  layers: readonly FilterMentions[],
  policy: PolicyOverrides | undefined,
  defaults: PolicyOverrides,
  diagnostics: DiagnosticList,
): void {
  if (layers.every(({ size }) => size === 0)) return
  for (const { setting, read, mention } of layers.flatMap((said) => [...readSettings(said)])) {
    const { needs } = setting
    if (needs === undefined || !('value' in read)) continue
    const value = resolveValue(defaults[needs.name], policy, needs.name)
    if (value === needs.value) continue
    const { owner, label, field } = mention
    const isOption = owner.kind === 'RoutePolicy'
    const annotation = ANNOTATION_DOMAIN + needs.name.replace('.', '-')
    const other = isOption ? `spec.${findOptionName(annotation.slice(ANNOTATION_DOMAIN.length))}` : annotation
    const message = `${label}: it does nothing for ${printResource(service)}, whose ${needs.name} is ${value}`
    diagnostics.add(isOption ? 'PORTICO_RES_FIELD_VALUE' : 'PORTICO_ANN_VALUE', message, {
      severity: 'warning',
      position: owner.origin.locate(field),
      ...(owner.kind !== 'Setting' && { resource: printResource(owner) }),
      help: `add ${other}: ${needs.value}, or leave it out`,
    })
  }
}

function findProblems({ name }: ServiceSetting, read: Read): readonly Pick<ValueProblem, 'message' | 'help'>[] {
  if (!('value' in read)) return read.problems.map(explainOutcome)
  const fault = name === 'caFile' ? findAuthorityFault(String(read.value)) : undefined
  if (fault === undefined) return []
  const help =
    'name a PEM file of certificates that this user may read; until then the authorities of the system are trusted'
  return [{ message: fault, help }]
}

function explainOutcome({ message, help }: ValueProblem): Pick<ValueProblem, 'message' | 'help'> {
  return { message, help: addOutcome(help, 'until then it counts as not written') }
}

/** Reports Services that the settings name and no manifest has. The form of the values is checked when settings are read. */
export function checkServiceSettings(
  resources: ResourceSet,
  settings: TranslationSettings,
  diagnostics: DiagnosticList,
): void {
  for (const key of Object.keys(settings.services)) {
    const { namespace, name } = splitName(key)
    if (resources.get('Service', namespace, name) || resources.getRefused('Service', namespace, name)) continue
    const nearest = findNearestObject(key, resources.all('Service'))
    const message = `services in the settings: service "${name}" not found in namespace "${namespace}"`
    diagnostics.add('PORTICO_REF_SERVICE_NOT_FOUND', message, {
      help: nearest ? `did you mean "${nearest}"?` : 'settings of Services are for those that a manifest defines',
    })
  }
}

type ReadSetting = Readonly<{ setting: ServiceSetting; read: Read; mention: FilterMention }>

function* readSettings(said: FilterMentions): Generator<ReadSetting> {
  for (const [name, mention] of said) {
    const setting = SERVICE_SETTINGS_BY_ANNOTATION.get(ANNOTATION_DOMAIN + name)
    const value = setting && readRouteOption(said, name)
    if (setting === undefined || value === undefined) continue
    const read =
      typeof value === 'string' ? setting.read(value, 'text', mention.label) : { problems: [{ ...value, at: [] }] }
    yield { setting, read, mention }
  }
}
