/**
 * File descriptors. The system limits how many a process may have; Node raises the soft limit to the hard one as it starts.
 * Beyond the limit the process can accept, connect and open nothing, and calls throw that never do so before.
 */
import { closeSync, openSync, readFileSync } from 'node:fs'
import { devNull } from 'node:os'
import { isExhaustion } from '../base/exhaustion.ts'

/** What a process has open for itself: its log, its ports, event loop, threads, files that it reads, and some to spare. */
const OWN_DESCRIPTORS = 64
/** With fewer Node cannot load all modules: it opens many of them at once. */
export const LEAST_DESCRIPTORS = 128
/** However low the limit is, something is served. */
const LEAST_CONNECTIONS = 8
/** Descriptors that are held open so that there are some when there are no others. */
const HELD = 8
/** How soon they are taken back, in milliseconds, and how often that is tried. */
const RETAKE_MS = 200

let limit: { readonly most: number | undefined } | undefined

/** How many this process may have; undefined where the system does not say. */
export function findDescriptorLimit(): number | undefined {
  limit ??= { most: readLimit() }
  return limit.most
}

/**
 * Client connections that a process may take by itself: nine tenths of what the limit leaves beyond what is its own, halved,
 * since a client's connection usually needs one to an endpoint beside it. No limit, no end.
 */
export function fitConnections(limit: number | undefined): number {
  if (limit === undefined) return Number.POSITIVE_INFINITY
  return Math.max(LEAST_CONNECTIONS, Math.floor(((limit - OWN_DESCRIPTORS) * 0.9) / 2))
}

/** Sockets of another kind (UDP sessions, connections of DNS clients): a quarter of the limit, so that some are left for all else. */
export function fitSockets(limit: number | undefined): number {
  return limit === undefined ? Number.POSITIVE_INFINITY : Math.floor(limit / 4)
}

/**
 * Throws EMFILE or ENFILE where less is left than a process needs for itself. It is asked before modules are loaded:
 * where Node cannot open a package's `package.json` it says that there is no such package.
 */
export function requireOwnDescriptors(): void {
  const taken: number[] = []
  try {
    while (taken.length < OWN_DESCRIPTORS) taken.push(openSync(devNull, 'r'))
  } finally {
    for (const descriptor of taken) closeSync(descriptor)
  }
}

function readLimit(): number | undefined {
  try {
    const [, soft = ''] = /^Max open files +(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return /^\d+$/.test(soft) ? Number(soft) : undefined
  } catch {
    return undefined // Not Linux: there is no other way to ask that costs nothing.
  }
}

/** A few descriptors held back for the time when there are no others. */
export class DescriptorReserve {
  /** The descriptor of a new connection with this number, or a higher one, is one of those that are to be spared. */
  readonly #spared: number
  #held: readonly number[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(limit: number = findDescriptorLimit() ?? Number.POSITIVE_INFINITY) {
    this.#spared = limit - Math.min(OWN_DESCRIPTORS / 2, limit / 8)
    this.#retake()
  }

  /** True if descriptors are so short that nothing more may be accepted. */
  get isReleased(): boolean {
    return this.#timer !== undefined
  }

  /** The system gives the lowest number that is free, so the number of a new descriptor says how many there are. */
  watch(descriptor: number | undefined): void {
    if (descriptor !== undefined && descriptor >= this.#spared) this.release()
  }

  /** Closes the descriptors that are held, so that others can have them; holds some again as soon as there are enough. */
  release(): void {
    if (this.#timer) return
    this.close()
    this.#timer = setInterval(() => this.#retake(), RETAKE_MS).unref()
  }

  close(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
    for (const descriptor of this.#held) closeSync(descriptor)
    this.#held = []
  }

  #retake(): void {
    const taken: number[] = []
    let isEnough = true
    try {
      while (taken.length < HELD) {
        const descriptor = openSync(devNull, 'r')
        taken.push(descriptor)
        isEnough &&= descriptor < this.#spared
      }
    } catch (error) {
      isEnough = !isExhaustion(error)
    }
    if (isEnough) {
      this.close()
      this.#held = taken
      return
    }
    for (const descriptor of taken) closeSync(descriptor)
    this.release()
  }
}
