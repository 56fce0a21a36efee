/**
 * What a person ordered while the gateway runs: endpoints that are to get no new requests, and routes in maintenance. Put into what is
 * served like anything that is observed; outlives reloads, but no restart.
 */
import { printEndpointAddress } from '../base/endpoint-address.ts'
import { printName } from '../base/resource-name.ts'
import { type EndpointKey, findEndpointKey } from '../model/endpoint-key.ts'
import type { FilterConfig } from '../model/filter.ts'
import type { Model } from '../model/model.ts'
import type { Route, VirtualHost } from '../model/route.ts'
import type { RouteTable } from '../model/route-table.ts'
import { dropScope, type Endpoint, type Upstream, type UpstreamKey } from '../model/upstream.ts'
import type { UpstreamObserver, Upstreams } from './observation.ts'

/** Most orders of each kind. */
const MOST = 1_000

export type OrdersOptions = Readonly<{
  /** The filters of a route that is in maintenance. */
  maintain: (filters: readonly FilterConfig[] | undefined) => readonly FilterConfig[]
}>

/** An endpoint with the upstream that it is one of. */
export type FoundEndpoint = Readonly<{ upstream: Upstream; endpoint: Endpoint }>

export class Orders implements UpstreamObserver {
  readonly #options: OrdersOptions
  /** Of upstreams without scope. */
  readonly #drained = new Set<EndpointKey>()
  /** Host and path, or `Ingress namespace/name`. */
  readonly #maintained = new Set<string>()
  /** Made anew at each order. */
  #upstreams = new WeakMap<Upstream, Upstream>()
  #tables = new WeakMap<RouteTable, RouteTable>()
  #hosts = new WeakMap<VirtualHost, VirtualHost>()
  #filters = new Map<readonly FilterConfig[] | undefined, readonly FilterConfig[]>()
  #lists = new WeakMap<readonly RouteTable[], readonly RouteTable[]>()
  #given: Upstreams | undefined
  #result: Upstreams | undefined

  constructor(options: OrdersOptions) {
    this.#options = options
  }

  /** False where there are too many orders already. */
  drain(found: readonly FoundEndpoint[]): boolean {
    if (this.#drained.size + found.length > MOST) return false
    for (const each of found) this.#drained.add(keyOf(each))
    this.#forgetUpstreams()
    return true
  }

  /** Those of `found` that were drained. */
  undrain(found: readonly FoundEndpoint[]): readonly FoundEndpoint[] {
    const undone = found.filter((each) => this.#drained.delete(keyOf(each)))
    this.#forgetUpstreams()
    return undone
  }

  /** `place` is the host and path of a route, or `Ingress namespace/name`. False where there are too many orders already. */
  maintain(place: string, on: boolean): boolean {
    if (on && this.#maintained.size >= MOST) return false
    if (on) this.#maintained.add(place)
    else this.#maintained.delete(place)
    this.#tables = new WeakMap()
    this.#hosts = new WeakMap()
    this.#lists = new WeakMap()
    this.#filters = new Map()
    return true
  }

  isMaintained(place: string): boolean {
    return this.#maintained.has(place)
  }

  observe(upstreams: Upstreams): Upstreams {
    if (this.#drained.size === 0) return upstreams
    if (upstreams === this.#given && this.#result) return this.#result
    const all = new Map(upstreams)
    let isOther = false
    for (const [key, upstream] of upstreams) {
      const made = this.#drainOf(upstream)
      if (made === upstream) continue
      isOther = true
      all.set(key, made)
    }
    this.#given = upstreams
    this.#result = isOther ? all : upstreams
    return this.#result
  }

  /** The model with the routes that are in maintenance; itself where none is. */
  adjust(model: Model): Model {
    if (this.#maintained.size === 0) return model
    let tables = this.#lists.get(model.tables)
    if (!tables) {
      const made = model.tables.map((table) => this.#adjustTable(table))
      tables = made.every((table, index) => table === model.tables[index]) ? model.tables : Object.freeze(made)
      this.#lists.set(model.tables, tables)
    }
    return tables === model.tables ? model : Object.freeze({ ...model, tables })
  }

  close(): void {}

  #forgetUpstreams(): void {
    this.#upstreams = new WeakMap()
    this.#given = undefined
  }

  #drainOf(upstream: Upstream): Upstream {
    let made = this.#upstreams.get(upstream)
    if (!made) {
      const isDrained = (endpoint: Endpoint) => this.#drained.has(keyOf({ upstream, endpoint }))
      made = upstream.endpoints.some(isDrained)
        ? Object.freeze({
            ...upstream,
            endpoints: Object.freeze(upstream.endpoints.map((each) => (isDrained(each) ? drain(each) : each))),
          })
        : upstream
      this.#upstreams.set(upstream, made)
    }
    return made
  }

  #adjustTable(table: RouteTable): RouteTable {
    let made = this.#tables.get(table)
    if (!made) {
      const hosts = table.hosts.map((host) => this.#adjustHost(host))
      const { defaultRoute } = table
      const other = defaultRoute && this.#adjustRoute(defaultRoute)
      const isSame = other === defaultRoute && hosts.every((host, index) => host === table.hosts[index])
      made = isSame ? table : Object.freeze({ ...table, hosts: Object.freeze(hosts), defaultRoute: other })
      this.#tables.set(table, made)
    }
    return made
  }

  #adjustHost(host: VirtualHost): VirtualHost {
    let made = this.#hosts.get(host)
    if (!made) {
      const routes = host.routes.map((route) => this.#adjustRoute(route))
      const isSame = routes.every((route, index) => route === host.routes[index])
      made = isSame ? host : Object.freeze({ ...host, routes: Object.freeze(routes) })
      this.#hosts.set(host, made)
    }
    return made
  }

  #adjustRoute(route: Route): Route {
    if (!listPlaces(route).some((place) => this.#maintained.has(place))) return route
    let filters = this.#filters.get(route.filters)
    if (!filters) {
      filters = Object.freeze(this.#options.maintain(route.filters))
      this.#filters.set(route.filters, filters)
    }
    return Object.freeze({ ...route, filters })
  }
}

/** What orders of maintenance may name a route by. */
export function listPlaces({ host, path, owner }: Route): readonly string[] {
  return [`${host === '' ? '*' : host}${path}`, `${owner.kind} ${printName(owner)}`]
}

/** The Service's port that it belongs to, whichever traffic it gets. */
export function portOf({ upstream }: FoundEndpoint): UpstreamKey {
  return dropScope(upstream.key)
}

/** `default/web:80/127.0.0.1:3000`, as `get endpoints -o name` has it behind the kind. */
export function nameEndpoint({ upstream, endpoint }: FoundEndpoint): string {
  return `${portOf({ upstream, endpoint })}/${printEndpointAddress(endpoint.host, endpoint.port)}`
}

/**
 * The endpoints that a person means: by address, `127.0.0.1:3000`; with their Service, `default/web/127.0.0.1:3000`; or with its port too,
 * `default/web:80/127.0.0.1:3000`.
 */
export function findEndpoints(upstreams: ReadonlyMap<UpstreamKey, Upstream>, text: string): readonly FoundEndpoint[] {
  const wanted = text.replace(/^endpoint\//, '')
  const found: FoundEndpoint[] = []
  for (const upstream of upstreams.values()) {
    for (const endpoint of upstream.endpoints) {
      const address = printEndpointAddress(endpoint.host, endpoint.port)
      const each = { upstream, endpoint }
      const names = [address, `${printName(upstream.service)}/${address}`, nameEndpoint(each)]
      if (names.includes(wanted)) found.push(each)
    }
  }
  return found
}

function drain(endpoint: Endpoint): Endpoint {
  return Object.freeze({ ...endpoint, ready: false, serving: false, drained: true })
}

function keyOf({ upstream, endpoint }: FoundEndpoint): EndpointKey {
  return findEndpointKey(dropScope(upstream.key), endpoint)
}
