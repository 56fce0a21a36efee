/** The endpoints of a Service port: the first source that knows the Service wins. */
import type { EndpointSlice, Endpoints, Pod, Service, ServicePort } from '../../kubernetes/resource.ts'
import type { ResourceSet } from '../../kubernetes/store.ts'
import type { Endpoint } from '../../model/upstream.ts'
import { isSameList, Memo } from '../reuse.ts'
import type { TranslationSettings } from '../settings.ts'
import {
  collectEndpoints,
  collectPodEndpoints,
  collectSliceEndpoints,
  type Place,
  selectsPod,
} from './endpoint-join.ts'
import { findSettingsEndpoints, readAnnotationEndpoints } from './endpoint-override.ts'
import { isProbedByCommand } from './probe.ts'

export type FoundEndpoints = Readonly<{
  endpoints: readonly Endpoint[]
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
  /** By the list of a namespace, then by name. */
  readonly #podsByName = new WeakMap<readonly Pod[], ReadonlyMap<string, Pod>>()

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
  findSources({ meta }: Service): readonly unknown[] {
    const { slices, endpoints, pods } = this.#sources
    if (slices.size === 0 && endpoints.size === 0 && pods.size === 0) return this.#onlySettings
    const name = `${meta.namespace}/${meta.name}`
    return [this.#settings, slices.get(name), endpoints.get(name), pods.get(meta.namespace)]
  }

  /** By hand in the settings or the annotation: what people write stands above what the cluster knew. */
  findOverride(service: Service, port: ServicePort): readonly Endpoint[] | undefined {
    return findSettingsEndpoints(service, port, this.#settings) ?? readAnnotationEndpoints(service)
  }

  find(service: Service, port: ServicePort): FoundEndpoints {
    const override = this.findOverride(service, port)
    if (override !== undefined) return { endpoints: override, gap: 'the list written for it is empty' }
    const name = `${service.meta.namespace}/${service.meta.name}`
    const slices = this.#sources.slices.get(name)
    if (slices !== undefined) {
      const endpoints = collectSliceEndpoints(slices, service, port, this.#place, this.#listPods(service))
      return { endpoints, gap: `no EndpointSlice of it has an endpoint for ${describePort(port)}` }
    }
    const object = this.#sources.endpoints.get(name)
    if (object !== undefined) {
      const endpoints = collectEndpoints(object, service, port, this.#place)
      return { endpoints, gap: `its Endpoints object has no address for ${describePort(port)}` }
    }
    const pods = (this.#sources.pods.get(service.meta.namespace) ?? []).filter((pod) => selectsPod(service, pod))
    const endpoints = collectPodEndpoints(pods, service, port, this.#place)
    const commandProbed = service.publishNotReadyAddresses ? undefined : pods.find(isProbedByCommand)
    return { endpoints, gap: pods.length === 0 ? undefined : describePods(pods, port), commandProbed }
  }

  /** Those of its namespace. */
  #listPods({ meta }: Service): ReadonlyMap<string, Pod> {
    const pods = this.#sources.pods.get(meta.namespace) ?? NO_PODS
    let named = this.#podsByName.get(pods)
    if (!named) {
      named = new Map(pods.map((pod) => [pod.meta.name, pod]))
      this.#podsByName.set(pods, named)
    }
    return named
  }

  #index<T>(name: keyof Sources, objects: unknown, make: () => ReadonlyMap<string, T>): ReadonlyMap<string, T> {
    return this.#indexes.get(name, [objects], make) as ReadonlyMap<string, T>
  }
}

function describePort(port: ServicePort): string {
  return port.name === '' ? 'an unnamed port' : `port "${port.name}"`
}

function describePods(pods: readonly Pod[], port: ServicePort): string {
  const addressed = pods.filter((pod) => pod.podIPs.length > 0).length
  if (addressed === 0) return `no Pod it selects (${pods.length}) has a podIP in its status`
  return `no Pod it selects (${pods.length}) has a container port named "${port.targetPort}"`
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
