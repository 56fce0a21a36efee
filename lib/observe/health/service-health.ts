/**
 * The healthCheckNodePort of Services with externalTrafficPolicy Local: a balancer in front asks there whether this machine
 * has endpoints of the Service. Answers as kube-proxy does.
 */
import { createServer, type Server, type ServerResponse } from 'node:http'
import { systemClock } from '../../base/clock.ts'
import { printEndpointAddress } from '../../base/endpoint-address.ts'
import type { Model, ServiceView } from '../../model/model.ts'
import { usableEndpoints } from '../../model/tier.ts'
import { findExternalKey } from '../../model/upstream.ts'
import type { Log } from '../../telemetry/log.ts'
import { ProbedConnections } from './probed-connections.ts'

export type ServiceHealthOptions = {
  /** Whether the gateway takes traffic. */
  readonly isServing: () => boolean
  readonly log: Log
  /** Milliseconds until a port that cannot be had is tried again; given by tests. */
  readonly retryMs?: number
}

type Port = { readonly server: Server; service: ServiceView; localEndpoints: number }

/** Slow or hostile requests may not cost much, milliseconds. */
const REQUEST_TIMEOUT = 5000
const HEAD_TIMEOUT = 2000
const RETRY_MS = 10_000

/** Holds the ports open that the last model asks for. */
export class ServiceHealth {
  readonly #options: ServiceHealthOptions
  readonly #ports = new Map<string, Port>()
  /** By place: why it cannot be had, as it was logged. */
  readonly #failures = new Map<string, string>()
  #services: Model['services'] = []
  #upstreams: Model['upstreams'] = new Map()
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(options: ServiceHealthOptions) {
    this.#options = options
  }

  /** Before a model comes into force: tells of it, and gives up what it does not want, so that Services may have these ports. */
  async prepare({ services, upstreams }: Model): Promise<void> {
    if (services === this.#services && upstreams === this.#upstreams) return
    const wanted = listPlaces(services)
    for (const place of this.#failures.keys()) if (!wanted.has(place)) this.#failures.delete(place)
    const closing: Promise<void>[] = []
    for (const [place, port] of this.#ports) {
      const service = wanted.get(place)
      if (service) Object.assign(port, { service, localEndpoints: countEndpoints(service, upstreams) })
      else closing.push(this.#close(place, port))
    }
    await Promise.all(closing)
  }

  /** Resolves when all ports are open, or could not be had, which the log tells once: those are tried again. */
  async update(model: Model): Promise<void> {
    if (model.services === this.#services && model.upstreams === this.#upstreams) return
    await this.prepare(model)
    this.#services = model.services
    this.#upstreams = model.upstreams
    await this.#openWanted()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    await Promise.all([...this.#ports].map(([place, port]) => this.#close(place, port)))
  }

  async #openWanted(): Promise<void> {
    const opening: Promise<void>[] = []
    for (const [place, service] of listPlaces(this.#services)) {
      if (!this.#ports.has(place)) opening.push(this.#open(place, service, countEndpoints(service, this.#upstreams)))
    }
    await Promise.all(opening)
    clearTimeout(this.#timer)
    if (this.#isClosed || this.#failures.size === 0) return
    this.#timer = setTimeout(() => void this.#openWanted(), this.#options.retryMs ?? RETRY_MS).unref()
  }

  async #open(place: string, service: ServiceView, localEndpoints: number): Promise<void> {
    const colon = place.lastIndexOf(':')
    const host = place.slice(0, colon).replace(/^\[|\]$/g, '')
    const server = createServer({
      requestTimeout: REQUEST_TIMEOUT,
      headersTimeout: HEAD_TIMEOUT,
      maxHeaderSize: 8192,
    })
    new ProbedConnections(server, systemClock, () => true)
    const port: Port = { server, service, localEndpoints }
    server.on('request', (_request, response) => this.#answer(response, port))
    this.#ports.set(place, port)
    await new Promise<void>((resolve) => {
      server.on('error', (error) => {
        const fields = { err: error, address: place, service: `${service.namespace}/${service.name}` }
        if (server.listening) this.#options.log.warn(fields, 'health check port failed')
        else {
          if (this.#ports.get(place) === port) this.#ports.delete(place)
          const isTold = this.#failures.get(place) === error.message
          this.#failures.set(place, error.message)
          if (!isTold) this.#options.log.warn(fields, 'health check port cannot be opened')
        }
        resolve()
      })
      server.listen(Number(place.slice(colon + 1)), host, () => {
        // Given up while it was opened.
        if (this.#ports.get(place) !== port) server.close()
        if (this.#failures.delete(place)) this.#options.log.info({ address: place }, 'health check port opened')
        resolve()
      })
    })
  }

  async #close(place: string, { server }: Port): Promise<void> {
    this.#ports.delete(place)
    await new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  }

  #answer(response: ServerResponse, { service, localEndpoints }: Port): void {
    const serviceProxyHealthy = this.#options.isServing()
    const { namespace, name } = service
    const body = { service: { namespace, name }, localEndpoints, serviceProxyHealthy }
    response.writeHead(localEndpoints > 0 && serviceProxyHealthy ? 200 : 503, {
      'content-type': 'application/json',
      'x-content-type-options': 'nosniff',
      'x-load-balancing-endpoint-weight': localEndpoints,
      connection: 'close',
    })
    response.end(`${JSON.stringify(body, undefined, '\t')}\n`)
  }
}

/** Who is to be asked for where. */
function listPlaces(services: Model['services']): ReadonlyMap<string, ServiceView> {
  const places = new Map<string, ServiceView>()
  for (const service of services) {
    for (const { address, port } of service.healthChecks ?? []) places.set(printEndpointAddress(address, port), service)
  }
  return places
}

/** Addresses that get traffic from outside, whatever port they have. */
function countEndpoints({ upstreams: keys }: ServiceView, upstreams: Model['upstreams']): number {
  const hosts = new Set<string>()
  for (const key of keys) {
    const upstream = upstreams.get(findExternalKey(key)) ?? upstreams.get(key)
    if (upstream === undefined) continue
    for (const { host, ready } of usableEndpoints(upstream)) if (ready) hosts.add(host)
  }
  return hosts.size
}
