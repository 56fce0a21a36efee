/** One worker process as the control process sees it, from its start to its end. */
import { type ChildProcess, fork } from 'node:child_process'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { EndpointTrouble, UpstreamKey } from '../model/upstream.ts'
import type { SocketHandle } from '../platform/listening-socket.ts'
import { findUpdate, type SnapshotSource } from '../snapshot/update.ts'
import type { RequestQuery } from '../telemetry/request-query.ts'
import type { FollowedRequests, KeptRequest } from '../telemetry/request-records.ts'
import type { TrafficData } from '../telemetry/traffic-meter.ts'
import {
  cutUpdate,
  type FromWorker,
  joinTraffic,
  type ListenFailure,
  type ToWorker,
  type TrafficFigures,
} from './message.ts'

/** `error` is why the system gave no process at all. */
export type Ending = Readonly<{ code: number | null; signal: NodeJS.Signals | null; error?: string }>

export type WorkerOptions = {
  readonly start: Extract<ToWorker, { type: 'start' }>
  /** By place. Without these it does not serve. */
  readonly sockets: readonly (readonly [place: string, SocketHandle])[]
  readonly onFigures: (figures: TrafficFigures) => void
  readonly onTrouble: (trouble: EndpointTrouble) => void
  /** Requests that somebody follows have ended. */
  readonly onFollowed: (follower: number, some: FollowedRequests) => void
}

const PROGRAM_FLAG = /^(-e|-p|-pe|--eval|--print)$/
/** Two processes cannot be debugged on one port. */
const OWN_FLAG = /^--(inspect|input-type|watch|test)\b/

type Reply<T extends FromWorker['type']> = Extract<FromWorker, { type: T }>
type Waiting = {
  readonly type: FromWorker['type']
  /** The one that it is about, if it is about one. */
  readonly place: string | undefined
  readonly resolve: (reply: FromWorker | undefined) => void
}

/** Beside this file, whether compiled or not. */
const ENTRY = new URL(`./main${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)

/**
 * From Node 24 on every callback sets up the frame of AsyncLocalStorage, which nothing here uses: a few percent of a small
 * request.
 */
const SPARED = process.allowedNodeEnvironmentFlags.has('--async-context-frame') ? ['--no-async-context-frame'] : []

/** Node's flags for a worker: the flags of this process, without the ones that name its program. */
function chooseNodeFlags(flags: readonly string[]): string[] {
  const chosen: string[] = [...SPARED]
  let isProgram = false
  for (const flag of flags) {
    // What stands behind it is the program itself, which the worker would run in place of its own.
    if (!isProgram && !PROGRAM_FLAG.test(flag) && !OWN_FLAG.test(flag)) chosen.push(flag)
    isProgram = PROGRAM_FLAG.test(flag)
  }
  return chosen
}

/** Where the system gives no process, `ended` says why, or the constructor throws its error: Node tells them apart. */
export class Worker {
  /** Resolves when the process has gone. */
  readonly ended: Promise<Ending>
  readonly #child: ChildProcess
  readonly #options: WorkerOptions
  /** Replies of a kind come in the order of what they answer, those about a place in the order for that one. */
  readonly #waiting: Waiting[] = []
  /** The places where it was asked to listen. */
  readonly #listening = new Set<string>()
  /** As it was last sent. */
  #served: SnapshotSource | undefined
  #updates: Promise<void> = Promise.resolve()
  #isServing = false
  #isStopping = false
  #hasEnded = false
  #generation = 0
  #figures: TrafficFigures | undefined
  #inFlight = 0
  /** Pieces of the answers that are not whole yet. */
  #found: KeptRequest[] = []
  #traffic: TrafficData[] = []
  /** Since it was last heard of, in calls of `tick`. */
  #silentTicks = 0

  constructor(options: WorkerOptions) {
    this.#options = options
    this.#child = fork(ENTRY, [], {
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      execArgv: chooseNodeFlags(process.execArgv),
    })
    this.#child.on('message', (message) => this.#receive(message as FromWorker))
    this.ended = this.#waitForEnd()
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Whether it takes connections. */
  get isServing(): boolean {
    return this.#isServing && !this.#hasEnded
  }

  /** What it has in force. */
  get generation(): number {
    return this.#generation
  }

  /** As last told. */
  get figures(): TrafficFigures | undefined {
    return this.#figures
  }

  /** Requests and tunnels under way, as last told. */
  get inFlight(): number {
    return this.#inFlight
  }

  /** Resolves when it serves; to a failure where it cannot, and to undefined also when it ends before. */
  async start(first: SnapshotSource): Promise<(ListenFailure & { place: string }) | undefined> {
    this.#send(this.#options.start)
    await this.apply(first)
    for (const [place, handle] of this.#options.sockets) {
      if (this.#isStopping) return undefined
      const failure = await this.listen(place, handle)
      if (failure) return { place, ...failure }
    }
    this.#isServing = !this.#hasEnded && !this.#isStopping
    return undefined
  }

  /** Resolves when it is in force, or the process has gone. */
  apply(next: SnapshotSource): Promise<void> {
    this.#updates = this.#updates.then(() => this.#apply(next))
    return this.#updates
  }

  /** Resolves when it takes connections there, to a failure where it cannot; at once where it was asked before. */
  async listen(place: string, handle: SocketHandle | undefined): Promise<ListenFailure | undefined> {
    if (this.#listening.has(place)) return undefined
    this.#listening.add(place)
    const reply = await this.#ask({ type: 'listen', place }, 'listening', handle)
    if (reply?.failure) this.#listening.delete(place)
    return reply?.failure
  }

  /** Resolves when it takes no more connections there. */
  async unlisten(place: string): Promise<void> {
    if (this.#listening.delete(place)) await this.#ask({ type: 'unlisten', place }, 'unlistened')
  }

  /** Resolves when the newest figures are here, or the process has gone. */
  async refresh(): Promise<void> {
    await this.#ask({ type: 'report' }, 'reported')
  }

  /** Resolves to the kept requests that the query wants, the newest first. */
  async findRequests(query: RequestQuery, limit: number): Promise<readonly KeptRequest[]> {
    return (await this.#ask({ type: 'find', query, limit }, 'found'))?.requests ?? []
  }

  /** What it has to do just now; undefined where the process has gone. */
  async readTraffic(): Promise<TrafficData | undefined> {
    return (await this.#ask({ type: 'measure' }, 'traffic'))?.traffic
  }

  follow(follower: number, query: RequestQuery): void {
    this.#send({ type: 'follow', follower, query })
  }

  unfollow(follower: number): void {
    this.#send({ type: 'unfollow', follower })
  }

  /** Resolves to the requests and tunnels under way. */
  async drain(): Promise<number> {
    this.#isServing = false
    this.#isStopping = true
    return (await this.#ask({ type: 'drain' }, 'draining'))?.inFlight ?? 0
  }

  /** Resolves to the requests and tunnels that are left at the deadline; the process ends then. */
  async finish(deadlineMs: number): Promise<number> {
    this.#isStopping = true
    return (await this.#ask({ type: 'finish', deadlineMs }, 'finished'))?.left ?? 0
  }

  closeCircuits(port: UpstreamKey): void {
    this.#send({ type: 'close-circuits', port })
  }

  cut(): void {
    this.#send({ type: 'cut' })
  }

  reopenLog(): void {
    this.#send({ type: 'reopen-log' })
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  /** To be called every second; returns how often it was since the process was last heard of. */
  tick(): number {
    return this.#hasEnded ? 0 : ++this.#silentTicks
  }

  async #apply(next: SnapshotSource): Promise<void> {
    const update = findUpdate(this.#served, next)
    this.#served = next
    let last: ToWorker | undefined
    for (const piece of cutUpdate(update)) {
      if (last) {
        this.#send(last)
        // Serializing all of a large configuration at once would hold up everything else here.
        await nextTurn()
      }
      last = { type: 'update', piece, isLast: false }
    }
    if (last?.type === 'update') await this.#ask({ ...last, isLast: true }, 'applied')
  }

  #ask<T extends FromWorker['type']>(message: ToWorker, type: T, handle?: SocketHandle): Promise<Reply<T> | undefined> {
    if (this.#hasEnded) return Promise.resolve(undefined)
    return new Promise((resolve) => {
      const place = 'place' in message ? message.place : undefined
      this.#waiting.push({ type, place, resolve: resolve as Waiting['resolve'] })
      this.#send(message, handle)
    })
  }

  #send(message: ToWorker, handle?: SocketHandle): void {
    // One that is about to end does not hear it any more: `ended` tells.
    if (this.#child.connected) this.#child.send(message, handle as never, {}, () => {})
  }

  #receive(message: FromWorker): void {
    this.#silentTicks = 0
    if (message.type === 'figures') {
      this.#figures = message.figures
      this.#inFlight = message.figures.inFlight
      this.#options.onFigures(message.figures)
      return
    }
    if (message.type === 'trouble') {
      this.#options.onTrouble(message.trouble)
      return
    }
    if (message.type === 'followed') {
      this.#options.onFollowed(message.follower, message)
      return
    }
    const whole = this.#join(message)
    if (whole) this.#answer(whole)
  }

  /** An answer that comes in pieces, once it is whole; others as they are. */
  #join(message: FromWorker): FromWorker | undefined {
    if (message.type === 'found') {
      this.#found.push(...message.requests)
      if (!message.isLast) return undefined
      const requests = this.#found
      this.#found = []
      return { ...message, requests }
    }
    if (message.type === 'traffic') {
      this.#traffic.push(message.traffic)
      if (!message.isLast) return undefined
      const traffic = joinTraffic(this.#traffic)
      this.#traffic = []
      return { ...message, traffic }
    }
    return message
  }

  #answer(message: FromWorker): void {
    if (message.type === 'applied') {
      this.#generation = message.generation
      this.#inFlight = message.inFlight
    }
    const about = 'place' in message ? message.place : undefined
    const index = this.#waiting.findIndex(({ type, place }) => type === message.type && place === about)
    // A worker that ends after a bug was not asked to end.
    if (index >= 0) this.#waiting.splice(index, 1)[0]?.resolve(message)
  }

  async #waitForEnd(): Promise<Ending> {
    const ending = await new Promise<Ending>((resolve) => {
      // With 'close' all it has said is read.
      this.#child.once('close', (code, signal) => resolve({ code, signal }))
      this.#child.on('error', (error) => {
        if (this.#child.pid === undefined) resolve({ code: null, signal: null, error: error.message })
      })
    })
    this.#hasEnded = true
    for (const { resolve } of this.#waiting.splice(0)) resolve(undefined)
    return ending
  }
}
