/** The HTTP or the HTTPS listener: its port, and the doors behind it. */
import type { Socket } from 'node:net'
import type { BoundAddress } from '../platform/listen.ts'
import type { Settings } from '../settings/table.ts'
import { Doors, type DoorsOptions } from './doors.ts'
import { Port, type PortOptions, type PortUse } from './port.ts'

export type ListenerOptions = DoorsOptions &
  PortOptions & {
    name: 'http' | 'https'
    /** The settings in force; left out, those of the start. */
    current?: () => Settings
    /** A bound TCP handle to listen on, in place of address and port: another process holds the port. */
    handle?: object
  }

export class Listener implements PortUse {
  readonly label: 'http' | 'https'
  readonly place: undefined
  readonly #options: ListenerOptions
  readonly #doors: Doors
  readonly #port: Port
  #isDraining = false

  /** Throws when the default certificate cannot be used. */
  constructor(options: ListenerOptions) {
    this.label = options.name
    this.#options = options
    this.#doors = new Doors(options.name, options)
    this.#port = new Port(this, options)
    options.admission.addSource(this.#doors)
  }

  get settings(): Settings {
    return this.#options.current?.() ?? this.#options.settings
  }

  get wantsProxyHeader(): boolean {
    return this.settings[this.label].proxyProtocol !== 'none'
  }

  serve(socket: Socket): void {
    this.#doors.accept(socket)
    socket.resume()
  }

  /** Open client connections. */
  get connections(): number {
    return this.#port.connections
  }

  /** Rejects with Node's error: its `code` is EADDRINUSE, EACCES … */
  async listen(): Promise<BoundAddress> {
    await this.#doors.ready()
    const { settings, handle } = this.#options
    const { address, port } = settings[this.label]
    return this.#port.listen(handle ?? { address, port })
  }

  /** Takes no more connections, closes those that carry no request, and lets the others finish. */
  drain(): void {
    if (this.#isDraining) return
    this.#isDraining = true
    void this.#port.stop()
    this.#doors.drain()
  }

  /** Cuts what is left; resolves when all is closed. */
  async close(): Promise<void> {
    this.drain()
    this.#port.close()
    await this.#doors.close()
  }
}
