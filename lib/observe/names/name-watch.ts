/**
 * The names that are in use, each asked for again when its TTL has passed. While a name cannot be resolved its last good answer
 * stands, however long that is.
 */
import { isIP } from 'node:net'
import type { Log } from '../../telemetry/log.ts'
import type { Resolution } from './resolver.ts'

/** What is known of a name; the same object until it is something else. */
export type NameAnswer = Readonly<{
  /** IPv4 before IPv6, each sorted; empty where none was ever known. */
  addresses: readonly string[]
  /** Why there are none, or none of one family. */
  reason: string
}>

/** Milliseconds. */
export type NameTimes = Readonly<{
  minTtl: number
  maxTtl: number
  /** After a first failure; twice as long after each further one. */
  firstRetry: number
  maxRetry: number
  /** Between two looks at what stands above the DNS. */
  look: number
}>

export type NameWatchOptions = {
  /** `onFirst` gets what is known before all is. */
  readonly resolve: (name: string, onFirst: (first: Resolution) => void) => Promise<Resolution>
  /** Whether answers may be others before their time. */
  readonly hasChanged: () => Promise<boolean>
  readonly log: Log
  /** The answer of a name is another one. */
  readonly onChange: () => void
  /** Given by tests. */
  readonly times?: Partial<NameTimes>
}

const TIMES: NameTimes = { minTtl: 1_000, maxTtl: 300_000, firstRetry: 500, maxRetry: 10_000, look: 5_000 }
/** More addresses than these are no pool, but a mistake or an attack. */
export const MAX_ADDRESSES = 256
/** Names that are asked for at a time, and how many of them may be such as failed before: these must not hold up the others. */
const MAX_PARALLEL = 16
const MAX_PARALLEL_RETRIES = 3
/** At most so many names may wait for their second address family without holding up others. */
const MAX_LATE = 64
/** A time is lengthened by up to this share, so that names do not stay in step. */
const JITTER = 0.1
const MAX_LOGGED = 10

const PENDING: NameAnswer = Object.freeze({ addresses: [], reason: 'it is still being looked up' })

type Entry = {
  readonly name: string
  answer: NameAnswer
  /** In a row. */
  failures: number
  /** Why not all of its addresses come from its last answer; undefined where they do. `family` 0 is both. */
  fault: Readonly<{ family: 0 | 4 | 6; reason: string }> | undefined
  /** Answered or failed, once at least. */
  isSettled: boolean
  isTooMany: boolean
  isAsking: boolean
  /** When it was asked for last, by the monotonic clock. */
  askedAt: number
  /** Asked for anew while it was being asked. */
  isStale: boolean
  timer: NodeJS.Timeout | undefined
}

export class NameWatch {
  readonly #options: NameWatchOptions
  readonly #times: NameTimes
  readonly #entries = new Map<string, Entry>()
  /** Those that are due. */
  readonly #queue = new Set<Entry>()
  readonly #retries = new Set<Entry>()
  #asking = 0
  #retrying = 0
  #late = 0
  #looker: NodeJS.Timeout | undefined
  #waiting: (() => void)[] = []

  constructor(options: NameWatchOptions) {
    this.#options = options
    this.#times = { ...TIMES, ...options.times }
  }

  /** These are in use and all others are forgotten. New ones are asked for at once. */
  retain(names: ReadonlySet<string>): void {
    for (const [name, entry] of this.#entries) if (!names.has(name)) this.#forget(entry)
    for (const name of names) if (!this.#entries.has(name)) this.#add(name)
    if (this.#entries.size === 0) {
      clearInterval(this.#looker)
      this.#looker = undefined
    } else this.#looker ??= setInterval(this.#look, this.#times.look).unref()
  }

  /** Of one that is in use. */
  get(name: string): NameAnswer {
    return this.#entries.get(name)?.answer ?? PENDING
  }

  /** Why the name may not have the address any more that it had before; undefined where it has. */
  whyStale(name: string, address: string): string | undefined {
    const fault = this.#entries.get(name)?.fault
    return fault && (fault.family === 0 || fault.family === isIP(address)) ? fault.reason : undefined
  }

  /** Asks for all of them now. */
  refresh(): void {
    for (const entry of this.#entries.values()) this.#enqueue(entry)
  }

  /** Nothing answers at its addresses: it is looked up before its time, unless that was done just now. */
  doubt(name: string): void {
    const entry = this.#entries.get(name)
    if (entry === undefined || entry.isAsking || performance.now() - entry.askedAt < this.#times.minTtl) return
    this.#enqueue(entry)
  }

  /** Resolves when all in use have been answered or have failed once, or after `ms` milliseconds. */
  async settle(ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    let isLate = false
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        isLate = true
        resolve()
      }, ms)
    })
    while (!isLate && [...this.#entries.values()].some(({ isSettled }) => !isSettled)) {
      await Promise.race([late, new Promise<void>((resolve) => this.#waiting.push(resolve))])
    }
    clearTimeout(timer)
  }

  close(): void {
    this.retain(new Set())
  }

  #add(name: string): void {
    const entry: Entry = {
      name,
      answer: PENDING,
      failures: 0,
      fault: undefined,
      isSettled: false,
      isTooMany: false,
      isAsking: false,
      askedAt: 0,
      isStale: false,
      timer: undefined,
    }
    this.#entries.set(name, entry)
    this.#enqueue(entry)
  }

  #forget(entry: Entry): void {
    clearTimeout(entry.timer)
    this.#queue.delete(entry)
    this.#retries.delete(entry)
    this.#entries.delete(entry.name)
    this.#wake()
  }

  #look = (): void => {
    this.#options.hasChanged().then(
      (isOther) => {
        if (isOther) this.refresh()
      },
      () => {},
    )
  }

  #enqueue(entry: Entry): void {
    clearTimeout(entry.timer)
    if (entry.isAsking) entry.isStale = true
    else if (entry.failures > 0) this.#retries.add(entry)
    else this.#queue.add(entry)
    this.#askNext()
  }

  #askNext(): void {
    while (this.#asking < MAX_PARALLEL) {
      const [next] = this.#queue
      const [retry] = this.#retrying < MAX_PARALLEL_RETRIES ? this.#retries : []
      const entry = next ?? retry
      if (entry === undefined) return
      this.#queue.delete(entry)
      this.#retries.delete(entry)
      void this.#ask(entry, entry === next)
    }
  }

  async #ask(entry: Entry, isFirst: boolean): Promise<void> {
    entry.isAsking = true
    entry.askedAt = performance.now()
    this.#asking++
    if (!isFirst) this.#retrying++
    let isLate = false
    const onFirst = (first: Resolution): void => {
      if (this.#entries.get(entry.name) === entry) {
        this.#take(entry, first, true)
        entry.isSettled = true
        this.#wake()
      }
      if (this.#late >= MAX_LATE) return
      isLate = true
      this.#late++
      this.#giveBack(isFirst)
    }
    let outcome: Resolution | Error
    try {
      outcome = await this.#options.resolve(entry.name, onFirst)
      if (outcome.addresses.length === 0) outcome = new Error('the name has no address')
    } catch (error) {
      outcome = error instanceof Error ? error : new Error(String(error))
    }
    entry.isAsking = false
    if (isLate) this.#late--
    else this.#giveBack(isFirst)
    if (this.#entries.get(entry.name) === entry) {
      const delay = outcome instanceof Error ? this.#fail(entry, outcome) : this.#take(entry, outcome)
      entry.isSettled = true
      if (entry.isStale) {
        entry.isStale = false
        this.#enqueue(entry)
      } else entry.timer = setTimeout(() => this.#enqueue(entry), delay * (1 + Math.random() * JITTER)).unref()
      this.#wake()
    }
  }

  /** Others have its place. */
  #giveBack(isFirst: boolean): void {
    this.#asking--
    if (!isFirst) this.#retrying--
    // As soon as the answer is taken.
    queueMicrotask(() => this.#askNext())
  }

  /** Milliseconds until it is asked for again; so for the other one. `isFirst`: the rest is yet to come. */
  #take(entry: Entry, resolution: Resolution, isFirst = false): number {
    const { log, onChange } = this.#options
    const { minTtl, maxTtl } = this.#times
    const { name, answer, failures } = entry
    const addresses = this.#limit(entry, arrange(resolution, answer.addresses))
    const { missing } = resolution
    const reason = missing?.reason ?? ''
    const isOther = !isSame(addresses, answer.addresses)
    if (isOther || (reason !== answer.reason && !isFirst)) {
      entry.answer = Object.freeze({ addresses: Object.freeze(addresses), reason })
      onChange()
    }
    if (!isFirst || entry.fault) entry.fault = missing
    entry.failures = 0
    if (failures > 0) log.info({ host: name, addresses: shorten(addresses), failures }, 'a name is resolved again')
    else if (isOther && answer.addresses.length > 0) {
      const added = addresses.filter((address) => !answer.addresses.includes(address))
      const removed = answer.addresses.filter((address) => !addresses.includes(address))
      const count = addresses.length
      log.info(
        { host: name, count, added: shorten(added), removed: shorten(removed) },
        'a name leads to other addresses',
      )
    } else if (isOther) log.debug({ host: name, addresses: shorten(addresses) }, 'a name is resolved')
    return Math.min(Math.max(resolution.ttlSeconds * 1000, minTtl), maxTtl)
  }

  #fail(entry: Entry, { message }: Error): number {
    const { log, onChange } = this.#options
    const { firstRetry, maxRetry } = this.#times
    const { name, answer } = entry
    if (answer.addresses.length === 0 && answer.reason !== message) {
      entry.answer = Object.freeze({ addresses: [], reason: message })
      onChange()
    }
    if (entry.failures === 0) {
      const kept = answer.addresses.length
      log.warn(
        { host: name, reason: message, ...(kept > 0 && { kept }) },
        kept > 0 ? 'a name cannot be resolved: its last addresses are kept' : 'a name cannot be resolved',
      )
    }
    entry.fault = { family: 0, reason: message }
    entry.failures++
    return Math.min(firstRetry * 2 ** Math.min(entry.failures - 1, 16), maxRetry)
  }

  #limit(entry: Entry, addresses: readonly string[]): readonly string[] {
    const isTooMany = addresses.length > MAX_ADDRESSES
    if (isTooMany && !entry.isTooMany) {
      const { name } = entry
      this.#options.log.warn(
        { host: name, count: addresses.length, used: MAX_ADDRESSES },
        'a name has too many addresses',
      )
    }
    entry.isTooMany = isTooMany
    return isTooMany ? addresses.slice(0, MAX_ADDRESSES) : addresses
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}

/** Each once, in an order that does not depend on the answer's; of a family that is missing, those that were known. */
function arrange({ addresses, missing }: Resolution, before: readonly string[]): readonly string[] {
  const kept = missing === undefined ? [] : before.filter((address) => isIP(address) === missing.family)
  return [...new Set([...addresses, ...kept])].sort((a, b) => isIP(a) - isIP(b) || (a < b ? -1 : 1))
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((address, index) => address === b[index])
}

function shorten(addresses: readonly string[]): readonly string[] {
  return addresses.length <= MAX_LOGGED
    ? addresses
    : [...addresses.slice(0, MAX_LOGGED), `${addresses.length - MAX_LOGGED} more`]
}
