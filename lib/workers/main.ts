/** The entry of a worker process: carries traffic as the control process says, and goes when that has gone. */
import { systemClock } from '../base/clock.ts'
import type { SnapshotUpdate } from '../snapshot/update.ts'
import { createLog, flushLog, type Log } from '../telemetry/log.ts'
import { LogDestination } from '../telemetry/log-destination.ts'
import { RequestCounts } from '../telemetry/request-counts.ts'
import { cutFigures, cutFound, cutTraffic, type FromWorker, joinUpdate, type ToWorker } from './message.ts'
import { Reporter } from './reporter.ts'
import { Traffic } from './traffic.ts'

const STDOUT = 1
const REPORT_MS = 1_000
/** Without the control process, and after a bug, requests get this long, milliseconds. */
const SHORT_DRAIN_MS = 2_000
/** A log that is not read may hold up the end this long, milliseconds. */
const FLUSH_MS = 500

type Message<T extends ToWorker['type']> = Extract<ToWorker, { type: T }>

class WorkerProcess {
  readonly #traffic: Traffic
  readonly #log: Log
  readonly #reporter: Reporter
  #pieces: SnapshotUpdate[] = []
  /** What ends them, by their numbers. */
  readonly #followers = new Map<number, () => void>()
  #isEnding = false

  constructor(start: Message<'start'>) {
    const { worker, settings, defaultCertificate, ticketSecret, affinitySecret, dataFolder, processes } = start
    process.title = `portico worker ${worker}`
    const destination = new LogDestination({ fd: STDOUT })
    const { byRoute, requestSeries } = settings.metrics
    const counts = new RequestCounts({ byRoute, maxSeries: requestSeries })
    this.#log = createLog(settings.log, destination)
    this.#traffic = new Traffic({
      settings,
      clock: systemClock,
      log: this.#log,
      stdout: destination,
      worker,
      counts,
      defaultCertificate,
      ticketSecret,
      // The structured clone of a Buffer is a Uint8Array.
      affinitySecret: Buffer.from(affinitySecret),
      dataFolder,
      processes,
      onTrouble: (trouble) => tell({ type: 'trouble', trouble }),
    })
    this.#reporter = new Reporter(this.#traffic, counts, destination)
    // Also the sign that this process is not hung.
    setInterval(() => this.#report(), REPORT_MS).unref()
  }

  receive(message: ToWorker, handle: object | undefined): void {
    switch (message.type) {
      case 'start':
        throw new Error('a worker starts once')
      case 'update':
        void this.#update(message)
        return
      case 'listen':
        void this.#listen(message, handle)
        return
      case 'unlisten':
        this.#traffic.unlisten(message.place)
        tell({ type: 'unlistened', place: message.place })
        return
      case 'report':
        this.#report()
        tell({ type: 'reported' })
        return
      case 'find':
        for (const piece of cutFound(this.#traffic.records.find(message.query, message.limit))) tell(piece)
        return
      case 'measure':
        for (const piece of cutTraffic(this.#traffic.meter.read(systemClock.now()))) tell(piece)
        return
      case 'follow':
        this.#follow(message)
        return
      case 'unfollow':
        this.#followers.get(message.follower)?.()
        this.#followers.delete(message.follower)
        return
      case 'close-circuits':
        this.#traffic.closeCircuits(message.port)
        return
      case 'drain':
        this.#traffic.drain()
        tell({ type: 'draining', inFlight: this.#traffic.inFlight })
        return
      case 'finish':
        void this.end(message.deadlineMs, 0)
        return
      case 'reopen-log':
        this.#traffic.reopenLog()
        return
      case 'cut':
        this.#traffic.cut()
        return
    }
  }

  /** After a bug: says so, and makes room for the next. */
  crash(error: unknown, kind: string): void {
    this.#log.error({ err: error }, `${kind} in a worker, a bug: it is replaced`)
    this.leave(1)
  }

  /** Ends soon, also where a bug is in the way of that. */
  leave(code: number): void {
    setTimeout(() => process.exit(code), SHORT_DRAIN_MS + FLUSH_MS).unref()
    void this.end(SHORT_DRAIN_MS, code)
  }

  /** Drains and ends; a second call cuts what the first waits for. */
  async end(deadlineMs: number, code: number): Promise<void> {
    if (this.#isEnding) {
      this.#traffic.cut()
      return
    }
    this.#isEnding = true
    this.#traffic.drain()
    const left = await this.#traffic.finish(deadlineMs)
    await this.#traffic.close()
    this.#report()
    await flushLog(this.#log, FLUSH_MS)
    tell({ type: 'finished', left }, () => process.exit(code))
  }

  async #update({ piece, isLast }: Message<'update'>): Promise<void> {
    this.#pieces.push(piece)
    if (!isLast) return
    const update = joinUpdate(this.#pieces)
    this.#pieces = []
    await this.#traffic.apply(update)
    if (update.settings) this.#log.level = update.settings.log.level
    tell({ type: 'applied', generation: update.generation, inFlight: this.#traffic.inFlight })
  }

  async #listen({ place }: Message<'listen'>, handle: object | undefined): Promise<void> {
    try {
      await this.#traffic.listen(place, handle)
      tell({ type: 'listening', place, failure: undefined })
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      tell({ type: 'listening', place, failure: { code, message } })
    }
  }

  #follow({ follower, query }: Message<'follow'>): void {
    this.#followers.get(follower)?.()
    const end = this.#traffic.records.follow(query, (some, then) => tell({ type: 'followed', follower, ...some }, then))
    this.#followers.set(follower, end)
  }

  #report(): void {
    for (const figures of cutFigures(this.#reporter.take())) tell({ type: 'figures', figures })
  }
}

let worker: WorkerProcess | undefined

/** `then` is called when it is out, or cannot be told any more. */
function tell(message: FromWorker, then: () => void = () => {}): void {
  if (process.connected) process.send?.(message, undefined, {}, then)
  else then()
}

function crash(error: unknown, kind: string): void {
  if (worker) {
    worker.crash(error, kind)
    return
  }
  console.error(error)
  process.exit(1)
}

process.on('message', (message: ToWorker, handle: object | undefined) => {
  if (message.type === 'start') worker = new WorkerProcess(message)
  else worker?.receive(message, handle)
})
process.on('disconnect', () => {
  if (worker) worker.leave(0)
  else process.exit(0)
})
// A terminal sends these to all its processes, and a service manager may: the control process decides what they mean. At
// SIGUSR1 Node would open its debugger.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1'] as const) process.on(signal, () => {})
process.on('uncaughtException', (error) => crash(error, 'uncaught exception'))
process.on('unhandledRejection', (reason) => crash(reason, 'unhandled rejection'))
