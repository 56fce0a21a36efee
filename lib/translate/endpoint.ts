/** The endpoints of a Service port: the first source that knows the Service wins. */
import type { EndpointSlice, Endpoints, Pod, Service, ServicePort } from '../kubernetes/resource.ts'
import type { ResourceSet } from '../kubernetes/store.ts'
import type { Endpoint } from '../model/upstream.ts'
import type { Settings } from '../settings-table.ts'
import {
  collectEndpoints,
  collectPodEndpoints,
  collectSliceEndpoints,
  type Place,
  selectsPod,
} from './endpoint-join.ts'
import { findSettingsEndpoints, readAnnotationEndpoints } from './endpoint-override.ts'

/** `gap` says, where there is no endpoint although some source knows the Service, what that source lacks. */
export type FoundEndpoints = Readonly<{ endpoints: readonly Endpoint[]; gap: string | undefined }>

const SKIP_MIRROR = 'endpointslice.kubernetes.io/skip-mirror'

/** Indexes what endpoints come from once, and answers for each Service port. */
export class EndpointFinder {
  readonly #settings: Settings
  readonly #place: Place
  readonly #slices = new Map<string, EndpointSlice[]>()
  readonly #endpoints = new Map<string, Endpoints>()
  readonly #pods = new Map<string, Pod[]>()
  readonly #annotated = new Map<Service, readonly Endpoint[] | undefined>()

  constructor(resources: ResourceSet, settings: Settings) {
    this.#settings = settings
    this.#place = { nodeName: settings.nodeName, zone: settings.zone }
    for (const slice of resources.all('EndpointSlice')) {
      // S29: the label says whose slice it is; its own name says nothing.
      if (slice.serviceName) addTo(this.#slices, `${slice.meta.namespace}/${slice.serviceName}`, slice)
    }
    for (const object of resources.all('Endpoints')) {
      if (object.meta.labels[SKIP_MIRROR] === 'true') continue
      this.#endpoints.set(`${object.meta.namespace}/${object.meta.name}`, object)
    }
    for (const pod of resources.all('Pod')) addTo(this.#pods, pod.meta.namespace, pod)
  }

  /** By hand in the settings or the annotation: what people write stands above what the cluster knew. */
  findOverride(service: Service, port: ServicePort): readonly Endpoint[] | undefined {
    return findSettingsEndpoints(service, port, this.#settings) ?? this.#readAnnotation(service)
  }

  find(service: Service, port: ServicePort): FoundEndpoints {
    const override = this.findOverride(service, port)
    if (override !== undefined) return { endpoints: override, gap: 'the list written for it is empty' }
    const name = `${service.meta.namespace}/${service.meta.name}`
    const slices = this.#slices.get(name)
    if (slices !== undefined) {
      const endpoints = collectSliceEndpoints(slices, service, port, this.#place)
      return { endpoints, gap: `no EndpointSlice of it has an endpoint for ${describePort(port)}` }
    }
    const object = this.#endpoints.get(name)
    if (object !== undefined) {
      const endpoints = collectEndpoints(object, service, port, this.#place)
      return { endpoints, gap: `its Endpoints object has no address for ${describePort(port)}` }
    }
    const pods = (this.#pods.get(service.meta.namespace) ?? []).filter((pod) => selectsPod(service, pod))
    const endpoints = collectPodEndpoints(pods, service, port, this.#place)
    return { endpoints, gap: pods.length === 0 ? undefined : describePods(pods, port) }
  }

  #readAnnotation(service: Service): readonly Endpoint[] | undefined {
    if (!this.#annotated.has(service)) {
      this.#annotated.set(service, readAnnotationEndpoints(service))
    }
    return this.#annotated.get(service)
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

function addTo<T>(index: Map<string, T[]>, key: string, value: T): void {
  const list = index.get(key)
  if (list === undefined) index.set(key, [value])
  else list.push(value)
}
