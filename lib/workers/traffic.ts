/** What one process that carries traffic has: ports, the handler of requests, the endpoints with their connections, and the snapshot that serves. */
import { join } from 'node:path'
import { AdminToken, wantsToken } from '../admin/admin-token.ts'
import type { Clock } from '../base/clock.ts'
import { onContained } from '../base/contain.ts'
import { DeadlineWatch } from '../base/deadline.ts'
import { compileRedaction, type SecretNames } from '../base/redact.ts'
import { runInSlices } from '../base/slice.ts'
import { Admission } from '../downstream/admission.ts'
import { Doors } from '../downstream/doors.ts'
import { FilterChains } from '../filters/chain.ts'
import { DatagramPort, type SessionBudget } from '../l4/datagram-port.ts'
import { Relays } from '../l4/relay.ts'
import { StreamPort } from '../l4/stream-port.ts'
import type { Certificate } from '../model/certificate.ts'
import { isServiceListener, type Listener } from '../model/listener.ts'
import type { EndpointTrouble, UpstreamKey } from '../model/upstream.ts'
import { DescriptorReserve, findDescriptorLimit, fitSockets } from '../platform/descriptors.ts'
import type { BoundAddress } from '../platform/listen.ts'
import { RequestHandler } from '../request/handler.ts'
import { findOrigin } from '../request/origin.ts'
import { Spools } from '../request/spools.ts'
import type { Settings } from '../settings/table.ts'
import { type Snapshot, SnapshotBuilder } from '../snapshot/snapshot.ts'
import type { SnapshotUpdate } from '../snapshot/update.ts'
import { AccessWriter } from '../telemetry/access-writer.ts'
import { createContainedLog } from '../telemetry/contained-log.ts'
import type { Log } from '../telemetry/log.ts'
import type { LogDestination } from '../telemetry/log-destination.ts'
import { LogThrottle } from '../telemetry/log-throttle.ts'
import { createLoopbackHint } from '../telemetry/loopback-hint.ts'
import type { BufferedBytes } from '../telemetry/metrics.ts'
import type { RequestObserver } from '../telemetry/record.ts'
import type { ConnectionResult, RequestCounts } from '../telemetry/request-counts.ts'
import { RequestRecords } from '../telemetry/request-records.ts'
import { Tracer } from '../telemetry/tracer.ts'
import { TrafficMeter } from '../telemetry/traffic-meter.ts'
import type { CircuitState } from '../upstream/choice/circuit.ts'
import { EndpointRegistry } from '../upstream/choice/registry.ts'
import type { EndpointState } from '../upstream/endpoint/endpoint.ts'

export type TrafficOptions = {
  /** As they are at the start. */
  readonly settings: Settings
  readonly clock: Clock
  readonly log: Log
  /** What `log` writes to; undefined where it was given by an embedding program. */
  readonly stdout?: LogDestination | undefined
  /** The number of this process; 0: the one that reads the configuration. */
  readonly worker?: number
  readonly counts: RequestCounts
  /** Listeners that end TLS need it. */
  readonly defaultCertificate: Certificate | undefined
  /** Seals TLS session tickets: processes with the same secret resume each other's sessions. */
  readonly ticketSecret: Buffer
  /** Signs affinity cookies: processes with the same secret accept each other's. */
  readonly affinitySecret: Buffer
  /** The folder for data, which may not exist yet. */
  readonly dataFolder: string
  /** Processes that carry traffic: each takes its part of limits that are for all together. */
  readonly processes?: number
  /** Requests to an endpoint fail more often than its policy allows. */
  readonly onTrouble?: (trouble: EndpointTrouble) => void
}

type Port = StreamPort | DatagramPort

/** An access log that is not taken may hold up the end this long, milliseconds. */
const FLUSH_MS = 500

export class Traffic {
  /** Of this process. */
  readonly reserve: DescriptorReserve = new DescriptorReserve()
  readonly records: RequestRecords
  readonly meter: TrafficMeter = new TrafficMeter()
  readonly #options: TrafficOptions
  readonly #spools: Spools
  readonly #registry: EndpointRegistry
  readonly #builder: SnapshotBuilder
  readonly #handler: RequestHandler
  readonly #onFinish: RequestObserver
  readonly #accessLog: AccessWriter
  readonly #relays: Relays
  /** Undefined: tracing is off. */
  readonly #tracer: Tracer | undefined
  readonly #admission: Admission
  /** By place. */
  readonly #ports = new Map<string, Port>()
  /** Ports that take no more connections and still have some. */
  readonly #leaving = new Set<Port>()
  /** As soon as a listener is to serve HTTP, or HTTPS. */
  readonly #doors = new Map<'http' | 'https', Doors>()
  readonly #watch: DeadlineWatch
  readonly #budget: SessionBudget = { open: 0, most: fitSockets(findDescriptorLimit()) }
  #snapshot: Snapshot | undefined
  /** The bound port of the listener `https`, for redirects. */
  #httpsPort: number | undefined
  #updates: Promise<void> = Promise.resolve()
  #redaction: SecretNames
  #isDraining = false
  #cut: () => void = () => {}
  /** Ends the hearing of what is contained. */
  readonly #unhear: () => void

  constructor(options: TrafficOptions) {
    const { settings, clock, log, counts, affinitySecret, dataFolder, processes = 1, onTrouble } = options
    const { stdout, worker = 0 } = options
    const httpsPort = () => this.#httpsPort
    this.#options = options
    this.#unhear = onContained(createContainedLog(log, counts, clock))
    this.#watch = new DeadlineWatch(clock)
    this.#registry = new EndpointRegistry({
      settings: () => this.#settings,
      clock,
      affinitySecret,
      ...(onTrouble && { onTrouble }),
      onCircuit: ({ upstream, state, reason }) => {
        const message = `the circuit of ${upstream} is ${state}: ${reason}`
        // Each worker has a circuit of its own.
        const fields = { service: upstream, circuit: state, worker_pid: process.pid }
        if (state === 'open') log.warn(fields, message)
        else log.info(fields, message)
      },
      onAuthorities: ({ file, fault, isKept }) => {
        const left = isKept ? 'the authorities it had before' : "the system's authorities alone"
        const fields = { file, ...(fault !== undefined && { reason: fault }), worker_pid: process.pid }
        if (fault === undefined) log.info(fields, 'caFile: authorities read anew')
        else log.warn(fields, `caFile cannot be used: ${left} are trusted`)
      },
    })
    const warnings = new LogThrottle(clock)
    const warn = (message: string) => {
      if (warnings.admit(message)) log.warn({ worker_pid: process.pid }, message)
    }
    this.#builder = new SnapshotBuilder(
      this.#registry,
      new FilterChains({
        clock,
        processes,
        httpsPort: () => this.#settings.https.redirectPort || httpsPort() || 443,
        warn,
      }),
    )
    this.#spools = new Spools({
      folder: settings.buffering.folder || join(dataFolder, 'bodies'),
      limits: () => this.#settings.buffering,
      reserve: this.reserve,
      warn,
    })
    this.#accessLog = new AccessWriter({ log, stdout, settings, worker })
    const { records, slowRequest } = settings.admin
    this.records = new RequestRecords({ size: records, slowMs: slowRequest, redact: () => this.#redaction })
    this.#redaction = compileRedaction(settings.accessLog.redact)
    const { exporter, endpoint, serviceName } = settings.tracing
    if (exporter !== 'none') {
      this.#tracer = new Tracer({ exporter, endpoint, serviceName, redact: () => this.#redaction, log, clock })
    }
    const isObserved = settings.admin.enabled && records > 0
    const hint = createLoopbackHint(log)
    this.#onFinish = (record, more) => {
      counts.observe(record, more)
      if (isObserved) {
        this.meter.observe(record)
        this.records.observe(record, more)
      }
      if (this.#settings.log.access && record.isLogged) this.#accessLog.request(record, more)
      if (more !== undefined) this.#tracer?.note(record, more)
      hint(record.error, record.endpoint)
    }
    const token = this.#readToken()
    this.#handler = new RequestHandler({
      snapshot: () => this.#snapshot,
      clock,
      spools: this.#spools,
      isDraining: () => this.#isDraining,
      ...(token && { isAdminToken: (text: string) => token.fits(text) }),
      onFinish: this.#onFinish,
      onMirrored: (mirror, result) => counts.countMirrored(mirror, result),
    })
    this.#admission = new Admission({ settings, reserve: this.reserve, onResult: this.#countConnection, clock, log })
    this.#relays = new Relays({
      settings: () => this.#settings,
      clock,
      deadlines: this.#watch,
      onFinish: (record) => {
        counts.countConnection(record.listener, record.error ? 'failed' : 'served')
        counts.countBytes(record.listener, record)
        if (this.#settings.log.access) this.#accessLog.connection(record)
        hint(record.error, record.endpoint)
      },
    })
  }

  /** Undefined where there is none, or where it cannot be read: the listener, which has it too, tells of that. */
  #readToken(): AdminToken | undefined {
    const { settings, clock, log } = this.#options
    if (!settings.admin.enabled || !wantsToken(settings.admin)) return undefined
    try {
      return new AdminToken({ admin: settings.admin, clock, log: log.child({}, { level: 'silent' }) })
    } catch {
      return undefined
    }
  }

  /** The settings in force; before the first update, the settings of the start. */
  get #settings(): Settings {
    return this.#snapshot?.settings ?? this.#options.settings
  }

  /** What serves now; undefined before the first update. */
  get snapshot(): Snapshot | undefined {
    return this.#snapshot
  }

  /** Requests, tunnels and connections of Services under way. */
  get inFlight(): number {
    return this.#handler.inFlight + this.#relays.size
  }

  /** Upgraded connections under way. */
  get tunnels(): number {
    return this.#handler.tunnels
  }

  /** Requests of HTTP/2 under way. */
  get streams(): number {
    return this.#handler.streams
  }

  /** Requests that wait for a place, by upstream. */
  queued(): Iterable<readonly [UpstreamKey, number]> {
    return this.#registry.queued()
  }

  get buffered(): BufferedBytes {
    const { memoryBytes, fileBytes } = this.#spools
    return { memory: memoryBytes, file: fileBytes }
  }

  /** Access lines that could not be written to a file or syslog. */
  get accessLinesDropped(): number {
    return this.#accessLog.dropped
  }

  /** Begins the file of the access log anew. */
  reopenLog(): void {
    this.#accessLog.reopen()
  }

  /** Open client connections, and UDP sessions, by the ids of listeners. */
  connections(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>()
    for (const { label, connections } of [...this.#ports.values(), ...this.#leaving]) {
      counts.set(label, (counts.get(label) ?? 0) + connections)
    }
    return counts
  }

  /** Every endpoint in use or still busy. */
  endpoints(): Iterable<EndpointState> {
    return this.#registry.states()
  }

  closeCircuits(port: UpstreamKey): void {
    this.#registry.closeCircuits(port, 'closed by hand')
  }

  /** The circuits that are not closed. */
  circuits(): Iterable<readonly [UpstreamKey, CircuitState]> {
    return this.#registry.circuits()
  }

  /** Resolves when the update is in force; requests are served while it is prepared. Updates follow each other. */
  apply(update: SnapshotUpdate): Promise<void> {
    const applied = this.#updates.then(() => this.#apply(update))
    this.#updates = applied.catch(() => {})
    return applied
  }

  /**
   * Opens the port of the listener in force at a place; with `handle`, a bound socket of another process. Rejects with Node's
   * error.
   */
  async listen(place: string, handle?: object): Promise<BoundAddress> {
    if (this.#isDraining) throw new Error('draining')
    const listener = this.#snapshot?.listeners.get(place)?.listener
    if (!listener) throw new Error(`${place} is wanted by no listener in force`)
    const port = this.#createPort(place, listener, handle)
    // At once, so that it can be given up while it is opened.
    this.#ports.set(place, port)
    try {
      const bound = await port.listen()
      if (listener.id === 'https') this.#httpsPort = bound.port
      return bound
    } catch (error) {
      if (this.#ports.get(place) === port) this.#ports.delete(place)
      throw error
    }
  }

  /** Takes no more connections at a place; those that it has go on, UDP sessions end. */
  unlisten(place: string): void {
    const port = this.#ports.get(place)
    this.#ports.delete(place)
    if (port instanceof DatagramPort) port.close()
    else if (port) {
      this.#leaving.add(port)
      void port.stop().then(() => this.#leaving.delete(port))
    }
  }

  /** Takes no more connections, closes those that are idle, and lets requests end. */
  drain(): void {
    this.#isDraining = true
    for (const port of this.#ports.values()) {
      if (port instanceof DatagramPort) port.drain()
      else void port.stop()
    }
    for (const doors of this.#doors.values()) doors.drain()
  }

  /** Waits for all that is under way to end, `deadlineMs` at most or until `cut`; resolves to the number that are left. */
  async finish(deadlineMs: number): Promise<number> {
    if (this.inFlight === 0) return 0
    let deadline: NodeJS.Timeout | undefined
    const over = new Promise<void>((resolve) => {
      this.#cut = resolve
      deadline = setTimeout(resolve, deadlineMs)
    })
    await Promise.race([Promise.all([this.#handler.whenIdle(), this.#relays.whenIdle()]), over])
    clearTimeout(deadline)
    return this.inFlight
  }

  /** Ends the wait of `finish`. */
  cut(): void {
    this.#cut()
  }

  /** Cuts what is left. */
  async close(): Promise<void> {
    this.drain()
    await this.#updates
    this.#handler.close()
    this.#relays.destroy()
    for (const port of [...this.#ports.values(), ...this.#leaving]) port.close()
    await Promise.all([...this.#doors.values()].map((doors) => doors.close()))
    await this.#registry.close()
    await this.#tracer?.close()
    await this.#accessLog.flush(FLUSH_MS)
    this.#accessLog.close()
    this.reserve.close()
    this.#unhear()
  }

  #createPort(place: string, { transport, address, port }: Listener, handle: object | undefined): Port {
    const { clock, log, counts } = this.#options
    const where = { address, port }
    const shared = { place, snapshot: () => this.#snapshot, onResult: this.#countConnection, clock, log }
    return transport === 'UDP'
      ? new DatagramPort({
          ...shared,
          where,
          watch: this.#watch,
          budget: this.#budget,
          onBytes: (label, bytes) => counts.countBytes(label, bytes),
        })
      : new StreamPort({
          ...shared,
          where: handle ?? where,
          admission: this.#admission,
          relays: this.#relays,
          doors: (tls) => this.#doors.get(tls ? 'https' : 'http'),
        })
  }

  async #apply(update: SnapshotUpdate): Promise<void> {
    for (const { layer, tls } of update.listeners) if (layer === 'L7') await this.#prepareDoors(tls ? 'https' : 'http')
    await runInSlices(this.#swap(update))
  }

  /** Connections may come as soon as the listener is in force. */
  async #prepareDoors(scheme: 'http' | 'https'): Promise<void> {
    if (this.#doors.has(scheme)) return
    const { settings, defaultCertificate, ticketSecret, clock, log } = this.#options
    if (scheme === 'https' && !defaultCertificate) {
      log.warn('ports of Services that end TLS need the default certificate, which is loaded at the next start')
      return
    }
    const doors = new Doors(scheme, {
      settings,
      handler: this.#handler,
      onFinish: this.#onFinish,
      certificates: () => this.#snapshot?.certificates,
      passthrough: (servername, connection) => {
        const place = findOrigin(connection)?.place
        const listener = place === undefined ? undefined : this.#snapshot?.listeners.get(place)?.listener
        // Ports of Services have no hosts.
        if (listener === undefined || isServiceListener(listener)) return undefined
        const key = this.#snapshot?.certificates.find(servername)?.passthrough
        const entry = key === undefined ? undefined : this.#snapshot?.passthroughs.get(key)
        return entry && (() => this.#relays.open(connection, entry))
      },
      defaultCertificate,
      ticketSecret,
      onHandshake: (version, isResumed) => this.#options.counts.countHandshake(version, isResumed),
      onHandshakeFailure: (reason) => this.#options.counts.countHandshakeFailure(reason),
      strictSni: () => this.#settings.https.strictSni,
      clock,
      log,
    })
    await doors.ready()
    this.#admission.addSource(doors)
    this.#doors.set(scheme, doors)
  }

  #countConnection = (listener: string, result: ConnectionResult): void => {
    this.#options.counts.countConnection(listener, result)
  };

  *#swap(update: SnapshotUpdate): Generator<void, void> {
    const snapshot = yield* this.#builder.build(update)
    for (const pool of snapshot.pools) {
      pool.enter()
      yield
    }
    this.#snapshot = snapshot
    this.#redaction = compileRedaction(snapshot.settings.accessLog.redact)
    this.#accessLog.configure(snapshot.settings)
    if (snapshot.buffersBodies) void this.#spools.prepare()
    yield* this.#registry.retainInSteps(snapshot.pools)
  }
}
