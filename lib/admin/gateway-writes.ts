/** What the writes of the admin listener do to a running gateway. */
import type { ServedConfiguration } from '../model/served.ts'
import type { Endpoint, UpstreamKey } from '../model/upstream.ts'
import { type FoundEndpoint, findEndpoints, listPlaces, nameEndpoint, type Orders, portOf } from '../observe/orders.ts'
import type { Reloaded, ReloadFailed, ReloadOutcome } from '../report/reloaded.ts'
import {
  type AdminWrites,
  type ClearOutcome,
  type EndpointOutcome,
  type MaintenanceOrder,
  type MaintenanceOutcome,
  OrderError,
} from './writes.ts'

export type GatewayWritesOptions = Readonly<{
  orders: Orders
  /** What serves now. */
  served: () => ServedConfiguration
  /** Resolves when the orders are in force. */
  renew: () => Promise<void>
  /** Resolves to undefined where the gateway is closing. */
  reload: () => Promise<Reloaded | ReloadFailed | undefined>
  inFlight: () => number
  isRunning: () => boolean
  drain: () => void
  /** False where it was not ejected. */
  clearEjection: (upstream: UpstreamKey, endpoint: Endpoint) => boolean
  closeCircuits: (port: UpstreamKey) => void
  /** The ports whose circuits are not closed, as of now. */
  circuits: () => Promise<readonly UpstreamKey[]>
}>

const TOO_MANY = 'There are too many orders already: undo some.'

export class GatewayWrites implements AdminWrites {
  readonly #options: GatewayWritesOptions

  constructor(options: GatewayWritesOptions) {
    this.#options = options
  }

  async reload(): Promise<ReloadOutcome> {
    const { reload, inFlight } = this.#options
    this.#refuseDraining()
    const outcome = await reload()
    if (outcome === undefined) throw new OrderError(409, 'The gateway is draining.')
    if ('served' in outcome) {
      const { served, ...reloaded } = outcome
      return { type: 'reloaded', reloaded, generation: served.generation, inFlight: inFlight() }
    }
    const { error: _, ...failure } = outcome
    return { type: 'failed', failure }
  }

  beforeDrain(): { inFlight: number; deadlineMs: number } {
    this.#refuseDraining()
    return { inFlight: this.#options.inFlight(), deadlineMs: this.#options.served().settings.timeouts.drain }
  }

  drain(): void {
    // Two requests may have come at once.
    if (this.#options.isRunning()) this.#options.drain()
  }

  async drainEndpoint(text: string): Promise<EndpointOutcome> {
    const found = this.#find(text)
    if (!this.#options.orders.drain(found)) throw new OrderError(409, TOO_MANY)
    await this.#options.renew()
    return nameAll(found)
  }

  async undrainEndpoint(text: string): Promise<EndpointOutcome> {
    const undone = this.#options.orders.undrain(this.#find(text))
    if (undone.length === 0) throw new OrderError(409, `${text} was not drained.`)
    await this.#options.renew()
    return nameAll(undone)
  }

  async clearEndpoint(text: string): Promise<ClearOutcome> {
    const { circuits, closeCircuits, clearEjection, renew } = this.#options
    const found = this.#find(text)
    const ports = new Set(found.map(portOf))
    const open = new Set(await circuits())
    const closed = [...ports].filter((port) => open.has(port))
    for (const port of closed) closeCircuits(port)
    const cleared = found.filter(({ upstream, endpoint }) => clearEjection(upstream.key, endpoint))
    await renew()
    return { ...nameAll(cleared), circuits: closed }
  }

  async setMaintenance(order: MaintenanceOrder): Promise<MaintenanceOutcome> {
    const { orders, served, renew } = this.#options
    const { on } = order
    const place = 'route' in order ? order.route.replace(/^route\//, '') : `Ingress ${order.ingress}`
    const { tables } = served().model
    const all = tables.flatMap(({ hosts, defaultRoute }) => [
      ...hosts.flatMap(({ routes }) => routes),
      ...(defaultRoute ? [defaultRoute] : []),
    ])
    const routes = all.filter((route) => listPlaces(route).includes(place)).length
    if (on && routes === 0) throw new OrderError(404, `No route is ${place}; portico get routes -o name lists them.`)
    if (!on && !orders.isMaintained(place)) throw new OrderError(409, `${place} is not in maintenance by hand.`)
    if (!orders.maintain(place, on)) throw new OrderError(409, TOO_MANY)
    await renew()
    return { on, routes }
  }

  #find(text: string): readonly FoundEndpoint[] {
    const found = findEndpoints(this.#options.served().model.upstreams, text)
    if (found.length > 0) return found
    throw new OrderError(404, `No endpoint is ${text}; portico get endpoints -o name lists them.`)
  }

  #refuseDraining(): void {
    if (!this.#options.isRunning()) throw new OrderError(409, 'The gateway is draining.')
  }
}

function nameAll(found: readonly FoundEndpoint[]): EndpointOutcome {
  return { endpoints: [...new Set(found.map(nameEndpoint))] }
}
