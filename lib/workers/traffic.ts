/** What one process that carries traffic has: listeners, the data path, the endpoints with their connections, and the snapshot that serves. */
import type { Clock } from '../base/clock.ts'
import { onContained } from '../base/contain.ts'
import { DeadlineWatch } from '../base/deadline.ts'
import { runInSlices } from '../base/slice.ts'
import { Admission } from '../downstream/admission.ts'
import { createHttpFront, type HttpFront, type HttpFrontOptions } from '../downstream/http-front.ts'
import type { BoundAddress } from '../downstream/listen.ts'
import { createListener, type Listener } from '../downstream/listener.ts'
import { createProxy, type Proxy as GatewayProxy } from '../downstream/proxy.ts'
import { DatagramPort, type SessionBudget } from '../l4/datagram-port.ts'
import { Relays } from '../l4/relay.ts'
import { StreamPort } from '../l4/stream-port.ts'
import type { Certificate } from '../model/certificate.ts'
import type { EndpointTrouble, UpstreamKey } from '../model/upstream.ts'
import { DescriptorReserve, findDescriptorLimit, fitSockets } from '../platform/descriptors.ts'
import type { Settings } from '../settings/table.ts'
import { type Snapshot, SnapshotBuilder } from '../snapshot/snapshot.ts'
import type { SnapshotUpdate } from '../snapshot/update.ts'
import { createAccessLog, createConnectionLog } from '../telemetry/access-log.ts'
import { createContainedLog } from '../telemetry/contained-log.ts'
import type { Log } from '../telemetry/log.ts'
import { createLoopbackHint } from '../telemetry/loopback-hint.ts'
import type { ConnectionResult, RequestCounts } from '../telemetry/request-counts.ts'
import type { CircuitState } from '../upstream/choice/circuit.ts'
import { EndpointRegistry } from '../upstream/choice/registry.ts'
import type { EndpointState } from '../upstream/endpoint/endpoint.ts'

export type TrafficOptions = {
  /** As they are at the start. */
  readonly settings: Settings
  readonly clock: Clock
  readonly log: Log
  readonly counts: RequestCounts
  /** The HTTPS listener needs it. */
  readonly defaultCertificate: Certificate | undefined
  /** What TLS session tickets are sealed with: whoever has the same takes up each other's sessions. */
  readonly ticketSecret: Buffer
  /** What affinity cookies are signed with: whoever has the same takes each other's. */
  readonly affinitySecret: Buffer
  /** The bound HTTPS port, for redirects. */
  readonly httpsPort: () => number | undefined
  /** Requests to an endpoint fail more often than its policy allows. */
  readonly onTrouble?: (trouble: EndpointTrouble) => void
}

/** `http`, `https`, or the place (model/service-listener) of a Service's port. */
export type ListenerName = string

type Port = StreamPort | DatagramPort

export class Traffic {
  /** Of this process. */
  readonly reserve: DescriptorReserve = new DescriptorReserve()
  readonly #options: TrafficOptions
  readonly #registry: EndpointRegistry
  readonly #builder: SnapshotBuilder
  readonly #proxy: GatewayProxy
  readonly #relays: Relays
  readonly #admission: Admission
  readonly #listeners = new Map<ListenerName, Listener>()
  /** Of Services, by place. */
  readonly #ports = new Map<ListenerName, Port>()
  /** Those that take no more connections and still have some. */
  readonly #leaving = new Set<Port>()
  /** What serves HTTP and HTTPS at ports of Services, as soon as one of them is to. */
  readonly #fronts = new Map<'http' | 'https', HttpFront>()
  readonly #watch: DeadlineWatch
  readonly #budget: SessionBudget = { open: 0, most: fitSockets(findDescriptorLimit()) }
  /** Those of the update being built, as soon as it is. */
  #settings: Settings
  #snapshot: Snapshot | undefined
  #updates: Promise<void> = Promise.resolve()
  #isDraining = false
  #cut: () => void = () => {}
  /** Ends the hearing of what is contained. */
  readonly #unhear: () => void

  constructor(options: TrafficOptions) {
    const { settings, clock, log, counts, httpsPort, affinitySecret, onTrouble } = options
    this.#options = options
    this.#settings = settings
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
    this.#builder = new SnapshotBuilder(this.#registry)
    const accessLog = createAccessLog(log)
    const hint = createLoopbackHint(log)
    this.#proxy = createProxy({
      snapshot: () => this.#snapshot,
      clock,
      isDraining: () => this.#isDraining,
      httpsPort,
      onFinish: (record) => {
        counts.observe(record)
        if (this.#settings.log.access) accessLog(record)
        hint(record.error, record.endpoint)
      },
    })
    this.#admission = new Admission({ settings, reserve: this.reserve, onResult: this.#countConnection, clock, log })
    const connectionLog = createConnectionLog(log)
    this.#relays = new Relays({
      settings: () => this.#settings,
      clock,
      deadlines: this.#watch,
      onFinish: (record) => {
        counts.countConnection(record.listener, record.error ? 'failed' : 'served')
        counts.countBytes(record.listener, record)
        if (this.#settings.log.access) connectionLog(record)
        hint(record.error, record.endpoint)
      },
    })
  }

  /** What serves now; undefined before the first update. */
  get snapshot(): Snapshot | undefined {
    return this.#snapshot
  }

  /** Requests, tunnels and connections of Services under way. */
  get inFlight(): number {
    return this.#proxy.inFlight + this.#relays.size
  }

  /** Upgraded connections under way. */
  get tunnels(): number {
    return this.#proxy.tunnels
  }

  /** Open client connections by listener, and UDP sessions; ports of Services by the ids of their listeners. */
  connections(): ReadonlyMap<string, number> {
    const counts = new Map<string, number>()
    for (const { name, connections } of this.#listeners.values()) counts.set(name, connections)
    for (const { label, connections } of [...this.#ports.values(), ...this.#leaving]) {
      counts.set(label, (counts.get(label) ?? 0) + connections)
    }
    return counts
  }

  /** Every endpoint in use or still busy. */
  endpoints(): Iterable<EndpointState> {
    return this.#registry.states()
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
   * Opens a port, of a Service once its listener is in force; with `handle`, a bound socket of another process. Rejects with
   * Node's error.
   */
  async listen(name: ListenerName, handle?: object): Promise<BoundAddress> {
    if (this.#isDraining) throw new Error('draining')
    if (name !== 'http' && name !== 'https') return this.#listenFor(name, handle)
    const { settings } = this.#options
    const listener = createListener({
      ...this.#frontOptions(),
      name,
      admission: this.#admission,
      onResult: this.#countConnection,
      current: () => this.#snapshot?.settings ?? settings,
      ...(handle && { handle }),
    })
    this.#listeners.set(name, listener)
    return listener.listen()
  }

  /** Takes no more connections at a Service's port; those that it has go on, UDP sessions end. */
  unlisten(place: ListenerName): void {
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
    for (const listener of this.#listeners.values()) listener.drain()
    for (const port of this.#ports.values()) {
      if (port instanceof DatagramPort) port.drain()
      else void port.stop()
    }
    for (const front of this.#fronts.values()) front.drain()
  }

  /** Waits for all that is under way to end, `deadlineMs` at most or until `cut`; resolves to the number that are left. */
  async finish(deadlineMs: number): Promise<number> {
    if (this.inFlight === 0) return 0
    let deadline: NodeJS.Timeout | undefined
    const over = new Promise<void>((resolve) => {
      this.#cut = resolve
      deadline = setTimeout(resolve, deadlineMs)
    })
    await Promise.race([Promise.all([this.#proxy.whenIdle(), this.#relays.whenIdle()]), over])
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
    this.#proxy.closeTunnels()
    this.#relays.destroy()
    for (const port of [...this.#ports.values(), ...this.#leaving]) port.close()
    const closing = [...this.#listeners.values(), ...this.#fronts.values()]
    await Promise.all(closing.map((each) => each.close()))
    await this.#registry.close()
    this.reserve.close()
    this.#unhear()
  }

  async #listenFor(place: ListenerName, handle: object | undefined): Promise<BoundAddress> {
    const { clock, log } = this.#options
    const listener = this.#snapshot?.listeners.get(place)?.listener
    if (!listener) throw new Error(`${place} is wanted by no listener in force`)
    const { address, port: number } = listener
    const shared = {
      place,
      snapshot: () => this.#snapshot,
      onResult: this.#countConnection,
      clock,
      log,
    }
    const where = { address, port: number }
    const port =
      listener.transport === 'UDP'
        ? new DatagramPort({
            ...shared,
            where,
            watch: this.#watch,
            budget: this.#budget,
            onBytes: (label, bytes) => this.#options.counts.countBytes(label, bytes),
          })
        : new StreamPort({
            ...shared,
            where: handle ?? where,
            admission: this.#admission,
            relays: this.#relays,
            front: (tls) => this.#fronts.get(tls ? 'https' : 'http'),
          })
    // At once, so that it can be given up while it is opened.
    this.#ports.set(place, port)
    try {
      return await port.listen()
    } catch (error) {
      if (this.#ports.get(place) === port) this.#ports.delete(place)
      throw error
    }
  }

  #frontOptions(): HttpFrontOptions {
    const { settings, defaultCertificate, ticketSecret, clock, log } = this.#options
    return {
      settings,
      proxy: this.#proxy,
      certificates: () => this.#snapshot?.certificates,
      defaultCertificate,
      ticketSecret,
      strictSni: () => this.#settings.https.strictSni,
      clock,
      log,
    }
  }

  async #apply(update: SnapshotUpdate): Promise<void> {
    // The registry asks for them while the pools are made.
    this.#settings = update.settings ?? this.#settings
    for (const { layer, tls } of update.listeners) if (layer === 'L7') await this.#prepareFront(tls ? 'https' : 'http')
    await runInSlices(this.#swap(update))
  }

  /** Connections of a Service's port may come as soon as the listener is in force. */
  async #prepareFront(scheme: 'http' | 'https'): Promise<void> {
    if (this.#fronts.has(scheme)) return
    const { defaultCertificate, log } = this.#options
    if (scheme === 'https' && !defaultCertificate) {
      log.warn('ports of Services that end TLS need the default certificate, which is loaded at the next start')
      return
    }
    const front = createHttpFront(scheme, this.#frontOptions())
    await front.ready()
    this.#admission.addSource(front)
    this.#fronts.set(scheme, front)
  }

  #countConnection = (listener: string, result: ConnectionResult): void => {
    this.#options.counts.countConnection(listener, result)
  };

  *#swap(update: SnapshotUpdate): Generator<void, void> {
    const snapshot = yield* this.#builder.build(update)
    this.#snapshot = snapshot
    yield* this.#registry.retainInSteps(snapshot.pools)
  }
}
