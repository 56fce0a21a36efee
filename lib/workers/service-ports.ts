/** The ports that Services open: which of them are open, and why others are not. */

import { explainServicePort } from '../control/start-error.ts'
import { placeOf, type ServiceListener } from '../model/service-listener.ts'
import { WantedPorts } from '../platform/wanted-ports.ts'
import type { Log } from '../telemetry/log.ts'

export type ServicePortsOptions = Readonly<{
  /** Opens the port of a listener that is in force. Rejects with Node's error. */
  open: (place: string, listener: ServiceListener) => Promise<void>
  close: (place: string) => Promise<void>
  log: Log
  /** Milliseconds until a port that cannot be had is tried again; given by tests. */
  retryMs?: number | undefined
}>

export class ServicePorts {
  readonly #ports: WantedPorts<ServiceListener>
  #wanted: readonly ServiceListener[] = []

  constructor({ open, close, log, retryMs }: ServicePortsOptions) {
    this.#ports = new WantedPorts({
      open,
      close,
      explain: (error, listener) => explainServicePort(error, listener).message,
      onFailed: (_place, listener, error) => {
        const { message, help } = explainServicePort(error, listener)
        log.warn({ listener: listener.id, reason: message, help }, 'port of a Service cannot be opened')
      },
      onRecovered: (_place, { id }) => log.info({ listener: id }, 'port of a Service opened'),
      retryMs,
    })
  }

  /** By id: `open`, or why it is not. */
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

  /** Before a configuration comes into force: gives up what it does not want. */
  giveUp(next: readonly ServiceListener[]): Promise<void> {
    this.#wanted = next
    const places = new Map<string, ServiceListener>()
    for (const listener of next) {
      const place = placeOf(listener)
      if (!places.has(place)) places.set(place, listener)
    }
    return this.#ports.giveUp(places)
  }

  /** When it is in force: opens what it wants beyond what is open. */
  open(inForce: readonly ServiceListener[]): Promise<void> {
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
