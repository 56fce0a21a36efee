/** All workers of a gateway: starts them, replaces those that die, hands configurations on, and adds up their figures. */

import { explainListenError, StartError } from '../control/start-error.ts'
import { type EndpointKey, findEndpointKey } from '../model/endpoint-key.ts'
import { isGatewayListener, type Listener, placeOf } from '../model/listener.ts'
import { findPlainKey, type UpstreamKey } from '../model/upstream.ts'
import { ListeningSocket } from '../platform/listening-socket.ts'
import { findReached, type SnapshotSource } from '../snapshot/update.ts'
import type { EndpointFigures } from '../telemetry/endpoint-metrics.ts'
import type { BufferedBytes, CircuitFigures } from '../telemetry/metrics.ts'
import type { RequestQuery } from '../telemetry/request-query.ts'
import { byEnd, type FoundRequest, nameWorker } from '../telemetry/request-records.ts'
import type { TrafficData } from '../telemetry/traffic-meter.ts'
import type { Carrier, CarrierOptions, WorkerState } from './carrier.ts'
import { ListenerPorts } from './listener-ports.ts'
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

/** Somebody follows requests. */
type Follow = Readonly<{
  query: RequestQuery
  tell: (requests: readonly FoundRequest[], dropped: number) => void
}>

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
  /** By place; undefined for UDP, whose sockets the workers bind. */
  readonly #sockets = new Map<string, ListeningSocket | undefined>()
  readonly #ports: ListenerPorts
  /** By number. Workers that begin later follow too. */
  readonly #follows = new Map<number, Follow>()
  #lastFollow = 0
  #served: SnapshotSource | undefined
  #ticker: NodeJS.Timeout | undefined
  #isStopping = false

  constructor(options: WorkerSetOptions) {
    this.#options = options
    this.#tally = new Tally(options.counts)
    this.#ports = new ListenerPorts({
      open: (place, listener) => this.#openPort(place, listener),
      close: (place) => this.#closePort(place),
      log: options.log,
      retryMs: options.portRetryMs,
    })
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

  async start(first: SnapshotSource): Promise<void> {
    const { tickMs = TICK_MS } = this.#options
    this.#served = first
    await this.#ports.giveUp(first.model.listeners)
    // Before there are workers: a start that fails costs little.
    await this.#ports.openOwn()
    const failures = await Promise.all(this.#slots.map((slot) => this.#begin(slot)))
    for (const failure of failures) if (failure !== undefined) throw failure
    for (const slot of this.#slots) this.#watch(slot)
    this.#ticker = setInterval(() => this.#tick(), tickMs)
    await this.#ports.open(first.model.listeners)
  }

  async apply(next: SnapshotSource): Promise<void> {
    await this.#ports.giveUp(next.model.listeners)
    await this.#takeOver(next)
    await this.#ports.open(next.model.listeners)
  }

  async #takeOver(next: SnapshotSource): Promise<void> {
    const before = this.#served?.model
    this.#served = next
    const upstreams = findReached(next.model, before)
    await Promise.all(this.#slots.map(({ worker }) => worker?.apply(next)))
    if (before && findReached(before) === upstreams) return
    const wanted = new Set<EndpointKey>()
    for (const { key, protocol, endpoints } of upstreams.values()) {
      const keys = protocol === 'https' ? [key, findPlainKey(key)] : [key]
      for (const endpoint of endpoints) for (const each of keys) wanted.add(findEndpointKey(each, endpoint))
    }
    this.#tally.retain(wanted)
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

  get tunnels(): number {
    return this.#slots.reduce((sum, { worker }) => sum + (worker?.figures?.tunnels ?? 0), 0)
  }

  get streams(): number {
    return this.#slots.reduce((sum, { worker }) => sum + (worker?.figures?.streams ?? 0), 0)
  }

  queued(): Iterable<readonly [string, number]> {
    const sums = new Map<string, number>()
    for (const { worker } of this.#slots) {
      for (const [upstream, count] of worker?.figures?.queued ?? [])
        sums.set(upstream, (sums.get(upstream) ?? 0) + count)
    }
    return sums
  }

  get buffered(): BufferedBytes {
    const figures = this.#living().flatMap((worker) => worker.figures?.buffered ?? [])
    return {
      memory: figures.reduce((sum, { memory }) => sum + memory, 0),
      file: figures.reduce((sum, { file }) => sum + file, 0),
    }
  }

  connections(): Iterable<readonly [string, number]> {
    const sums = new Map<string, number>(Object.keys(this.ports).map((name) => [name, 0]))
    for (const { worker } of this.#slots) {
      for (const [name, count] of Object.entries(worker?.figures?.connections ?? {})) {
        sums.set(name, (sums.get(name) ?? 0) + count)
      }
    }
    return sums
  }

  get ports(): Readonly<Record<string, number>> {
    return this.#ports.own()
  }

  listeners(): ReadonlyMap<string, string> {
    return this.#ports.states()
  }

  endpoints(): Iterable<EndpointFigures> {
    return this.#tally.endpoints()
  }

  *circuits(): Iterable<CircuitFigures> {
    const counts = new Map<string, CircuitFigures>()
    for (const { worker } of this.#slots) {
      for (const [upstream, state] of worker?.figures?.circuits ?? []) {
        const count = counts.get(`${upstream} ${state}`)?.count ?? 0
        counts.set(`${upstream} ${state}`, { upstream, state, count: count + 1 })
      }
    }
    yield* counts.values()
  }

  closeCircuits(port: UpstreamKey): void {
    for (const worker of this.#living()) worker.closeCircuits(port)
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
        connections: Object.values(figures?.connections ?? {}).reduce((sum, count) => sum + count, 0),
        residentBytes: figures?.residentBytes ?? 0,
        heapBytes: figures?.heapBytes ?? 0,
        memory: figures?.memory,
        loopDelay: figures?.loopDelay,
        cpuSeconds: cpuSeconds + (figures?.cpuSeconds ?? 0),
      }
    })
  }

  async refresh(): Promise<void> {
    await withDeadline(Promise.all(this.#living().map((worker) => worker.refresh())), REFRESH_MS)
  }

  async findRequests(query: RequestQuery, limit: number): Promise<readonly FoundRequest[]> {
    const asked = this.#slots.map(async ({ worker, number }) => {
      const found = worker && (await withDeadline(worker.findRequests(query, limit), REFRESH_MS))
      return nameWorker(found ?? [], number)
    })
    return (await Promise.all(asked)).flat().sort(byEnd).slice(0, limit)
  }

  followRequests(query: RequestQuery, tell: Follow['tell']): () => void {
    const number = ++this.#lastFollow
    this.#follows.set(number, { query, tell })
    for (const worker of this.#living()) worker.follow(number, query)
    return () => {
      this.#follows.delete(number)
      for (const worker of this.#living()) worker.unfollow(number)
    }
  }

  async readTraffic(): Promise<readonly TrafficData[]> {
    const read = await Promise.all(this.#living().map((worker) => withDeadline(worker.readTraffic(), REFRESH_MS)))
    return read.flatMap((each) => each ?? [])
  }

  async drain(): Promise<number> {
    this.#stopReplacing()
    const draining = Promise.all(this.#living().map((worker) => worker.drain()))
    // From now on no client can connect, and none waits in the kernel's queue.
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

  reopenLog(): void {
    for (const worker of this.#living()) worker.reopenLog()
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
    this.#ports.stop()
    clearInterval(this.#ticker)
    for (const { timer } of this.#slots) clearTimeout(timer)
  }

  #closeSockets(): void {
    for (const socket of this.#sockets.values()) socket?.close()
    this.#sockets.clear()
  }

  /** Starts a process in this place; resolves when it serves, or to why it does not. */
  async #begin(slot: Slot): Promise<unknown> {
    const { settings, defaultCertificate, ticketSecret, affinitySecret, dataFolder, clock } = this.#options
    slot.startedAt = clock.monotonic()
    const own = new Map(this.#served!.model.listeners.filter(isGatewayListener).map((each) => [placeOf(each), each]))
    const worker = new Worker({
      start: {
        type: 'start',
        worker: slot.number,
        settings,
        defaultCertificate,
        ticketSecret,
        affinitySecret,
        dataFolder,
        processes: this.#options.size,
      },
      sockets: [...own.keys()].flatMap((place) => {
        const handle = this.#sockets.get(place)?.handle(slot.number - 1)
        return handle ? [[place, handle] as const] : []
      }),
      onFigures: (figures) => this.#tally.add(worker, figures),
      onTrouble: (trouble) => this.#options.onTrouble?.(trouble),
      onFollowed: (follower, { requests, dropped }) =>
        this.#follows.get(follower)?.tell(nameWorker(requests, slot.number), dropped),
    })
    slot.worker = worker
    const failure = await worker.start(this.#served!)
    if (failure) {
      const { place, code, message } = failure
      const { id, address, port } = own.get(place)!
      return explainListenError(Object.assign(new Error(message), { code }), { name: id, address, port })
    }
    // Before it served, another configuration may have come into force.
    if (worker.isServing) await worker.apply(this.#served!)
    for (const [number, { query }] of this.#follows) worker.follow(number, query)
    for (const place of this.#sockets.keys()) {
      const failure = worker.isServing ? await this.#listenIn(slot, place) : undefined
      // Others may have it still: all let it go, and it is tried again.
      if (failure) void this.#ports.lose(place, failure)
    }
    if (worker.isServing) return undefined
    return new StartError(
      `worker ${slot.number} ${printEnding(await worker.ended)} before it served`,
      'its last words stand above',
    )
  }

  async #openPort(place: string, { transport, address, port }: Listener): Promise<number> {
    const socket = transport === 'TCP' ? await ListeningSocket.bind(address, port, this.#slots.length) : undefined
    this.#sockets.set(place, socket)
    const failures = await Promise.all(this.#slots.map((slot) => this.#listenIn(slot, place)))
    const failure = failures.find((each) => each !== undefined)
    if (!failure) return socket?.port ?? port
    await this.#closePort(place)
    throw failure
  }

  async #closePort(place: string): Promise<void> {
    this.#sockets.get(place)?.close()
    this.#sockets.delete(place)
    await Promise.all(this.#living().map((worker) => worker.unlisten(place)))
  }

  /** Has the worker in this place take connections at a port, if it is to. One that begins later is asked when it serves. */
  async #listenIn({ number, worker }: Slot, place: string): Promise<Error | undefined> {
    if (!worker?.isServing || !this.#sockets.has(place)) return undefined
    const socket = this.#sockets.get(place)
    if (!socket && number - 1 !== chooseDatagramWorker(place, this.#slots.length)) return undefined
    const failure = await worker.listen(place, socket?.handle(number - 1))
    return failure && Object.assign(new Error(failure.message), { code: failure.code })
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

/** Datagrams of a client must all come to one process. Places are spread over the workers, each staying with the same one. */
function chooseDatagramWorker(place: string, workers: number): number {
  return Number(place.slice(place.lastIndexOf(':') + 1)) % workers
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
