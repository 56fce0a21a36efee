/**
 * The policy that a Service sets for itself: `services` of the settings goes before its annotations, and these before its spec.
 * The annotations of an Ingress go before all of these, for its own routes.
 */
import { findAuthorityFault } from '../../base/authority-file.ts'
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { findNearest } from '../../base/nearest.ts'
import { type Ingress, printResource, type Service } from '../../kubernetes/resource.ts'
import type { ResourceSet } from '../../kubernetes/store.ts'
import { type PolicyOverrides, SERVICE_SETTINGS_BY_ANNOTATION, type ServiceSetting } from '../../settings/service.ts'
import type { Read, ValueProblem } from '../../settings/setting.ts'
import type { TranslationSettings } from '../settings.ts'

/** Undefined where the Service sets nothing. Annotations that cannot be used are left out. */
export function readPolicy(service: Service, settings: TranslationSettings): PolicyOverrides | undefined {
  const found: Record<string, unknown> = {}
  if (service.sessionAffinity !== undefined) {
    found['affinity.type'] = 'client-ip'
    found['affinity.timeout'] = service.sessionAffinity.timeoutSeconds * 1000
  }
  for (const { setting, read } of readAnnotations(service)) if ('value' in read) found[setting.name] = read.value
  Object.assign(found, settings.services[`${service.meta.namespace}/${service.meta.name}`])
  return Object.keys(found).length === 0 ? undefined : Object.freeze(found)
}

/** An Ingress does not change, and its routes are many. */
const routePolicies = new WeakMap<Ingress, { readonly policy: PolicyOverrides | undefined }>()

/** The policy that an Ingress sets for its routes; undefined where it sets nothing. */
export function readRoutePolicy(ingress: Ingress): PolicyOverrides | undefined {
  let known = routePolicies.get(ingress)
  if (!known) {
    const found: Record<string, unknown> = {}
    for (const { setting, read } of readAnnotations(ingress)) {
      if (setting.route && 'value' in read) found[setting.name] = read.value
    }
    known = { policy: Object.keys(found).length === 0 ? undefined : Object.freeze(found) }
    routePolicies.set(ingress, known)
  }
  return known.policy
}

/** Reports the annotations that cannot be used. */
export function checkPolicy(resource: Service | Ingress, diagnostics: DiagnosticList): void {
  for (const { setting, read } of readAnnotations(resource)) {
    // annotation.ts reports the annotations that belong on Services alone.
    if (resource.kind === 'Ingress' && !setting.route) continue
    for (const { message, help } of findProblems(setting, read)) {
      diagnostics.add('PORTICO_ANN_VALUE', `${setting.annotation}: ${message}`, {
        position: resource.origin.locate(['metadata', 'annotations', setting.annotation]),
        resource: printResource(resource),
        help,
      })
    }
  }
}

function findProblems({ name }: ServiceSetting, read: Read): readonly Pick<ValueProblem, 'message' | 'help'>[] {
  if (!('value' in read)) return read.problems
  const fault = name === 'caFile' ? findAuthorityFault(String(read.value)) : undefined
  if (fault === undefined) return []
  const help =
    'name a PEM file of certificates that this user may read; until then the authorities of the system are trusted'
  return [{ message: fault, help }]
}

/** Reports Services that the settings name and no manifest has. The form of the values is checked when settings are read. */
export function checkServiceSettings(
  resources: ResourceSet,
  settings: TranslationSettings,
  diagnostics: DiagnosticList,
): void {
  for (const key of Object.keys(settings.services)) {
    const [namespace = '', name = ''] = key.split('/')
    if (resources.get('Service', namespace, name) || resources.getRefused('Service', namespace, name)) continue
    const known = resources.all('Service').map(({ meta }) => `${meta.namespace}/${meta.name}`)
    const nearest = findNearest(key, known)
    const message = `services in the settings: service "${name}" not found in namespace "${namespace}"`
    diagnostics.add('PORTICO_REF_SERVICE_NOT_FOUND', message, {
      help: nearest ? `did you mean "${nearest}"?` : 'settings of Services are for those that a manifest defines',
    })
  }
}

type ReadAnnotation = Readonly<{ setting: ServiceSetting; read: Read }>

function* readAnnotations({ meta }: Service | Ingress): Generator<ReadAnnotation> {
  for (const [name, value] of Object.entries(meta.annotations)) {
    const setting = SERVICE_SETTINGS_BY_ANNOTATION.get(name)
    if (setting) yield { setting, read: setting.read(value.trim(), 'text', name) }
  }
}
