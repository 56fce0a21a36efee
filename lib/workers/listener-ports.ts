/** The ports of listeners: which of them are open, and why others are not. */

import { explainListenError, explainListenerPort } from '../control/start-error.ts'
import { isGatewayListener, isServiceListener, type Listener, placeOf } from '../model/listener.ts'
import { WantedPorts } from '../platform/wanted-ports.ts'
import type { Log } from '../telemetry/log.ts'

export type ListenerPortsOptions = Readonly<{
  /** Opens the port of a listener; resolves to its number. Rejects with Node's error. */
  open: (place: string, listener: Listener) => Promise<number>
  close: (place: string) => Promise<void>
  log: Log
  /** Milliseconds until a port that cannot be had is tried again; given by tests. */
  retryMs?: number | undefined
}>

export class ListenerPorts {
  readonly #ports: WantedPorts<Listener>
  #wanted: readonly Listener[] = []
  /** The numbers of open ports, by place. */
  readonly #bound = new Map<string, number>()
  /** The last failure of each listener of the gateway itself, by id. */
  readonly #failures = new Map<string, unknown>()
  #isStarting = false

  constructor({ open, close, log, retryMs }: ListenerPortsOptions) {
    this.#ports = new WantedPorts({
      open: async (place, listener) => {
        this.#bound.set(place, await open(place, listener))
      },
      close: async (place) => {
        this.#bound.delete(place)
        await close(place)
      },
      explain: (error, listener) => explainListenerPort(error, listener).message,
      onFailed: (_place, listener, error) => {
        if (this.#isStarting) {
          this.#failures.set(listener.id, error)
          return
        }
        const { message, help } = explainListenerPort(error, listener)
        log.warn({ listener: listener.id, reason: message, help }, `${describePort(listener)} cannot be opened`)
      },
      onRecovered: (_place, listener) => log.info({ listener: listener.id }, `${describePort(listener)} opened`),
      retryMs,
    })
  }

  /** By the ids of listeners: `open`, or why it is not. */
  states(): ReadonlyMap<string, string> {
    const states = new Map<string, string>()
    const owners = new Map<string, string>()
    for (const listener of this.#wanted) {
      const place = placeOf(listener)
      const owner = owners.get(place)
      if (owner === undefined) owners.set(place, listener.id)
      const state = this.#ports.isOpen(place) ? 'open' : (this.#ports.findFailure(place) ?? 'not open yet')
      states.set(listener.id, owner === undefined ? state : `${owner} has it`)
    }
    return states
  }

  /** The open ports of the gateway itself, by the ids of its listeners. */
  own(): Readonly<Record<string, number>> {
    const own = this.#wanted.filter(isGatewayListener)
    return Object.fromEntries(
      own.flatMap((listener) => {
        const port = this.#bound.get(placeOf(listener))
        return port === undefined ? [] : [[listener.id, port]]
      }),
    )
  }

  /** Before a configuration comes into force: gives up what it does not want. */
  giveUp(next: readonly Listener[]): Promise<void> {
    this.#wanted = next
    const places = new Map<string, Listener>()
    for (const listener of next) {
      const place = placeOf(listener)
      if (!places.has(place)) places.set(place, listener)
    }
    return this.#ports.giveUp(places)
  }

  /** At the start: opens the ports of the gateway itself. Rejects with a StartError where one cannot be had. */
  async openOwn(): Promise<void> {
    const own = this.#wanted.filter(isGatewayListener)
    this.#isStarting = true
    await this.#ports.open(own.map(placeOf))
    this.#isStarting = false
    for (const listener of own) {
      const { id, address, port } = listener
      if (this.#failures.has(id)) throw explainListenError(this.#failures.get(id), { name: id, address, port })
    }
  }

  /** When it is in force: opens what it wants beyond what is open. */
  open(inForce: readonly Listener[]): Promise<void> {
    return this.#ports.open(inForce.map(placeOf))
  }

  /** What was open is not any more. */
  lose(place: string, error: unknown): Promise<void> {
    return this.#ports.lose(place, error)
  }

  /** Opens nothing any more. */
  stop(): void {
    this.#ports.stop()
  }
}

function describePort(listener: Listener): string {
  return isServiceListener(listener) ? 'port of a Service' : 'port of the gateway'
}
