/** The ports that Services open: which of them are had, which are wanted and cannot be had, and the tries to get these. */

import { explainServicePort } from '../control/start-error.ts'
import { placeOf, type ServiceListener } from '../model/service-listener.ts'
import type { Log } from '../telemetry/log.ts'

export type ServicePortsOptions = Readonly<{
  /** Opens the port of a listener that is in force. Rejects with Node's error. */
  open: (place: string, listener: ServiceListener) => Promise<void>
  close: (place: string) => Promise<void>
  log: Log
  /** Milliseconds until a port that cannot be had is tried again; given by tests. */
  retryMs?: number
}>

const RETRY_MS = 10_000
const OPEN = 'open'

/** A Service whose port cannot be had stops nothing else: it is logged once, and tried again for as long as it is wanted. */
export class ServicePorts {
  readonly #options: ServicePortsOptions
  #wanted: readonly ServiceListener[] = []
  /** Places of the listeners in force: while one configuration comes into force, another may be wanted already. */
  #inForce: ReadonlySet<string> = new Set()
  readonly #open = new Set<string>()
  /** By place: why it cannot be had, as it was logged. */
  readonly #failures = new Map<string, string>()
  #work: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  #isStopped = false

  constructor(options: ServicePortsOptions) {
    this.#options = options
  }

  /** By id: `open`, or why it is not. */
  states(): ReadonlyMap<string, string> {
    const states = new Map<string, string>()
    const owners = new Map<string, string>()
    for (const listener of this.#wanted) {
      const place = placeOf(listener)
      const owner = owners.get(place)
      if (owner === undefined) owners.set(place, listener.id)
      const state = this.#open.has(place) ? OPEN : (this.#failures.get(place) ?? 'not open yet')
      states.set(listener.id, owner === undefined ? state : `${owner} has it`)
    }
    return states
  }

  /** Before a configuration comes into force: gives up what it does not want. */
  giveUp(next: readonly ServiceListener[]): Promise<void> {
    return this.#then(async () => {
      this.#wanted = next
      const places = new Set(next.map(placeOf))
      for (const place of this.#failures.keys()) if (!places.has(place)) this.#failures.delete(place)
      for (const place of this.#open) {
        if (places.has(place)) continue
        this.#open.delete(place)
        await this.#options.close(place)
      }
    })
  }

  /** When it is in force: opens what it wants beyond what is open. */
  open(inForce: readonly ServiceListener[]): Promise<void> {
    return this.#then(() => {
      this.#inForce = new Set(inForce.map(placeOf))
      return this.#openWanted()
    })
  }

  /** What was open is not any more. */
  lose(place: string, error: unknown): Promise<void> {
    return this.#then(async () => {
      const listener = this.#wanted.find((each) => placeOf(each) === place)
      if (!listener || !this.#open.delete(place)) return
      await this.#options.close(place)
      this.#fail(listener, error)
      this.#retryLater()
    })
  }

  /** Opens nothing any more. */
  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
  }

  #then(step: () => Promise<void>): Promise<void> {
    const done = this.#work.then(step)
    this.#work = done.catch(() => {})
    return done
  }

  async #openWanted(): Promise<void> {
    const tried = new Set<string>()
    for (const listener of this.#wanted) {
      const place = placeOf(listener)
      if (this.#isStopped || this.#open.has(place) || !this.#inForce.has(place) || tried.has(place)) continue
      tried.add(place)
      try {
        await this.#options.open(place, listener)
        this.#open.add(place)
        if (this.#failures.delete(place)) this.#options.log.info({ listener: listener.id }, 'port of a Service opened')
      } catch (error) {
        this.#fail(listener, error)
      }
    }
    this.#retryLater()
  }

  #fail(listener: ServiceListener, error: unknown): void {
    if (this.#isStopped) return
    const { message, help } = explainServicePort(error, listener)
    const place = placeOf(listener)
    if (this.#failures.get(place) === message) return
    this.#failures.set(place, message)
    this.#options.log.warn({ listener: listener.id, reason: message, help }, 'port of a Service cannot be opened')
  }

  #retryLater(): void {
    clearTimeout(this.#timer)
    if (this.#isStopped || this.#failures.size === 0) return
    this.#timer = setTimeout(() => void this.#then(() => this.#openWanted()), this.#options.retryMs ?? RETRY_MS).unref()
  }
}
