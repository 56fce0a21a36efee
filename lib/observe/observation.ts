/**
 * What is observed of endpoints while a configuration is in force, put into the upstreams of its model: data like any other,
 * which reaches the data side as a reload does. Observers follow each other: each sees what the one before made.
 */
import type { Model } from '../model/model.ts'
import type { ServedConfiguration } from '../model/served.ts'
import type { Upstream, UpstreamKey } from '../model/upstream.ts'
import type { Settings } from '../settings/table.ts'

export type Upstreams = ReadonlyMap<UpstreamKey, Upstream>

/** Calls the `onChange` that it was made with where `observe` would give something else than the last time. */
export type UpstreamObserver = {
  /** Finds out, within a short time, what `observe` can say better then; called before it where a configuration is new. */
  prepare?(upstreams: Upstreams, settings: Settings): Promise<void>
  /** From now on these are all there are. Gives what did not change as the same object, the whole map included. */
  observe(upstreams: Upstreams, settings: Settings): Upstreams
  close(): void
}

export type ObservationOptions = {
  readonly observers: (onChange: () => void) => readonly UpstreamObserver[]
  /** What is done to the rest of the model; gives what did not change as the same object. Left out: nothing. */
  readonly adjust?: (model: Model) => Model
  /** Resolves when it is in force. */
  readonly apply: (served: ServedConfiguration) => Promise<void>
}

/** Changes that come within this time go on together, milliseconds. */
const HOLD_OFF_MS = 5

export class Observation {
  readonly #options: ObservationOptions
  readonly #observers: readonly UpstreamObserver[]
  #loaded: ServedConfiguration
  #served: ServedConfiguration
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(options: ObservationOptions, first: ServedConfiguration) {
    this.#options = options
    this.#observers = options.observers(() => this.#schedule())
    this.#loaded = first
    this.#served = this.#observe(first)
  }

  /** What serves now, with all that was observed. */
  get served(): ServedConfiguration {
    return this.#served
  }

  /** Takes in what was found out since the beginning, before anything serves. */
  async prepare(): Promise<void> {
    await this.#prepare(this.#loaded)
    this.#served = this.#observe(this.#loaded)
  }

  /** Puts a loaded configuration in force; until then the one before goes on serving. */
  async apply(loaded: ServedConfiguration): Promise<void> {
    await this.#prepare(loaded)
    if (this.#isClosed) return
    this.#loaded = loaded
    this.#served = this.#observe(loaded)
    return this.#options.apply(this.#served)
  }

  /** Observes now; resolves when what is new is in force. */
  async renew(): Promise<void> {
    const before = this.#served
    this.#served = this.#observe(this.#loaded)
    if (isOther(before, this.#served)) await this.#options.apply(this.#served)
  }

  close(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
    for (const observer of this.#observers) observer.close()
  }

  #schedule(): void {
    if (this.#isClosed) return
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      const before = this.#served
      this.#served = this.#observe(this.#loaded)
      // Where it fails, the carrier has said so, and the next change brings all of it again.
      if (isOther(before, this.#served)) this.#options.apply(this.#served).catch(() => {})
    }, HOLD_OFF_MS)
  }

  async #prepare({ model, settings }: ServedConfiguration): Promise<void> {
    await Promise.all(this.#observers.map((observer) => observer.prepare?.(model.upstreams, settings)))
  }

  #observe(loaded: ServedConfiguration): ServedConfiguration {
    const { model, settings } = loaded
    let upstreams: Upstreams = model.upstreams
    for (const observer of this.#observers) upstreams = observer.observe(upstreams, settings)
    const seen = upstreams === model.upstreams ? model : Object.freeze({ ...model, upstreams })
    const adjusted = this.#options.adjust?.(seen) ?? seen
    return adjusted === model ? loaded : Object.freeze({ ...loaded, model: adjusted })
  }
}

function isOther(before: ServedConfiguration, after: ServedConfiguration): boolean {
  const { upstreams, tables } = before.model
  return after.model.upstreams !== upstreams || after.model.tables !== tables
}
