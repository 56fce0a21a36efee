/** From one configuration to the next: waits until changes pause, loads, and puts in force what was loaded. A failure changes nothing. */
import type { Clock } from '../base/clock.ts'
import { type Diagnostic, printTrouble } from '../base/diagnostics.ts'
import type { ServedConfiguration } from '../model/served.ts'
import { diffModels } from '../report/diff.ts'
import { listLeftOut } from '../report/left-out.ts'
import type { Reloaded, ReloadFailed } from '../report/reloaded.ts'
import { findRestartSettings } from '../settings/resolve.ts'
import type { Settings } from '../settings/table.ts'
import type { Configuration, LoadRequest } from './configuration.ts'

/** A change is taken up when no other follows within this time, milliseconds: the events of one save come closer together. */
const HOLD_OFF_MS = 10
/** And within this time where a file is written in place: its first half may well pass for a whole. */
const WRITE_HOLD_OFF_MS = 100
/** A file that is being written all the time is taken up after this time at the latest, milliseconds. */
const MAX_HOLD_OFF_MS = 1_000

export type ReloaderOptions = {
  readonly load: (request: LoadRequest) => Promise<Configuration>
  /** Resolves when the configuration is in force. */
  readonly apply: (served: ServedConfiguration) => Promise<void>
  readonly clock: Clock
  /** What was loaded at the start. */
  readonly first: Configuration
  readonly onReloaded: (result: Reloaded) => void
  readonly onFailed: (failure: ReloadFailed) => void
  /** After each load, also one that changed nothing. */
  readonly onLoaded?: (configuration: Configuration) => void
}

type Outcome = Reloaded | ReloadFailed | undefined

/** Holds the configuration in force; loads never overlap, and the last change wins. */
export class Reloader {
  readonly #options: ReloaderOptions
  /** The settings of the start. */
  readonly #start: Settings
  #current: ServedConfiguration
  /** As last loaded, whether it could be served or not. */
  #loaded: Configuration
  /** What was last told to the user. */
  #told: readonly Diagnostic[]
  #running: Promise<Outcome> | undefined
  #queued: Promise<Outcome> | undefined
  #timer: NodeJS.Timeout | undefined
  #firstChangeAt: number | undefined
  /** The next load counts even if nothing changed. */
  #always = false
  #closed = false

  constructor(options: ReloaderOptions) {
    const { first, clock } = options
    this.#options = options
    this.#start = first.settings
    this.#loaded = first
    this.#told = first.diagnostics
    this.#current = serve(first, 1, clock.now())
  }

  /** What serves now. */
  get current(): ServedConfiguration {
    return this.#current
  }

  /** Reloads after a pause, since something changed. `isWritten`: a file is being written in place. */
  trigger(isWritten = false): void {
    if (this.#closed) return
    const now = this.#options.clock.monotonic()
    this.#firstChangeAt ??= now
    clearTimeout(this.#timer)
    const holdOff = isWritten ? WRITE_HOLD_OFF_MS : HOLD_OFF_MS
    const delay = Math.min(holdOff, Math.max(0, this.#firstChangeAt + MAX_HOLD_OFF_MS - now))
    this.#timer = setTimeout(() => void this.#enqueue(false), delay)
  }

  /** Reloads now, even if no file changed; resolves when the outcome is in force. Undefined: the gateway is closing. */
  reload(): Promise<Outcome> {
    return this.#enqueue(true)
  }

  /** Nothing follows any more; resolves when the load under way has ended. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#running
  }

  #enqueue(always: boolean): Promise<Outcome> {
    clearTimeout(this.#timer)
    this.#firstChangeAt = undefined
    this.#always ||= always
    this.#queued ??= this.#runNext()
    return this.#queued
  }

  async #runNext(): Promise<Outcome> {
    await this.#running
    this.#queued = undefined
    if (this.#closed) return undefined
    const request = { isForced: this.#always, start: this.#start }
    this.#always = false
    this.#running = this.#run(request).finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #run(request: LoadRequest): Promise<Outcome> {
    const began = this.#options.clock.monotonic()
    let outcome: Outcome
    try {
      const next = await this.#options.load(request)
      if (this.#closed) return undefined
      this.#options.onLoaded?.(next)
      const before = this.#loaded
      if (!request.isForced && next.fingerprint === before.fingerprint) return undefined
      this.#loaded = next
      const trouble = this.#start.strict ? printTrouble(next.diagnostics) : undefined
      if (trouble) {
        outcome = this.#fail(`${trouble}, and strict is on`, this.#tell(next), undefined)
      } else {
        outcome = await this.#swap(before, next, began)
      }
    } catch (error) {
      outcome = this.#fail(error instanceof Error ? error.message : String(error), [], error)
    }
    // Outside the try: what goes wrong in the telling is no failed reload.
    if (outcome && 'served' in outcome) this.#options.onReloaded(outcome)
    return outcome
  }

  async #swap(before: Configuration, next: Configuration, began: number): Promise<Reloaded> {
    const { apply, clock } = this.#options
    const previous = this.#current
    const { model, diagnostics, kept } = next
    const served = serve(next, previous.generation + 1, clock.now())
    await apply(served)
    const durationMs = clock.monotonic() - began
    this.#current = served
    const goneDiagnostics = countMissing(this.#told, diagnostics)
    return {
      served,
      files: next.changed,
      changes: diffModels(previous.model, model),
      kept,
      newDiagnostics: this.#tell(next),
      goneDiagnostics,
      restartSettings: findRestartSettings(before.written, next.written),
      durationMs,
    }
  }

  #fail(reason: string, newDiagnostics: readonly Diagnostic[], error: unknown): ReloadFailed {
    const failure = { reason, newDiagnostics, servingSince: this.#current.builtAt, error }
    this.#options.onFailed(failure)
    return failure
  }

  /** Those the user has not been told yet; and why an older version is served, for as long as it is. */
  #tell({ diagnostics, kept }: Configuration): readonly Diagnostic[] {
    const told = new Set(this.#told.map(identify))
    const reasons = new Set(kept.flatMap((one) => one.reasons))
    this.#told = diagnostics
    return diagnostics.filter((diagnostic) => reasons.has(diagnostic) || !told.has(identify(diagnostic)))
  }
}

/** A loaded configuration as one in force. */
function serve(
  { settings, provenance, model, diagnostics, resources }: Configuration,
  generation: number,
  builtAt: number,
): ServedConfiguration {
  const leftOut = () => listLeftOut(resources, diagnostics)
  return Object.freeze({
    generation,
    builtAt,
    settings,
    provenance,
    model,
    diagnostics,
    locate: resources.locate,
    labelsOf: resources.labelsOf,
    leftOut,
  })
}

function countMissing(before: readonly Diagnostic[], after: readonly Diagnostic[]): number {
  const present = new Set(after.map(identify))
  return before.filter((diagnostic) => !present.has(identify(diagnostic))).length
}

/** Lines move when something above them is edited, so the line is no part of it. */
function identify({ code, message, resource, position }: Diagnostic): string {
  return JSON.stringify([code, message, resource, position?.file])
}
