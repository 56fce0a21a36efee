/** All workers of a gateway: starts them, replaces those that die, hands configurations on, and adds up their figures. */
import type { EndpointFigures } from '../admin/views.ts'
import { type Carrier, type CarrierOptions, listListeners, type TrafficPorts, type WorkerState } from '../carrier.ts'
import { type LiveConfiguration, type ServedConfiguration, selectLive } from '../snapshot-update.ts'
import { explainListenError, StartError } from '../start-error.ts'
import type { ListenerName } from '../traffic.ts'
import { ListeningSocket } from './listening-socket.ts'
import { Tally } from './tally.ts'
import { type Ending, Worker } from './worker.ts'

export type WorkerSetOptions = CarrierOptions & {
  readonly size: number
  /** Milliseconds between two looks at whether all answer; given by tests. */
  readonly tickMs?: number
}

/** A worker that ends within this time of its start has failed, and the next waits, milliseconds. */
const STABLE_MS = 10_000
/** How long the next waits after a second failure in a row; twice as long after each further one, milliseconds. */
const FIRST_DELAY_MS = 100
const MAX_DELAY_MS = 5_000
const TICK_MS = 1_000
/** A worker tells its figures every second. One that says nothing for so many is hung, and killed. */
const MAX_SILENT_TICKS = 15
/** A scrape does not wait longer for a worker that is busy, milliseconds: its figures come with the next. */
const REFRESH_MS = 1_000
/** What a worker may take to end beyond the drain deadline, milliseconds. */
const END_MS = 2_000

/** The place of a worker: processes in it follow each other. */
type Slot = {
  readonly number: number
  worker: Worker | undefined
  startedAt: number
  restarts: number
  /** Failures in a row. */
  failures: number
  /** Of the processes that ended here. */
  cpuSeconds: number
  timer: NodeJS.Timeout | undefined
}

export class WorkerSet implements Carrier {
  readonly #options: WorkerSetOptions
  readonly #slots: readonly Slot[]
  readonly #tally: Tally
  readonly #sockets = new Map<ListenerName, ListeningSocket>()
  #live: LiveConfiguration | undefined
  #ticker: NodeJS.Timeout | undefined
  #isStopping = false

  constructor(options: WorkerSetOptions) {
    this.#options = options
    this.#tally = new Tally(options.counts)
    this.#slots = Array.from({ length: options.size }, (_, index) => ({
      number: index + 1,
      worker: undefined,
      startedAt: 0,
      restarts: 0,
      failures: 0,
      cpuSeconds: 0,
      timer: undefined,
    }))
  }

  async start(first: ServedConfiguration): Promise<TrafficPorts> {
    const { settings, size, tickMs = TICK_MS } = this.#options
    this.#live = selectLive(first)
    for (const name of listListeners(settings)) {
      const { address, port } = settings[name]
      try {
        this.#sockets.set(name, ListeningSocket.bind(address, port, size))
      } catch (error) {
        throw explainListenError(error, { name, address, port })
      }
    }
    const failures = await Promise.all(this.#slots.map((slot) => this.#begin(slot)))
    for (const failure of failures) if (failure !== undefined) throw failure
    for (const slot of this.#slots) this.#watch(slot)
    this.#ticker = setInterval(() => this.#tick(), tickMs)
    return portsOf(this.#sockets)
  }

  async apply(next: ServedConfiguration): Promise<void> {
    const before = this.#live
    const live = selectLive(next, before)
    this.#live = live
    await Promise.all(this.#slots.map(({ worker }) => worker?.apply(live)))
    if (live.upstreams === before?.upstreams) return
    const wanted = new Set<string>()
    for (const { key, protocol, endpoints } of live.upstreams.values()) {
      for (const { host, port } of endpoints) wanted.add(`${key} ${protocol} ${host} ${port}`)
    }
    this.#tally.retain(({ upstream, protocol, host, port }) => wanted.has(`${upstream} ${protocol} ${host} ${port}`))
  }

  get isUp(): boolean {
    return this.#slots.some(({ worker }) => worker?.isServing)
  }

  get inFlight(): number {
    return this.#slots.reduce((sum, { worker }) => sum + (worker?.inFlight ?? 0), 0)
  }

  get logLinesDropped(): number {
    return this.#tally.logLinesDropped + this.#options.logLinesDropped()
  }

  connections(): Iterable<readonly [ListenerName, number]> {
    return [...this.#sockets.keys()].map((name) => {
      const sum = this.#slots.reduce((count, { worker }) => count + (worker?.figures?.connections[name] ?? 0), 0)
      return [name, sum] as const
    })
  }

  endpoints(): Iterable<EndpointFigures> {
    return this.#tally.endpoints()
  }

  workers(): readonly WorkerState[] {
    return this.#slots.map(({ number, worker, restarts, cpuSeconds }) => {
      const figures = worker?.figures
      return {
        worker: number,
        pid: worker?.pid,
        isUp: worker?.isServing ?? false,
        restarts,
        generation: worker?.generation ?? 0,
        inFlight: worker?.inFlight ?? 0,
        connections: figures ? figures.connections.http + figures.connections.https : 0,
        residentBytes: figures?.residentBytes ?? 0,
        heapBytes: figures?.heapBytes ?? 0,
        cpuSeconds: cpuSeconds + (figures?.cpuSeconds ?? 0),
      }
    })
  }

  async refresh(): Promise<void> {
    await withDeadline(Promise.all(this.#living().map((worker) => worker.refresh())), REFRESH_MS)
  }

  async drain(): Promise<number> {
    this.#stopReplacing()
    const draining = Promise.all(this.#living().map((worker) => worker.drain()))
    // From now on nobody can connect, and nobody waits in a queue.
    this.#closeSockets()
    const counts = (await withDeadline(draining, REFRESH_MS)) ?? []
    return counts.reduce((sum, count) => sum + count, 0)
  }

  async finish(deadlineMs: number): Promise<number> {
    const finished = Promise.all(this.#living().map((worker) => worker.finish(deadlineMs)))
    const left = (await withDeadline(finished, deadlineMs + END_MS)) ?? []
    return left.reduce((sum, count) => sum + count, 0)
  }

  cut(): void {
    for (const worker of this.#living()) worker.cut()
  }

  async close(): Promise<void> {
    this.#stopReplacing()
    this.#closeSockets()
    const workers = this.#living()
    for (const worker of workers) void worker.finish(0)
    const ended = Promise.all(workers.map((worker) => worker.ended))
    if (await withDeadline(ended, END_MS)) return
    for (const worker of workers) worker.kill()
    await ended
  }

  #living(): readonly Worker[] {
    return this.#slots.flatMap(({ worker }) => worker ?? [])
  }

  #stopReplacing(): void {
    this.#isStopping = true
    clearInterval(this.#ticker)
    for (const { timer } of this.#slots) clearTimeout(timer)
  }

  #closeSockets(): void {
    for (const socket of this.#sockets.values()) socket.close()
    this.#sockets.clear()
  }

  /** Starts a process in this place; resolves when it serves, or to why it does not. */
  async #begin(slot: Slot): Promise<unknown> {
    const { settings, defaultCertificate, ticketSecret, affinitySecret, clock } = this.#options
    slot.startedAt = clock.monotonic()
    const worker = new Worker({
      start: {
        type: 'start',
        worker: slot.number,
        settings,
        defaultCertificate,
        ticketSecret,
        affinitySecret,
        httpsPort: this.#sockets.get('https')?.port,
      },
      sockets: [...this.#sockets].map(([name, socket]) => [name, socket.handle(slot.number - 1)] as const),
      onFigures: (figures) => this.#tally.add(worker, figures),
    })
    slot.worker = worker
    const failure = await worker.start(this.#live!)
    if (failure) {
      const { name, code, message } = failure
      const { address, port } = settings[name]
      return explainListenError(Object.assign(new Error(message), { code }), { name, address, port })
    }
    // Before it served, another configuration may have come into force.
    if (worker.isServing) await worker.apply(this.#live!)
    if (worker.isServing) return undefined
    return new StartError(
      `worker ${slot.number} ${printEnding(await worker.ended)} before it served`,
      'its last words stand above',
    )
  }

  /** Sees to it that a process follows the one in this place. */
  #watch(slot: Slot): void {
    const { worker } = slot
    void worker?.ended.then((ending) => {
      this.#tally.forget(worker)
      slot.cpuSeconds += worker.figures?.cpuSeconds ?? 0
      slot.worker = undefined
      if (!this.#isStopping) this.#replace(slot, worker.pid, ending)
    })
  }

  #replace(slot: Slot, pid: number | undefined, { code, signal, error }: Ending): void {
    const { clock, log } = this.#options
    slot.restarts++
    slot.failures = clock.monotonic() - slot.startedAt < STABLE_MS ? slot.failures + 1 : 0
    const delayMs = slot.failures <= 1 ? 0 : Math.min(FIRST_DELAY_MS * 2 ** (slot.failures - 2), MAX_DELAY_MS)
    const { number: worker, restarts } = slot
    log.error(
      { worker, worker_pid: pid, code, signal, reason: error, restarts, delay_ms: delayMs },
      'worker ended unexpectedly: it is replaced',
    )
    slot.timer = setTimeout(() => void this.#succeed(slot), delayMs)
  }

  async #succeed(slot: Slot): Promise<void> {
    const begun = this.#begin(slot).catch((error: Error) => error)
    const { number, worker } = slot
    this.#watch(slot)
    const failure = await begun
    if (this.#isStopping) return
    if (failure === undefined) this.#options.log.info({ worker: number, worker_pid: worker?.pid }, 'worker replaced')
    // One that lives and cannot serve is of no use: its end is followed by another try.
    else if (worker) worker.kill()
    else this.#replace(slot, undefined, { code: null, signal: null, error: String(failure) })
  }

  #tick(): void {
    for (const { worker, number } of this.#slots) {
      if (!worker || worker.tick() !== MAX_SILENT_TICKS) continue
      const { pid } = worker
      this.#options.log.error({ worker: number, worker_pid: pid }, 'worker does not answer: it is killed')
      worker.kill()
    }
  }
}

function portsOf(sockets: ReadonlyMap<ListenerName, ListeningSocket>): TrafficPorts {
  return Object.fromEntries([...sockets].map(([name, { port }]) => [name, port]))
}

function printEnding({ code, signal, error }: Ending): string {
  if (error !== undefined) return `could not be started (${error})`
  return signal === null ? `ended with code ${code}` : `was ended by ${signal}`
}

/** Undefined where it takes longer. */
async function withDeadline<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined)
  })
  return Promise.race([promise, over]).finally(() => clearTimeout(timer))
}
