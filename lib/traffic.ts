/** What one process that carries traffic has: listeners, the data path, the endpoints with their connections, and the snapshot that serves. */
import type { Clock } from './base/clock.ts'
import { runInSlices } from './base/slice.ts'
import type { Certificate } from './model/certificate.ts'
import { createProxy, type Proxy as GatewayProxy } from './proxy/proxy.ts'
import { createListener, type Listener } from './server/listener.ts'
import type { Settings } from './settings-table.ts'
import { type Snapshot, SnapshotBuilder } from './snapshot.ts'
import type { SnapshotUpdate } from './snapshot-update.ts'
import { createAccessLog } from './telemetry/access-log.ts'
import type { Log } from './telemetry/log.ts'
import type { RequestCounts } from './telemetry/request-counts.ts'
import type { EndpointState } from './upstream/endpoint.ts'
import { EndpointRegistry } from './upstream/registry.ts'

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
}

export type ListenerName = 'http' | 'https'

export class Traffic {
  readonly #options: TrafficOptions
  readonly #registry: EndpointRegistry
  readonly #builder: SnapshotBuilder
  readonly #proxy: GatewayProxy
  readonly #listeners: Listener[] = []
  /** Those of the update being built, as soon as it is. */
  #settings: Settings
  #snapshot: Snapshot | undefined
  #updates: Promise<void> = Promise.resolve()
  #isServing = false
  #cut: () => void = () => {}

  constructor(options: TrafficOptions) {
    const { settings, clock, log, counts, httpsPort, affinitySecret } = options
    this.#options = options
    this.#settings = settings
    this.#registry = new EndpointRegistry({ settings: () => this.#settings, clock, affinitySecret })
    this.#builder = new SnapshotBuilder(this.#registry)
    const accessLog = createAccessLog(log)
    this.#proxy = createProxy({
      snapshot: () => this.#snapshot,
      clock,
      isDraining: () => !this.#isServing,
      httpsPort,
      onFinish: (record) => {
        counts.observe(record)
        if (this.#settings.log.access) accessLog(record)
      },
    })
  }

  /** What serves now; undefined before the first update. */
  get snapshot(): Snapshot | undefined {
    return this.#snapshot
  }

  /** Requests and tunnels under way. */
  get inFlight(): number {
    return this.#proxy.inFlight
  }

  /** Open client connections of a listener. */
  connections(name: ListenerName): number {
    return this.#listeners.find((listener) => listener.name === name)?.connections ?? 0
  }

  /** Every endpoint in use or still busy. */
  endpoints(): Iterable<EndpointState> {
    return this.#registry.states()
  }

  /** Resolves when the update is in force; requests are served while it is prepared. Updates follow each other. */
  apply(update: SnapshotUpdate): Promise<void> {
    const applied = this.#updates.then(() => this.#apply(update))
    this.#updates = applied.catch(() => {})
    return applied
  }

  /** Opens a port; with `handle`, a bound socket of another process. Rejects with Node's error. */
  async listen(name: ListenerName, handle?: object): Promise<{ address: string; port: number }> {
    const { settings, defaultCertificate, ticketSecret, clock, log } = this.#options
    const listener = createListener({
      name,
      settings,
      proxy: this.#proxy,
      certificates: () => this.#snapshot?.certificates,
      defaultCertificate,
      ticketSecret,
      strictSni: () => this.#settings.https.strictSni,
      clock,
      log,
      ...(handle && { handle }),
    })
    this.#listeners.push(listener)
    const bound = await listener.listen()
    this.#isServing = true
    return bound
  }

  /** Takes no more connections, closes those that are idle, and lets requests end. */
  drain(): void {
    this.#isServing = false
    for (const listener of this.#listeners) listener.drain()
  }

  /** Waits for requests and tunnels to end, `deadlineMs` at most or until `cut`; resolves to the number that are left. */
  async finish(deadlineMs: number): Promise<number> {
    if (this.inFlight === 0) return 0
    let deadline: NodeJS.Timeout | undefined
    const over = new Promise<void>((resolve) => {
      this.#cut = resolve
      deadline = setTimeout(resolve, deadlineMs)
    })
    await Promise.race([this.#proxy.whenIdle(), over])
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
    await Promise.all(this.#listeners.map((listener) => listener.close()))
    await this.#registry.close()
  }

  async #apply(update: SnapshotUpdate): Promise<void> {
    // The registry asks for them while the pools are made.
    this.#settings = update.settings ?? this.#settings
    await runInSlices(this.#swap(update))
  }

  *#swap(update: SnapshotUpdate): Generator<void, void> {
    const snapshot = yield* this.#builder.build(update)
    this.#snapshot = snapshot
    yield* this.#registry.retainInSteps(snapshot.pools)
  }
}
