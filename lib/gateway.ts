/** Puts the parts together: from a configuration to open ports, through reloads, to the last request of a drain. */
import { EventEmitter } from 'node:events'
import { type AdminListener, type AdminState, createAdmin } from './admin/admin.ts'
import { type Clock, systemClock } from './base/clock.ts'
import { countDiagnostics } from './base/diagnostics.ts'
import { type Configuration, type ConfigurationInput, ConfigurationLoader, hasSettingErrors } from './configuration.ts'
import type { Certificate } from './model/certificate.ts'
import { FileWatch } from './providers/file-watch.ts'
import { createProxy, type Proxy as GatewayProxy } from './proxy/proxy.ts'
import { type Reloaded, Reloader, type ReloadFailed } from './reload.ts'
import { logReloaded, logReloadFailed } from './reload-log.ts'
import { findDataDir, loadDefaultCertificate } from './server/default-certificate.ts'
import { createListener, type Listener } from './server/listener.ts'
import { checkRuntimeFlags } from './server/runtime-flags.ts'
import type { Settings } from './settings-table.ts'
import type { Snapshot } from './snapshot.ts'
import { explainListenError, StartError } from './start-error.ts'
import { createAccessLog } from './telemetry/access-log.ts'
import { createLog, flushLog, type Log } from './telemetry/log.ts'
import { LogDestination } from './telemetry/log-destination.ts'
import { createMetrics, type Metrics, type ReloadReport } from './telemetry/metrics.ts'
import { EndpointRegistry } from './upstream/registry.ts'

export type GatewayInput = ConfigurationInput & {
  /** Where to log; left out: standard output, as the settings say. */
  readonly log?: Log
  /** The version that the metrics name. */
  readonly version?: string
}

export type GatewayPorts = Readonly<{ http?: number; https?: number; admin?: number }>

export type GatewayEvents = { reloaded: [Reloaded]; 'reload-failed': [ReloadFailed] }

export type Gateway = {
  /** What was loaded at the start. */
  readonly configuration: Configuration
  /** What serves now. */
  readonly snapshot: Snapshot
  /** Bound ports, from `start` on. */
  readonly ports: GatewayPorts
  readonly log: Log
  /** Requests and tunnels that are being served. */
  readonly inFlight: number
  /** Opens the ports. Throws a StartError, with nothing left open, where one cannot be had. */
  start(): Promise<void>
  /** Reads everything anew; resolves when the outcome is in force. */
  reload(): Promise<void>
  /** Drains and closes: `forced` where requests or tunnels were cut at the deadline. A second call cuts at once. */
  stop(): Promise<'clean' | 'forced'>
  /** Tells of reloads; whoever listens takes over from the log, which tells of them otherwise. */
  on<E extends keyof GatewayEvents>(event: E, listener: (...values: GatewayEvents[E]) => void): void
}

const STDOUT = 1
/** A log that nobody reads may hold up the stop this long, milliseconds. */
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
  const { error: errors } = countDiagnostics(diagnostics)
  if (errors === 0) return
  const count = errors === 1 ? '1 error' : `${errors} errors`
  const help = 'portico check prints every problem'
  if (hasSettingErrors(diagnostics)) throw new StartError('the settings have errors', help, { diagnostics })
  if (settings.strict) throw new StartError(`${count} in the configuration, and strict is on`, help, { diagnostics })
  if (model.hosts.length === 0 && !model.defaultRoute) {
    throw new StartError(`${count} in the configuration, and nothing is left to serve`, help, { diagnostics })
  }
}

type State = 'created' | 'running' | 'draining' | 'stopped'

class GatewayProcess implements Gateway {
  readonly configuration: Configuration
  readonly log: Log
  readonly #ownsLog: boolean
  readonly #environment: NodeJS.ProcessEnv
  readonly #clock: Clock
  /** Those that are read once are as they were at the start. */
  readonly #settings: Settings
  readonly #events = new EventEmitter<GatewayEvents>()
  readonly #metrics: Metrics
  readonly #registry: EndpointRegistry
  readonly #reloader: Reloader
  readonly #proxy: GatewayProxy
  readonly #watch: FileWatch | undefined
  #listeners: readonly Listener[] = []
  #admin: AdminListener | undefined
  #defaultCertificate: Certificate | undefined
  #ports: GatewayPorts = {}
  #state: State = 'created'
  #stopping: Promise<'clean' | 'forced'> | undefined
  #cut: () => void = () => {}

  constructor(input: GatewayInput, loader: ConfigurationLoader, configuration: Configuration) {
    const { settings } = configuration
    this.configuration = configuration
    this.#environment = input.environment
    this.#settings = settings
    this.#clock = input.clock ?? systemClock
    const destination = new LogDestination({ fd: STDOUT })
    this.#ownsLog = input.log === undefined
    this.log = input.log ?? createLog(settings.log, destination)
    this.#metrics = createMetrics({ version: input.version ?? 'unknown' })
    this.#metrics.watch({
      requestsInFlight: () => this.#proxy.inFlight,
      connections: () => this.#listeners.map(({ name, connections }) => [name, connections] as const),
      logLinesDropped: () => destination.dropped,
    })
    this.#registry = new EndpointRegistry({ settings: () => this.#currentSettings(), clock: this.#clock })
    this.#watch = settings.watch ? this.#createWatch() : undefined
    this.#reloader = new Reloader({
      load: () => loader.load(),
      registry: this.#registry,
      clock: this.#clock,
      first: configuration,
      onLoaded: ({ stamps }) => void this.#watch?.update(stamps),
      onReloaded: (result) => this.#finishReload(result),
      onFailed: (failure) => this.#failReload(failure),
    })
    const accessLog = createAccessLog(this.log)
    this.#proxy = createProxy({
      snapshot: () => this.#reloader.current,
      clock: this.#clock,
      isDraining: () => this.#state !== 'running',
      httpsPort: () => this.#ports.https,
      onFinish: (record) => {
        this.#metrics.observe(record)
        if (this.#currentSettings().log.access) accessLog(record)
      },
    })
  }

  get snapshot(): Snapshot {
    return this.#reloader.current
  }

  get inFlight(): number {
    return this.#proxy.inFlight
  }

  get ports(): GatewayPorts {
    return this.#ports
  }

  on<E extends keyof GatewayEvents>(event: E, listener: (...values: GatewayEvents[E]) => void): void {
    this.#events.on(event, listener as never)
  }

  async start(): Promise<void> {
    try {
      await this.#open()
    } catch (error) {
      await this.#close()
      throw error
    }
    this.#state = 'running'
    this.#metrics.reload(true, describeConfiguration(this.snapshot))
    await this.#watch?.update(this.configuration.stamps)
  }

  reload(): Promise<void> {
    return this.#reloader.reload()
  }

  stop(): Promise<'clean' | 'forced'> {
    if (this.#stopping) this.#cut()
    else this.#stopping = this.#drain()
    return this.#stopping
  }

  /** The admin port first, so that probes are answered from the beginning; the snapshot is there before any port is. */
  async #open(): Promise<void> {
    const { admin, http, https, dataDir } = this.#settings
    if (admin.enabled) {
      const listener = createAdmin({
        settings: this.#settings,
        state: () => this.#describe(),
        metrics: this.#metrics,
        clock: this.#clock,
        log: this.log,
      })
      this.#admin = listener
      await this.#listen('admin', () => listener.listen())
    }
    const names = [...(http.enabled ? (['http'] as const) : []), ...(https.enabled ? (['https'] as const) : [])]
    if (https.enabled) {
      this.#defaultCertificate = await loadDefaultCertificate(
        findDataDir(dataDir, this.#environment),
        this.#clock,
        this.log,
      )
    }
    const defaultCertificate = this.#defaultCertificate
    this.#listeners = names.map((name) =>
      createListener({
        name,
        settings: this.#settings,
        proxy: this.#proxy,
        certificates: () => this.#reloader.current.certificates,
        defaultCertificate,
        strictSni: () => this.#currentSettings().https.strictSni,
        clock: this.#clock,
        log: this.log,
      }),
    )
    // A redirect names the HTTPS port, which must be known before the first request comes on the other.
    for (const listener of [...this.#listeners].reverse()) await this.#listen(listener.name, () => listener.listen())
  }

  async #listen(name: 'http' | 'https' | 'admin', open: () => Promise<{ port: number }>): Promise<void> {
    const { address, port } = this.#settings[name]
    try {
      const bound = await open()
      this.#ports = { ...this.#ports, [name]: bound.port }
    } catch (error) {
      throw explainListenError(error, { name, address, port })
    }
  }

  async #drain(): Promise<'clean' | 'forced'> {
    const wasRunning = this.#state === 'running'
    this.#state = 'draining'
    this.#watch?.close()
    for (const listener of this.#listeners) listener.drain()
    let forced = false
    if (wasRunning && this.#proxy.inFlight > 0) {
      const drainMs = this.#currentSettings().timeouts.drain
      this.log.info({ in_flight: this.#proxy.inFlight, deadline_ms: drainMs }, 'draining')
      forced = await this.#waitUntilIdle(drainMs)
    }
    if (forced) this.log.warn({ in_flight: this.#proxy.inFlight }, 'drain deadline reached: the rest is cut')
    await this.#close()
    this.log.info('stopped')
    await flushLog(this.log, FLUSH_MS)
    return forced ? 'forced' : 'clean'
  }

  /** Whether something was still in flight at the deadline, or when a second stop was asked for. */
  async #waitUntilIdle(drainMs: number): Promise<boolean> {
    let deadline: NodeJS.Timeout | undefined
    const over = new Promise<boolean>((resolve) => {
      this.#cut = () => resolve(true)
      deadline = setTimeout(this.#cut, drainMs)
    })
    const idle = this.#proxy.whenIdle().then(() => false)
    return Promise.race([idle, over]).finally(() => clearTimeout(deadline))
  }

  async #close(): Promise<void> {
    this.#state = 'stopped'
    this.#watch?.close()
    await this.#reloader.close()
    this.#proxy.closeTunnels()
    await Promise.all(this.#listeners.map((listener) => listener.close()))
    await this.#registry.close()
    await this.#admin?.close()
  }

  #currentSettings(): Settings {
    return this.#reloader?.current.settings ?? this.#settings
  }

  #createWatch(): FileWatch {
    return new FileWatch({
      onChange: () => this.#reloader.trigger(),
      onFallback: (reason) =>
        this.log.warn({ reason }, 'no events for some folders: changes of files there are seen within seconds'),
    })
  }

  #describe(): AdminState {
    return {
      ready: this.#state === 'running',
      snapshot: this.#reloader.current,
      ports: this.#ports,
      endpoints: this.#registry.states(),
      ...(this.#defaultCertificate && { defaultCertificate: this.#defaultCertificate }),
    }
  }

  #finishReload(result: Reloaded): void {
    // A log that was given keeps its own level.
    if (this.#ownsLog) this.log.level = result.snapshot.settings.log.level
    this.#metrics.reload(result.kept.length === 0, describeConfiguration(result.snapshot))
    const isHeard = this.#events.emit('reloaded', result)
    if (!isHeard) logReloaded(this.log, result, this.#proxy.inFlight)
  }

  #failReload(failure: ReloadFailed): void {
    this.#metrics.reload(false)
    const isHeard = this.#events.emit('reload-failed', failure)
    if (!isHeard) logReloadFailed(this.log, failure)
  }
}

/** What the metrics say of the configuration in force. */
function describeConfiguration({ builtAt, model, diagnostics }: Snapshot): ReloadReport {
  return {
    at: builtAt,
    routes: model.counts.routes,
    diagnostics: countDiagnostics(diagnostics),
    certificates: model.certificates.flatMap(({ host, certificate }) =>
      certificate ? [{ host, secret: certificate.name, notAfter: certificate.notAfter }] : [],
    ),
  }
}
