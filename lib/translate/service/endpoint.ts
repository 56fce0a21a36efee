/** The endpoints of a Service port: the first source that knows the Service wins. */
import type { EndpointSlice, Endpoints, Pod, Service, ServicePort } from '../../kubernetes/resource.ts'
import type { ResourceSet } from '../../kubernetes/store.ts'
import { listTiers } from '../../model/tier.ts'
import type { Endpoint } from '../../model/upstream.ts'
import { isSameList, Memo } from '../reuse.ts'
import type { TranslationSettings } from '../settings.ts'
import {
  collectEndpoints,
  collectPodEndpoints,
  collectSliceEndpoints,
  type EndpointPolicy,
  type Place,
} from './endpoint-join.ts'
import { findSettingsEndpoints, readAnnotationEndpoints } from './endpoint-override.ts'
import { PodIndex } from './pod-index.ts'
import { isProbedByCommand } from './probe.ts'

export type FoundEndpoints = Readonly<{
  /** Frozen, with its endpoints; it may be the list of another Service as well. */
  endpoints: readonly Endpoint[]
  /** True if no endpoint of them can be used. */
  isEmpty: boolean
  /** Where there is no endpoint although some source knows the Service, what that source lacks. */
  gap: string | undefined
  /** A Pod among them whose readiness only a command inside it tells. */
  commandProbed?: Pod | undefined
}>

const NO_PODS: readonly Pod[] = Object.freeze([])
const SKIP_MIRROR = 'endpointslice.kubernetes.io/skip-mirror'

type Sources = Readonly<{
  slices: ReadonlyMap<string, readonly EndpointSlice[]>
  endpoints: ReadonlyMap<string, Endpoints>
  pods: ReadonlyMap<string, readonly Pod[]>
}>

/** Indexes what endpoints come from, and answers for each Service port. */
export class EndpointFinder {
  readonly #indexes = new Memo<'slices' | 'endpoints' | 'pods', ReadonlyMap<string, unknown>>()
  #settings!: TranslationSettings
  #onlySettings: readonly unknown[] = []
  #place!: Place
  #sources!: Sources
  /** By namespace. */
  readonly #podIndexes = new Memo<string, PodIndex>()
  /** By the Pods that are selected, then by all else that their endpoints depend on. */
  readonly #ofPods = new WeakMap<readonly Pod[], Map<string, FoundEndpoints>>()

  /** Answers from these from now on. */
  begin(resources: ResourceSet, settings: TranslationSettings): void {
    this.#settings = settings
    this.#onlySettings = [settings, undefined, undefined, undefined]
    this.#place = { nodeName: settings.nodeName, zone: settings.zone }
    const slices = resources.all('EndpointSlice')
    const objects = resources.all('Endpoints')
    const pods = resources.all('Pod')
    const before = this.#sources
    this.#sources = {
      // S29: the label says whose slice it is; its own name says nothing.
      slices: this.#index('slices', slices, () =>
        groupBy(
          slices.filter(({ serviceName }) => serviceName),
          ({ meta, serviceName }) => `${meta.namespace}/${serviceName}`,
          before?.slices,
        ),
      ),
      endpoints: this.#index('endpoints', objects, () => {
        const mirrored = objects.filter(({ meta }) => meta.labels[SKIP_MIRROR] !== 'true')
        return new Map(mirrored.map((object) => [`${object.meta.namespace}/${object.meta.name}`, object]))
      }),
      pods: this.#index('pods', pods, () => groupBy(pods, ({ meta }) => meta.namespace, before?.pods)),
    }
  }

  /** All that endpoints depend on beside their Services. */
  get sources(): readonly unknown[] {
    const { slices, endpoints, pods } = this.#sources
    return [this.#settings, slices, endpoints, pods]
  }

  /** All that the endpoints of a Service depend on beside the Service itself. */
  findSources(service: Service): readonly unknown[] {
    const { meta } = service
    const { slices, endpoints, pods } = this.#sources
    if (slices.size === 0 && endpoints.size === 0 && pods.size === 0) return this.#onlySettings
    const name = `${meta.namespace}/${meta.name}`
    const own = slices.get(name)
    const object = own === undefined ? endpoints.get(name) : undefined
    const index = this.#indexPods(service)
    return [this.#settings, own, object, own ? index.listTargets(own) : object ? undefined : index.select(service)]
  }

  /** To be called where the sources of all Services were asked for. */
  sweep(): void {
    this.#podIndexes.sweep()
  }

  /** By hand in the settings or the annotation: what people write stands above what the cluster knew. */
  findOverride(service: Service, port: ServicePort): readonly Endpoint[] | undefined {
    return findSettingsEndpoints(service, port, this.#settings) ?? readAnnotationEndpoints(service)
  }

  find(service: Service, port: ServicePort): FoundEndpoints {
    const override = this.findOverride(service, port)
    if (override !== undefined) return createFound(override, 'the list written for it is empty')
    const name = `${service.meta.namespace}/${service.meta.name}`
    const slices = this.#sources.slices.get(name)
    if (slices !== undefined) {
      const { byName } = this.#indexPods(service)
      const endpoints = collectSliceEndpoints(slices, service, port, this.#place, byName)
      return createFound(endpoints, `no EndpointSlice of it has an endpoint for ${describePort(port)}`)
    }
    const object = this.#sources.endpoints.get(name)
    if (object !== undefined) {
      const endpoints = collectEndpoints(object, service, port, this.#place)
      return createFound(endpoints, `its Endpoints object has no address for ${describePort(port)}`)
    }
    return this.#findOfPods(service, port)
  }

  /** Services that select the same Pods, and take them alike, share their endpoints: n Services of n Pods are no n² of them. */
  #findOfPods(service: Service, { protocol, targetPort }: ServicePort): FoundEndpoints {
    const index = this.#indexPods(service)
    const pods = index.select(service)
    const policy = pickPolicy(service)
    const subdomain = index.hasSubdomain(service.meta.name) ? service.meta.name : undefined
    const key = JSON.stringify([protocol, targetPort, this.#place, policy, subdomain])
    const ofPods = this.#ofPods.get(pods) ?? new Map<string, FoundEndpoints>()
    this.#ofPods.set(pods, ofPods)
    let found = ofPods.get(key)
    if (!found) {
      found = createFound(
        collectPodEndpoints(pods, policy, { protocol, targetPort }, this.#place, subdomain),
        pods.length === 0 ? undefined : describePods(pods, targetPort),
        policy.publishNotReadyAddresses ? undefined : pods.find(isProbedByCommand),
      )
      ofPods.set(key, found)
    }
    return found
  }

  /** The Pods of its namespace. */
  #indexPods({ meta: { namespace } }: Service): PodIndex {
    const pods = this.#sources.pods.get(namespace) ?? NO_PODS
    return this.#podIndexes.get(namespace, [pods], (before) => new PodIndex(pods, before))
  }

  #index<T>(name: keyof Sources, objects: unknown, make: () => ReadonlyMap<string, T>): ReadonlyMap<string, T> {
    return this.#indexes.get(name, [objects], make) as ReadonlyMap<string, T>
  }
}

export function createFound(endpoints: readonly Endpoint[], gap?: string, commandProbed?: Pod): FoundEndpoints {
  const isEmpty = listTiers({ endpoints }).length === 0
  return { endpoints: Object.freeze(endpoints.map((endpoint) => Object.freeze(endpoint))), isEmpty, gap, commandProbed }
}

function pickPolicy({
  publishNotReadyAddresses,
  internalTrafficPolicy,
  trafficDistribution,
  ipFamilies,
  ipFamilyPolicy,
}: Service): EndpointPolicy {
  return { publishNotReadyAddresses, internalTrafficPolicy, trafficDistribution, ipFamilies, ipFamilyPolicy }
}

function describePort(port: ServicePort): string {
  return port.name === '' ? 'an unnamed port' : `port "${port.name}"`
}

function describePods(pods: readonly Pod[], targetPort: string | number): string {
  const addressed = pods.filter((pod) => pod.podIPs.length > 0).length
  if (addressed === 0) return `no Pod it selects (${pods.length}) has a podIP in its status`
  return `no Pod it selects (${pods.length}) has a container port named "${targetPort}"`
}

/** A group with the same members as `before` is the one from before. */
function groupBy<T>(
  items: readonly T[],
  keyOf: (item: T) => string,
  before: ReadonlyMap<string, readonly T[]> | undefined,
): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, readonly T[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key) as T[] | undefined
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  for (const [key, group] of groups) {
    const known = before?.get(key)
    if (known !== undefined && isSameList(known, group)) groups.set(key, known)
  }
  return groups
}
