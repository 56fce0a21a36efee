/** Classifies apiVersion and kind: a kind to decode, settings, a kind to ignore, or a mistake. */
import { distance } from 'fastest-levenshtein'
import { findNearest } from '../base/nearest.ts'
import { BUILT_IN_KINDS, TOOL_KINDS } from './built-in.ts'
import { decodeConfigMap } from './config-map.ts'
import { decodeBetaEndpointSlice, decodeEndpointSlice } from './endpoint-slice.ts'
import { decodeEndpoints } from './endpoints.ts'
import { decodeBetaIngress, decodeIngress } from './ingress.ts'
import { decodeIngressClass } from './ingress-class.ts'
import { decodeNamespace } from './namespace.ts'
import { decodePod } from './pod.ts'
import type { FieldReader } from './reader.ts'
import type { ControllerWorkload, Resource } from './resource.ts'
import { decodeRoutePolicy } from './route-policy.ts'
import * as schema from './schema.ts'
import { decodeSecret } from './secret.ts'
import { decodeService } from './service.ts'
import type { ObjectShape } from './shape.ts'
import { findUnserved, type UnservedRole } from './unserved.ts'

export type KindDecoder = Readonly<{
  shape: ObjectShape
  decode: (root: FieldReader) => Resource
  /** The API server's warning about this version. */
  deprecation?: string
}>

export type KindVerdict =
  | Readonly<{ type: 'decode'; decoder: KindDecoder }>
  | Readonly<{ type: 'settings' }>
  | Readonly<{ type: 'ignore' }>
  /** It matters where it runs an ingress controller. */
  | Readonly<{ type: 'workload'; kind: ControllerWorkload['kind'] }>
  | Readonly<{ type: 'unserved'; role: UnservedRole }>
  /** `field` holds the mistake. */
  | Readonly<{
      type: 'unknown'
      field: 'apiVersion' | 'kind'
      help: string | undefined
      severity: 'error' | 'warning'
      /** True if it may be another tool's file. */
      isForeign?: boolean
      /** The decoder of the kind that is meant: the object is read with it, and refused. Undefined: nothing is lost without the object. */
      meant?: KindDecoder | undefined
    }>

/** A RoutePolicy with a wrong kind or version is read as well: without it, what it guards would be open. */
const POLICY: KindDecoder = { shape: schema.ROUTE_POLICY, decode: decodeRoutePolicy }

const DECODERS: Readonly<Record<string, KindDecoder>> = {
  'networking.k8s.io/v1 Ingress': { shape: schema.INGRESS, decode: decodeIngress },
  'networking.k8s.io/v1beta1 Ingress': {
    shape: schema.BETA_INGRESS,
    decode: decodeBetaIngress,
    deprecation: printDeprecation('networking.k8s.io/v1beta1 Ingress', '1.19', '1.22', 'networking.k8s.io/v1 Ingress'),
  },
  'extensions/v1beta1 Ingress': {
    shape: schema.BETA_INGRESS,
    decode: decodeBetaIngress,
    deprecation: printDeprecation('extensions/v1beta1 Ingress', '1.14', '1.22', 'networking.k8s.io/v1 Ingress'),
  },
  'networking.k8s.io/v1 IngressClass': { shape: schema.INGRESS_CLASS, decode: decodeIngressClass },
  'networking.k8s.io/v1beta1 IngressClass': {
    shape: schema.INGRESS_CLASS,
    decode: decodeIngressClass,
    deprecation: printDeprecation(
      'networking.k8s.io/v1beta1 IngressClass',
      '1.19',
      '1.22',
      'networking.k8s.io/v1 IngressClass',
    ),
  },
  'v1 Service': { shape: schema.SERVICE, decode: decodeService },
  'discovery.k8s.io/v1 EndpointSlice': { shape: schema.ENDPOINT_SLICE, decode: decodeEndpointSlice },
  'discovery.k8s.io/v1beta1 EndpointSlice': {
    shape: schema.BETA_ENDPOINT_SLICE,
    decode: decodeBetaEndpointSlice,
    deprecation: printDeprecation(
      'discovery.k8s.io/v1beta1 EndpointSlice',
      '1.21',
      '1.25',
      'discovery.k8s.io/v1 EndpointSlice',
    ),
  },
  'v1 Endpoints': { shape: schema.ENDPOINTS, decode: decodeEndpoints },
  'v1 Pod': { shape: schema.POD, decode: decodePod },
  'v1 Secret': { shape: schema.SECRET, decode: decodeSecret },
  'v1 ConfigMap': { shape: schema.CONFIG_MAP, decode: decodeConfigMap },
  'portico.dev/v1alpha1 RoutePolicy': POLICY,
  'v1 Namespace': { shape: schema.NAMESPACE, decode: decodeNamespace },
}

const WORKLOADS: Readonly<Record<string, ControllerWorkload['kind']>> = {
  'apps/v1 Deployment': 'Deployment',
  'apps/v1 DaemonSet': 'DaemonSet',
}

/** The version to write for each decoded kind. */
const PREFERRED: ReadonlyMap<string, string> = new Map(
  Object.entries(DECODERS)
    .filter(([, decoder]) => !decoder.deprecation)
    .map(([name]) => name.split(' ') as [string, string])
    .map(([apiVersion, kind]) => [kind, apiVersion]),
)

const OWN_GROUP = 'portico.dev'
/** The apiVersion of Portico's own kinds. */
export const OWN_VERSION = 'portico.dev/v1alpha1'
const SETTINGS_KIND = 'GatewayConfiguration'
const POLICY_KIND = 'RoutePolicy'
/** Of `portico test`. */
const TEST_KIND = 'RouteTest'
const OWN_KINDS = [SETTINGS_KIND, POLICY_KIND, TEST_KIND]

/** Groups whose kinds are settled; the others may gain kinds with each release of Kubernetes. */
const SETTLED_GROUPS: ReadonlySet<string> = new Set(['', 'apps', 'batch', 'extensions', 'policy', 'autoscaling'])

export function judgeKind(apiVersion: string, kind: string): KindVerdict {
  const name = `${apiVersion} ${kind}`
  if (Object.hasOwn(DECODERS, name)) return { type: 'decode', decoder: DECODERS[name] as KindDecoder }
  if (Object.hasOwn(WORKLOADS, name)) return { type: 'workload', kind: WORKLOADS[name]! }
  if (TOOL_KINDS.has(name)) return { type: 'ignore' }
  const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : ''
  const isOwn = group === OWN_GROUP || group.endsWith(`.${OWN_GROUP}`)
  if (isOwn || kind === SETTINGS_KIND) return judgeOwn(apiVersion, kind)
  const role = findUnserved(group, kind)
  if (role !== undefined) return { type: 'unserved', role }
  const preferred = PREFERRED.get(kind)
  const meant = kind === POLICY_KIND ? POLICY : undefined
  const kinds = BUILT_IN_KINDS.get(group)
  if (kinds) {
    // A decoded kind comes here only with a wrong group or version.
    if (preferred) return { ...unknown('apiVersion', `write apiVersion: ${preferred}`, 'error'), meant }
    if (kinds.has(kind)) return { type: 'ignore' }
    if (group === '' && !/^v\d/.test(apiVersion)) return foreign()
    const home = findHome(kind)
    if (home !== undefined) return unknown('apiVersion', printHome(kind, home))
    const near = findNearKind(kind)
    if (near === undefined && !SETTLED_GROUPS.has(group)) return { type: 'ignore' }
    return unknown('kind', near && suggest(near), PREFERRED.has(near ?? '') ? 'error' : 'warning')
  }
  if (preferred && distance(apiVersion.toLowerCase(), preferred) <= 2) {
    return { ...unknown('apiVersion', `did you mean "${preferred}"?`, 'error'), meant }
  }
  // The group of a custom resource is a domain.
  if (group.includes('.')) return { type: 'ignore' }
  if (preferred) return { ...unknown('apiVersion', `write apiVersion: ${preferred}`, 'error'), meant }
  const home = findHome(kind)
  if (home !== undefined) return unknown('apiVersion', printHome(kind, home))
  const near = findNearKind(kind)
  return near ? unknown('apiVersion', suggest(near)) : foreign()
}

function judgeOwn(apiVersion: string, kind: string): KindVerdict {
  if (apiVersion === OWN_VERSION && kind === TEST_KIND) return { type: 'ignore' }
  if (apiVersion === OWN_VERSION && kind === SETTINGS_KIND) return { type: 'settings' }
  const nearest = OWN_KINDS.includes(kind) ? kind : findNearest(kind, OWN_KINDS)
  const meant = nearest === POLICY_KIND || nearest === undefined ? POLICY : undefined
  if (nearest === kind) return { ...unknown('apiVersion', `write apiVersion: ${OWN_VERSION}`, 'error'), meant }
  const help = nearest === undefined ? `the kinds are ${OWN_KINDS.join(', ')}` : `did you mean "${nearest}"?`
  return { ...unknown('kind', help, 'error'), meant }
}

/** A mistake; an error if the right spelling would be decoded, since its object would be served. */
function unknown(
  field: 'apiVersion' | 'kind',
  help: string | undefined,
  severity: 'error' | 'warning' = 'warning',
): Extract<KindVerdict, { type: 'unknown' }> {
  return { type: 'unknown', field, help, severity }
}

function foreign(): KindVerdict {
  return { type: 'unknown', field: 'apiVersion', help: undefined, severity: 'warning', isForeign: true }
}

/** The API group that has a kind of exactly this name; among several the one in use. */
function findHome(kind: string): string | undefined {
  const groups = [...BUILT_IN_KINDS].filter(([, kinds]) => kinds.has(kind)).map(([group]) => group)
  return groups.find((group) => group !== 'extensions') ?? groups[0]
}

/** A kind that differs by case or by two letters at most; decoded kinds come first. */
function findNearKind(kind: string): string | undefined {
  const lower = kind.toLowerCase()
  let nearest: string | undefined
  let least = Math.min(2, Math.floor(kind.length / 3)) + 1
  for (const candidate of [...PREFERRED.keys(), ...[...BUILT_IN_KINDS.values()].flatMap((kinds) => [...kinds])]) {
    const steps = distance(lower, candidate.toLowerCase())
    if (steps < least) {
      least = steps
      nearest = candidate
    }
  }
  return nearest
}

function suggest(kind: string): string {
  const preferred = PREFERRED.get(kind)
  return preferred ? `did you mean "${kind}" (apiVersion: ${preferred})?` : `did you mean "${kind}"?`
}

function printHome(kind: string, group: string): string {
  return group === '' ? `write apiVersion: v1` : `${kind} belongs to the API group "${group}"`
}

function printDeprecation(what: string, since: string, until: string, instead: string): string {
  return `${what} is deprecated in v${since}+, unavailable in v${until}+; use ${instead}`
}
