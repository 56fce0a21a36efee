/**
 * The healthCheckNodePort of Services with externalTrafficPolicy Local: a balancer in front asks there whether this machine
 * has endpoints of the Service. Answers as kube-proxy does.
 */
import { createServer, type Server, type ServerResponse } from 'node:http'
import { printEndpointAddress } from '../base/endpoint-address.ts'
import type { Model, ServiceView } from '../model/model.ts'
import { usableEndpoints } from '../model/tier.ts'
import { findExternalKey } from '../model/upstream.ts'
import type { Log } from '../telemetry/log.ts'

export type ServiceHealthOptions = {
  /** Whether the gateway takes traffic. */
  readonly isServing: () => boolean
  readonly log: Log
}

type Port = { readonly server: Server; service: ServiceView; localEndpoints: number }

/** Slow or hostile requests may not cost much, milliseconds. */
const REQUEST_TIMEOUT = 5000
const MAX_CONNECTIONS = 64

/** Holds the ports open that the last model asks for. */
export class ServiceHealth {
  readonly #options: ServiceHealthOptions
  readonly #ports = new Map<string, Port>()
  #services: Model['services'] = []
  #upstreams: Model['upstreams'] = new Map()

  constructor(options: ServiceHealthOptions) {
    this.#options = options
  }

  /** Resolves when all ports are open, or could not be had, which the log tells: those are tried again when something changes. */
  async update(model: Model): Promise<void> {
    if (model.services === this.#services && model.upstreams === this.#upstreams) return
    this.#services = model.services
    this.#upstreams = model.upstreams
    const wanted = new Map<string, ServiceView>()
    for (const service of model.services) {
      for (const { address, port } of service.healthChecks ?? []) {
        wanted.set(printEndpointAddress(address, port), service)
      }
    }
    const opening: Promise<void>[] = []
    for (const [place, port] of this.#ports) if (!wanted.has(place)) opening.push(this.#close(place, port))
    await Promise.all(opening)
    for (const [place, service] of wanted) {
      const known = this.#ports.get(place)
      const localEndpoints = countEndpoints(service, model)
      if (known) Object.assign(known, { service, localEndpoints })
      else opening.push(this.#open(place, service, localEndpoints))
    }
    await Promise.all(opening)
  }

  async close(): Promise<void> {
    await Promise.all([...this.#ports].map(([place, port]) => this.#close(place, port)))
  }

  async #open(place: string, service: ServiceView, localEndpoints: number): Promise<void> {
    const colon = place.lastIndexOf(':')
    const host = place.slice(0, colon).replace(/^\[|\]$/g, '')
    const server = createServer({
      requestTimeout: REQUEST_TIMEOUT,
      headersTimeout: REQUEST_TIMEOUT,
      maxHeaderSize: 8192,
    })
    const port: Port = { server, service, localEndpoints }
    server.maxConnections = MAX_CONNECTIONS
    server.on('request', (_request, response) => this.#answer(response, port))
    this.#ports.set(place, port)
    await new Promise<void>((resolve) => {
      server.on('error', (error) => {
        const fields = { err: error, address: place, service: `${service.namespace}/${service.name}` }
        this.#options.log.warn(
          fields,
          server.listening ? 'health check port failed' : 'health check port cannot be opened',
        )
        if (!server.listening) this.#ports.delete(place)
        resolve()
      })
      server.listen(Number(place.slice(colon + 1)), host, resolve)
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

/** Addresses that get traffic from outside, whatever port they have. */
function countEndpoints({ upstreams: keys }: ServiceView, { upstreams }: Model): number {
  const hosts = new Set<string>()
  for (const key of keys) {
    const upstream = upstreams.get(findExternalKey(key)) ?? upstreams.get(key)
    if (upstream === undefined) continue
    for (const { host, ready } of usableEndpoints(upstream)) if (ready) hosts.add(host)
  }
  return hosts.size
}
