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
import { listenOn } from '../../platform/listen.ts'
import { WantedPorts } from '../../platform/wanted-ports.ts'
import type { Log } from '../../telemetry/log.ts'
import { ProbedConnections } from './probed-connections.ts'

export type ServiceHealthOptions = {
  /** True if the gateway takes traffic. */
  readonly isServing: () => boolean
  readonly log: Log
  /** Milliseconds until a port that cannot be had is tried again; given by tests. */
  readonly retryMs?: number
}

/** A port where a Service is to be asked for. */
type HealthCheck = Readonly<{ service: ServiceView; address: string; port: number }>

type Port = { readonly server: Server; service: ServiceView; localEndpoints: number }

/** Slow or hostile requests may not cost much, milliseconds. */
const REQUEST_TIMEOUT = 5000
const HEAD_TIMEOUT = 2000

/** Holds the ports open that the last model asks for. */
export class ServiceHealth {
  readonly #options: ServiceHealthOptions
  readonly #ports: WantedPorts<HealthCheck>
  /** The open ports, by place. */
  readonly #open = new Map<string, Port>()
  #services: Model['services'] = []
  #upstreams: Model['upstreams'] = new Map()

  constructor(options: ServiceHealthOptions) {
    const { log, retryMs } = options
    this.#options = options
    this.#ports = new WantedPorts({
      open: (place, check) => this.#openPort(place, check),
      close: (place) => this.#closePort(place),
      explain: (error) => (error as Error).message,
      onFailed: (place, { service }, error) =>
        log.warn(describe(place, service, error), 'health check port cannot be opened'),
      onRecovered: (place) => log.info({ address: place }, 'health check port opened'),
      retryMs,
    })
  }

  /** Before a model comes into force: tells of it, and gives up what it does not want, so that Services may have these ports. */
  async prepare({ services, upstreams }: Model): Promise<void> {
    if (services === this.#services && upstreams === this.#upstreams) return
    const checks = listChecks(services)
    await this.#ports.giveUp(checks)
    for (const [place, port] of this.#open) {
      const { service } = checks.get(place)!
      Object.assign(port, { service, localEndpoints: countEndpoints(service, upstreams) })
    }
  }

  /** Resolves when all ports are open, or could not be had, which the log tells once: those are tried again. */
  async update(model: Model): Promise<void> {
    if (model.services === this.#services && model.upstreams === this.#upstreams) return
    await this.prepare(model)
    this.#services = model.services
    this.#upstreams = model.upstreams
    await this.#ports.open(listChecks(model.services).keys())
  }

  async close(): Promise<void> {
    this.#ports.stop()
    await this.#ports.giveUp(new Map())
  }

  async #openPort(place: string, { service, address, port }: HealthCheck): Promise<void> {
    const server = createServer({
      requestTimeout: REQUEST_TIMEOUT,
      headersTimeout: HEAD_TIMEOUT,
      maxHeaderSize: 8192,
    })
    new ProbedConnections(server, systemClock, () => true)
    const open: Port = { server, service, localEndpoints: countEndpoints(service, this.#upstreams) }
    server.on('request', (_request, response) => this.#answer(response, open))
    await listenOn(server, { address, port })
    server.on('error', (error) =>
      this.#options.log.warn(describe(place, open.service, error), 'health check port failed'),
    )
    this.#open.set(place, open)
  }

  async #closePort(place: string): Promise<void> {
    const { server } = this.#open.get(place)!
    this.#open.delete(place)
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

function listChecks(services: Model['services']): ReadonlyMap<string, HealthCheck> {
  const checks = new Map<string, HealthCheck>()
  for (const service of services) {
    for (const { address, port } of service.healthChecks ?? []) {
      checks.set(printEndpointAddress(address, port), { service, address, port })
    }
  }
  return checks
}

function describe(place: string, { namespace, name }: ServiceView, error: unknown): object {
  return { err: error, address: place, service: `${namespace}/${name}` }
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
