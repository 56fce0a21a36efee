/** Puts the parts together: from a configuration to open ports, through reloads, to the last request of a drain. */
import { randomBytes } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { availableParallelism } from 'node:os'
import { type AdminListener, type AdminState, createAdmin } from './admin/admin.ts'
import { GatewayWrites } from './admin/gateway-writes.ts'
import type { AdminWrites } from './admin/writes.ts'
import { type Clock, systemClock } from './base/clock.ts'
import { findDataDir } from './base/data-folder.ts'
import { countDiagnostics, printTrouble } from './base/diagnostics.ts'
import { AllocationKeeper, writeAllocations } from './control/allocations.ts'
import {
  type Configuration,
  type ConfigurationInput,
  ConfigurationLoader,
  hasSettingErrors,
} from './control/configuration.ts'
import { loadDefaultCertificate } from './control/default-certificate.ts'
import { COOKIE_SECRET, loadKeptSecret } from './control/kept-secret.ts'
import { Reloader } from './control/reload.ts'
import { explainListenError, explainSocketError, StartError } from './control/start-error.ts'
import type { DnsListing } from './dns/listing.ts'
import type { DnsServer } from './dns/server.ts'
import { MAINTENANCE_BY_HAND } from './filters/by-hand.ts'
import { addFilter } from './filters/registry.ts'
import type { Certificate } from './model/certificate.ts'
import { isServiceListener } from './model/listener.ts'
import type { ServedConfiguration } from './model/served.ts'
import { dropScope, type EndpointTrouble } from './model/upstream.ts'
import { HealthObserver } from './observe/health/observer.ts'
import { ServiceHealth } from './observe/health/service-health.ts'
import { NameObserver } from './observe/names/observer.ts'
import { Observation } from './observe/observation.ts'
import { Orders } from './observe/orders.ts'
import { canBindForWorkers } from './platform/listening-socket.ts'
import { checkRuntimeFlags } from './platform/runtime-flags.ts'
import type { Watch } from './providers/provider.ts'
import { printBoundHost } from './report/certificate-view.ts'
import { ReloadHistory } from './report/reload-history.ts'
import { logReloaded, logReloadFailed } from './report/reload-log.ts'
import type { Reloaded, ReloadFailed } from './report/reloaded.ts'
import { type GivenSettings, listGiven } from './settings/given.ts'
import type { Settings } from './settings/table.ts'
import { createLog, flushLog, type Log } from './telemetry/log.ts'
import { LogDestination } from './telemetry/log-destination.ts'
import { LogRotation } from './telemetry/log-rotation.ts'
import { createMetrics, type Metrics, type ReloadReport } from './telemetry/metrics.ts'
import { RecentLines } from './telemetry/recent-lines.ts'
import { RequestCounts } from './telemetry/request-counts.ts'
import type { Carrier } from './workers/carrier.ts'

export type GatewayInput = ConfigurationInput & {
  /**
   * Where to log; left out: standard output, as the settings say. A log that is given cannot be shared with other processes,
   * so there are no workers then.
   */
  readonly log?: Log
  /** The version that the metrics name. */
  readonly version?: string
}

export type GatewayPorts = Readonly<{ http?: number; https?: number; admin?: number; dns?: number }>

export type GatewayEvents = {
  reloaded: [Reloaded]
  'reload-failed': [ReloadFailed]
  /** The admin listener was told to drain. Where nobody listens, the gateway stops. */
  'drain-asked': []
}

export type Gateway = {
  /** What was loaded at the start. */
  readonly configuration: Configuration
  /** What serves now. */
  readonly served: ServedConfiguration
  /** Bound ports, from `start` on. */
  readonly ports: GatewayPorts
  /** By the ids of listeners: `open`, or why its port is not. */
  readonly listenerStates: ReadonlyMap<string, string>
  readonly log: Log
  /** Requests and tunnels that are being served. */
  readonly inFlight: number
  /** Opens the ports. Throws a StartError, with nothing left open, where one cannot be had. */
  start(): Promise<void>
  /** Reads everything anew; resolves when the outcome is in force. */
  reload(): Promise<void>
  /** Begins the file of the access log anew, after another program has renamed it. */
  reopenLog(): void
  /** Drains and closes: `forced` where requests or tunnels were cut at the deadline. A second call cuts at once. */
  stop(): Promise<'clean' | 'forced'>
  /** Tells of reloads. The log tells of them only where there is no listener. */
  on<E extends keyof GatewayEvents>(event: E, listener: (...values: GatewayEvents[E]) => void): void
}

const STDOUT = 1
const TICKET_SECRET_BYTES = 32
/** A log that is not read may hold up the stop this long, milliseconds. */
const FLUSH_MS = 500

/** Loads the configuration; throws a StartError where it leaves nothing that may be served. */
export async function createGateway(input: GatewayInput): Promise<Gateway> {
  const flags = checkRuntimeFlags(process.execArgv, input.environment)
  const [refused] = flags.refused
  if (refused) throw new StartError('node was started unsafely', refused)
  const loader = new ConfigurationLoader(input)
  const configuration = await loader.load()
  refuseUnusable(configuration)
  const gateway = new GatewayProcess(input, loader, configuration)
  for (const warning of flags.warned) gateway.log.warn(warning)
  return gateway
}

function refuseUnusable({ settings, model, diagnostics }: Configuration): void {
  const trouble = printTrouble(diagnostics)
  const help = 'portico check prints every problem'
  if (hasSettingErrors(diagnostics)) throw new StartError('the settings have errors', help, { diagnostics })
  if (settings.strict && trouble) {
    const way = 'ignore in the settings, or --ignore CODE, leaves one out'
    throw new StartError(`${trouble} in the configuration, and strict is on`, `${help}; ${way}`, { diagnostics })
  }
  if (countDiagnostics(diagnostics).error === 0) return
  const hasNames = settings.dns.enabled && model.services.length > 0
  const isServed =
    model.tables.some(({ hosts, defaultRoute }) => hosts.length > 0 || defaultRoute) ||
    model.listeners.some(isServiceListener) ||
    hasNames
  if (!isServed) {
    throw new StartError(`${trouble} in the configuration, and nothing is left to serve`, help, { diagnostics })
  }
}

type State = 'created' | 'running' | 'draining' | 'stopped'

class GatewayProcess implements Gateway {
  readonly configuration: Configuration
  readonly log: Log
  readonly #ownsLog: boolean
  readonly #environment: NodeJS.ProcessEnv
  readonly #input: GatewayInput
  readonly #clock: Clock
  readonly #version: string
  readonly #startedAt: number
  readonly #reloads: ReloadHistory
  /** Those that are read once are as they were at the start. */
  readonly #settings: Settings
  readonly #events = new EventEmitter<GatewayEvents>()
  readonly #metrics: Metrics
  readonly #counts: RequestCounts
  readonly #destination = new LogDestination({ fd: STDOUT })
  readonly #recent = new RecentLines()
  readonly #reloader: Reloader
  readonly #observation: Observation
  readonly #orders = new Orders({ maintain: (filters) => addFilter(filters, MAINTENANCE_BY_HAND) })
  #rotation: LogRotation | undefined
  #health: HealthObserver | undefined
  #names: NameObserver | undefined
  readonly #loader: ConfigurationLoader
  /** Set while changes are watched. */
  #watch: Watch | undefined
  readonly #keeper: AllocationKeeper
  readonly #serviceHealth: ServiceHealth
  #carrier: Carrier | undefined
  #affinitySecret: Buffer | undefined
  #admin: AdminListener | undefined
  #dns: DnsServer | undefined
  #listDns: () => DnsListing | undefined = () => undefined
  #defaultCertificate: Certificate | undefined
  /** Those that serve no traffic. */
  #ports: Pick<GatewayPorts, 'admin' | 'dns'> = {}
  #state: State = 'created'
  #stopping: Promise<'clean' | 'forced'> | undefined
  /** A second stop was asked for. */
  #isHurried = false

  constructor(input: GatewayInput, loader: ConfigurationLoader, configuration: Configuration) {
    const { settings } = configuration
    this.configuration = configuration
    this.#environment = input.environment
    this.#input = input
    this.#settings = settings
    this.#clock = input.clock ?? systemClock
    this.#version = input.version ?? 'unknown'
    this.#startedAt = this.#clock.now()
    this.#reloads = new ReloadHistory(this.#clock)
    this.#ownsLog = input.log === undefined
    this.log = input.log ?? createLog(settings.log, this.#destination, this.#recent)
    this.#counts = new RequestCounts({ byRoute: settings.metrics.byRoute, maxSeries: settings.metrics.requestSeries })
    this.#metrics = createMetrics({
      counts: this.#counts,
      version: this.#version,
      endpointSeries: settings.metrics.endpointSeries,
      withNginxNames: settings.compatibility === 'ingress-nginx',
    })
    this.#metrics.watch({
      requestsInFlight: () => this.inFlight,
      tunnelsOpen: () => this.#carrier?.tunnels ?? 0,
      buffered: () => this.#carrier?.buffered ?? { memory: 0, file: 0 },
      streams: () => this.#carrier?.streams ?? 0,
      queued: () => this.#carrier?.queued() ?? [],
      connections: () => this.#carrier?.connections() ?? [],
      endpoints: () => this.#carrier?.endpoints() ?? [],
      logLinesDropped: () => this.#carrier?.logLinesDropped ?? this.#destination.dropped,
      circuits: () => this.#carrier?.circuits() ?? [],
      workers: () => this.#carrier?.workers() ?? [],
      health: () => this.#health?.figures() ?? [],
      panics: () => this.#health?.panics() ?? [],
      dnsRequests: () => this.#dns?.counts() ?? [],
    })
    this.#loader = loader
    this.#keeper = new AllocationKeeper(
      configuration.recalled,
      (allocations) => writeAllocations(settings, input.environment, allocations),
      (error) =>
        this.log.warn({ err: error }, 'allocated ports and addresses cannot be kept: they may change at a restart'),
    )
    this.#serviceHealth = new ServiceHealth({ isServing: () => this.#isServing, log: this.log })
    this.#reloader = new Reloader({
      load: (request) => loader.load(request),
      apply: (served) => this.#observation.apply(served),
      clock: this.#clock,
      first: configuration,
      onLoaded: ({ allocations }) => this.#keeper.keep(allocations),
      onReloaded: (result) => this.#finishReload(result),
      onFailed: (failure) => this.#failReload(failure),
    })
    this.#observation = new Observation(
      {
        observers: (onChange) => {
          this.#health = new HealthObserver({ clock: this.#clock, log: this.log }, onChange)
          this.#names = new NameObserver({ log: this.log, onChange })
          return [this.#names, this.#orders, this.#health]
        },
        adjust: (model) => this.#orders.adjust(model),
        apply: (served) => this.#apply(served),
      },
      this.#reloader.current,
    )
  }

  get served(): ServedConfiguration {
    return this.#observation.served
  }

  get inFlight(): number {
    return this.#carrier?.inFlight ?? 0
  }

  get ports(): GatewayPorts {
    return { ...this.#carrier?.ports, ...this.#ports }
  }

  get listenerStates(): ReadonlyMap<string, string> {
    return this.#carrier?.listeners() ?? new Map()
  }

  on<E extends keyof GatewayEvents>(event: E, listener: (...values: GatewayEvents[E]) => void): void {
    this.#events.on(event, listener as never)
  }

  async start(): Promise<void> {
    let first: ServedConfiguration
    try {
      first = await this.#open()
    } catch (error) {
      await this.#close()
      throw error
    }
    this.#state = 'running'
    this.#keeper.keep(this.configuration.allocations)
    // What was observed while the ports were opened.
    if (this.served !== first) await this.#apply(this.served)
    this.#metrics.reload(true, describeConfiguration(this.served))
    if (this.#settings.accessLog.to === 'file') this.#rotation = this.#createRotation()
    if (this.#settings.watch) await this.#startWatch()
  }

  async reload(): Promise<void> {
    await this.#reloader.reload()
  }

  reopenLog(): void {
    this.#carrier?.reopenLog()
  }

  stop(): Promise<'clean' | 'forced'> {
    if (this.#stopping) {
      this.#isHurried = true
      this.#carrier?.cut()
    } else this.#stopping = this.#drain()
    return this.#stopping
  }

  /** The admin port first, so that probes are answered from the beginning. Resolves to what serves then. */
  async #open(): Promise<ServedConfiguration> {
    const settings = this.#settings
    if (settings.admin.enabled) {
      this.#admin = this.#createAdmin()
      const { address, port, socket } = settings.admin
      try {
        const { port: bound } = await this.#admin.listen()
        this.#ports = bound === undefined ? {} : { admin: bound }
      } catch (error) {
        throw socket === '' ? explainListenError(error, { name: 'admin', address, port }) : explainSocketError(error)
      }
    }
    const folder = findDataDir(settings.dataDir, this.#environment)
    if (this.served.model.listeners.some(({ tls }) => tls)) {
      this.#defaultCertificate = await loadDefaultCertificate(folder, this.#clock, this.log)
    }
    this.#affinitySecret = await loadKeptSecret(folder, COOKIE_SECRET, this.log)
    this.#carrier = await this.#createCarrier(folder, this.#affinitySecret)
    await this.#observation.prepare()
    const first = this.served
    await this.#carrier.start(first)
    this.#health?.start()
    await this.#serviceHealth.update(this.served.model)
    if (settings.dns.enabled) await this.#openDns()
    return first
  }

  #createAdmin(): AdminListener {
    const settings = this.#settings
    if (this.configuration.provenance.get('admin.token') === 'flag') {
      const better = 'give --admin-token-file, or PORTICO_ADMIN_TOKEN in the environment'
      this.log.warn({ help: better }, '--admin-token: the list of processes may show it to every user of this machine')
    }
    try {
      return createAdmin({
        settings,
        state: () => this.#describe(),
        refresh: async () => this.#carrier?.refresh(),
        metrics: this.#metrics,
        traffic: () => this.#carrier,
        markService: () => this.#findMarks(),
        ...(this.#ownsLog && { recent: this.#recent }),
        writes: this.#createWrites(),
        clock: this.#clock,
        log: this.log,
      })
    } catch (error) {
      const help = 'admin.tokenFile names a file of one line that this user may read'
      throw new StartError(`the admin listener has no token: ${(error as Error).message}`, help, { cause: error })
    }
  }

  async #findMarks(): Promise<((service: string) => string) | undefined> {
    const secret = this.#affinitySecret
    if (secret === undefined) return undefined
    const { markService } = await import('./upstream/choice/session-cookie.ts')
    return (service) => markService(secret, service)
  }

  #createWrites(): AdminWrites {
    return new GatewayWrites({
      orders: this.#orders,
      served: () => this.served,
      renew: () => this.#observation.renew(),
      reload: () => this.#reloader.reload(),
      inFlight: () => this.inFlight,
      isRunning: () => this.#state === 'running',
      drain: () => {
        if (!this.#events.emit('drain-asked')) void this.stop()
      },
      clearEjection: (upstream, endpoint) => this.#health?.clear(upstream, endpoint, 'ended by hand') ?? false,
      closeCircuits: (port) => this.#carrier?.closeCircuits(port),
      circuits: async () => {
        await this.#carrier?.refresh()
        return [...(this.#carrier?.circuits() ?? [])].map(({ upstream }) => dropScope(upstream))
      },
    })
  }

  #createRotation(): LogRotation {
    return new LogRotation({
      path: this.#settings.accessLog.file,
      limits: () => {
        const { fileBytes, oldFiles } = this.served.settings.accessLog
        return { bytes: fileBytes, oldFiles }
      },
      onRotated: () => this.reopenLog(),
      onTrouble: (reason) => this.log.warn({ reason }, 'the file of the access log cannot be renamed: it grows on'),
    })
  }

  async #openDns(): Promise<void> {
    const { DnsServer } = await import('./dns/server.ts')
    const { listDns } = await import('./dns/listing.ts')
    const server = new DnsServer({ log: this.log, clock: this.#clock, first: this.served })
    this.#dns = server
    this.#listDns = () => listDns(server)
    const { address, port } = this.#settings.dns
    try {
      this.#ports = { ...this.#ports, dns: (await server.start()).port }
    } catch (error) {
      throw explainListenError(error, { name: 'dns', address, port })
    }
  }

  /** Loads what it takes, and no more: without traffic of its own, this process does without a good part of the code. */
  async #createCarrier(dataFolder: string, affinitySecret: Buffer): Promise<Carrier> {
    const settings = this.#settings
    const options = {
      settings,
      clock: this.#clock,
      log: this.log,
      stdout: this.#ownsLog ? this.#destination : undefined,
      counts: this.#counts,
      defaultCertificate: this.#defaultCertificate,
      ticketSecret: randomBytes(TICKET_SECRET_BYTES),
      affinitySecret,
      dataFolder,
      logLinesDropped: () => this.#destination.dropped,
      onTrouble: (trouble: EndpointTrouble) => {
        this.#health?.report(trouble)
        if (trouble.name !== undefined) this.#names?.doubt(trouble.name)
      },
    }
    const size = !this.#ownsLog ? 0 : settings.workers === 'auto' ? availableParallelism() : settings.workers
    if (size > 0 && !canBindForWorkers) {
      this.log.warn('this Node does not bind ports for workers: the control process carries the traffic itself')
    }
    if (size === 0 || !canBindForWorkers) return new (await import('./workers/own-traffic.ts')).OwnTraffic(options)
    return new (await import('./workers/worker-set.ts')).WorkerSet({ ...options, size })
  }

  async #apply(served: ServedConfiguration): Promise<void> {
    // A port may go from a health check to a Service, and back.
    await this.#serviceHealth.prepare(served.model)
    await this.#carrier?.apply(served)
    await this.#serviceHealth.update(served.model)
    this.#dns?.apply(served)
  }

  async #drain(): Promise<'clean' | 'forced'> {
    this.#state = 'draining'
    this.#closeWatch()
    const inFlight = (await this.#carrier?.drain()) ?? 0
    let left = 0
    if (inFlight > 0) {
      const deadlineMs = this.served.settings.timeouts.drain
      this.log.info({ in_flight: inFlight, deadline_ms: deadlineMs }, 'draining')
      left = (await this.#carrier?.finish(this.#isHurried ? 0 : deadlineMs)) ?? 0
    }
    if (left > 0) this.log.warn({ in_flight: left }, 'drain deadline reached: the rest is cut')
    await this.#close()
    this.log.info('stopped')
    await flushLog(this.log, FLUSH_MS)
    return left > 0 ? 'forced' : 'clean'
  }

  async #close(): Promise<void> {
    this.#state = 'stopped'
    this.#closeWatch()
    this.#rotation?.close()
    this.#observation.close()
    // A reload may be waiting for a worker that hangs: the end of the workers ends it too.
    await Promise.all([this.#reloader.close(), this.#carrier?.close()])
    await Promise.all([this.#keeper.settle(), this.#serviceHealth.close()])
    await Promise.all([this.#admin?.close(), this.#dns?.close()])
  }

  async #startWatch(): Promise<void> {
    const watch = await this.#loader.watch({
      onChange: (isWritten) => this.#reloader.trigger(isWritten),
      onTrouble: (message, reason) => this.log.warn({ reason }, message),
    })
    if (this.#state === 'running') this.#watch = watch
    else watch.close()
  }

  #closeWatch(): void {
    this.#watch?.close()
    this.#watch = undefined
  }

  get #isServing(): boolean {
    return this.#state === 'running' && (this.#carrier?.isUp ?? false)
  }

  #describe(): AdminState {
    const isUp = this.#carrier?.isUp ?? false
    return {
      ready: this.#isServing,
      version: this.#version,
      startedAt: this.#startedAt,
      reloads: this.#reloads.rows,
      listDns: this.#listDns,
      ...(this.#state === 'running' && !isUp && { reasons: ['no worker serves'] }),
      served: this.served,
      ports: this.ports,
      listenerStates: this.listenerStates,
      endpoints: this.#carrier?.endpoints() ?? [],
      whyStale: (name, address) => this.#names?.whyStale(name, address),
      workers: this.#carrier?.workers() ?? [],
      circuits: [...(this.#carrier?.circuits() ?? [])].map(({ upstream, state, count }) => ({
        service: dropScope(upstream),
        state,
        workers: count,
      })),
      loaded: this.#reloader.current,
      given: () => this.#listGiven(),
      ...(this.#defaultCertificate && { defaultCertificate: this.#defaultCertificate }),
    }
  }

  #listGiven(): GivenSettings {
    const { flags, environment } = this.#input
    const { settings, provenance } = this.served
    return listGiven({ settings, provenance, flags, environment })
  }

  #finishReload(result: Reloaded): void {
    this.#reloads.noteReloaded(result)
    // A log that was given keeps its own level.
    if (this.#ownsLog) this.log.level = result.served.settings.log.level
    this.#metrics.reload(result.kept.length === 0, describeConfiguration(result.served))
    const isHeard = this.#events.emit('reloaded', result)
    if (!isHeard) logReloaded(this.log, result, this.inFlight)
  }

  #failReload(failure: ReloadFailed): void {
    this.#reloads.noteFailed(failure)
    this.#metrics.reload(false)
    const isHeard = this.#events.emit('reload-failed', failure)
    if (!isHeard) logReloadFailed(this.log, failure)
  }
}

/** What the metrics say of the configuration in force. */
function describeConfiguration({ builtAt, model, diagnostics }: ServedConfiguration): ReloadReport {
  return {
    at: builtAt,
    routes: model.counts.routes,
    diagnostics: countDiagnostics(diagnostics),
    certificates: model.certificates.flatMap(({ host, certificate }) =>
      certificate ? [{ host: printBoundHost(host), secret: certificate.name, notAfter: certificate.notAfter }] : [],
    ),
  }
}
