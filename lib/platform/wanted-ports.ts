/** Ports that a configuration wants: opened when it comes into force, given up when it goes, and tried again while they cannot be had. */

export type WantedPortsOptions<T> = Readonly<{
  /** Rejects where the port cannot be had. */
  open: (place: string, wanted: T) => Promise<void>
  close: (place: string) => Promise<void>
  /** Why a port cannot be had, in words. */
  explain: (error: unknown, wanted: T) => string
  /** A port cannot be had; told again only when the reason is another one. */
  onFailed: (place: string, wanted: T, error: unknown) => void
  /** A port that could not be had is open. */
  onRecovered: (place: string, wanted: T) => void
  /** Milliseconds until ports that cannot be had are tried again; given by tests. */
  retryMs?: number | undefined
}>

const RETRY_MS = 10_000

/** By place: the transport, address and port that only one of them can have. A port that cannot be had stops no other. */
export class WantedPorts<T> {
  readonly #options: WantedPortsOptions<T>
  #wanted: ReadonlyMap<string, T> = new Map()
  /** The places that the configuration in force wants; the next one may be wanted already. */
  #inForce: ReadonlySet<string> = new Set()
  readonly #open = new Set<string>()
  /** Why a port cannot be had, as it was told. */
  readonly #failures = new Map<string, string>()
  #work: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | undefined
  #isStopped = false

  constructor(options: WantedPortsOptions<T>) {
    this.#options = options
  }

  isOpen(place: string): boolean {
    return this.#open.has(place)
  }

  /** Why the port cannot be had; undefined where it was not tried yet, or is open. */
  findFailure(place: string): string | undefined {
    return this.#failures.get(place)
  }

  /** Before a configuration comes into force: gives up the ports that it does not want, so that others may have them. */
  giveUp(next: ReadonlyMap<string, T>): Promise<void> {
    return this.#then(async () => {
      this.#wanted = next
      for (const place of this.#failures.keys()) if (!next.has(place)) this.#failures.delete(place)
      for (const place of this.#open) {
        if (next.has(place)) continue
        this.#open.delete(place)
        await this.#options.close(place)
      }
    })
  }

  /** When a configuration is in force: opens the ports that it wants and that are not open. */
  open(inForce: Iterable<string>): Promise<void> {
    return this.#then(() => {
      this.#inForce = new Set(inForce)
      return this.#openWanted()
    })
  }

  /** What was open is not any more. */
  lose(place: string, error: unknown): Promise<void> {
    return this.#then(async () => {
      const wanted = this.#wanted.get(place)
      if (wanted === undefined || !this.#open.delete(place)) return
      await this.#options.close(place)
      this.#fail(place, wanted, error)
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
    for (const [place, wanted] of this.#wanted) {
      if (this.#isStopped || this.#open.has(place) || !this.#inForce.has(place)) continue
      try {
        await this.#options.open(place, wanted)
        this.#open.add(place)
        if (this.#failures.delete(place)) this.#options.onRecovered(place, wanted)
      } catch (error) {
        this.#fail(place, wanted, error)
      }
    }
    this.#retryLater()
  }

  #fail(place: string, wanted: T, error: unknown): void {
    if (this.#isStopped) return
    const reason = this.#options.explain(error, wanted)
    if (this.#failures.get(place) === reason) return
    this.#failures.set(place, reason)
    this.#options.onFailed(place, wanted, error)
  }

  #retryLater(): void {
    clearTimeout(this.#timer)
    if (this.#isStopped || this.#failures.size === 0) return
    this.#timer = setTimeout(() => void this.#then(() => this.#openWanted()), this.#options.retryMs ?? RETRY_MS).unref()
  }
}
