/** The last reloads, as the admin API shows them. */
import { type Clock, printIsoTime } from '../base/clock.ts'
import { printChange } from './diff.ts'
import type { Reloaded, ReloadFailed } from './reloaded.ts'
import { type DiagnosticRow, diagnosticsView } from './views.ts'

export type ReloadRow = Readonly<{
  /** ISO 8601. */
  at: string
  /** `partly reloaded`: of some files the last good version is served. */
  outcome: 'reloaded' | 'partly reloaded' | 'refused'
  /** Names of files that came, went or changed. */
  files: readonly string[]
  /** The first changes, a line each. */
  changes: readonly string[]
  changeCount: number
  /** What was not taken: `still serving k8s/shop.yaml as of 14:03:11`. */
  kept: readonly string[]
  /** The first problems that are new. */
  newDiagnostics: readonly DiagnosticRow[]
  goneDiagnostics: number
  /** Settings that changed and take effect after a restart. */
  restartSettings: readonly string[]
  durationMs: number | undefined
  /** Why it was refused. */
  reason: string | undefined
}>

const MAX_RELOADS = 20
/** Changes and problems of one reload. */
const MAX_LINES = 50

export class ReloadHistory {
  readonly #clock: Clock
  #rows: readonly ReloadRow[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The newest first. */
  get rows(): readonly ReloadRow[] {
    return this.#rows
  }

  noteReloaded({ files, changes, kept, newDiagnostics, goneDiagnostics, restartSettings, durationMs }: Reloaded): void {
    this.#note({
      outcome: kept.length === 0 ? 'reloaded' : 'partly reloaded',
      files: files.slice(0, MAX_LINES),
      changes: changes.slice(0, MAX_LINES).map(printChange),
      changeCount: changes.length,
      kept: kept.slice(0, MAX_LINES).map(({ text }) => text),
      newDiagnostics: diagnosticsView(newDiagnostics.slice(0, MAX_LINES)),
      goneDiagnostics,
      restartSettings,
      durationMs: Math.round(durationMs),
      reason: undefined,
    })
  }

  noteFailed({ reason, newDiagnostics }: ReloadFailed): void {
    this.#note({
      outcome: 'refused',
      files: [],
      changes: [],
      changeCount: 0,
      kept: [],
      newDiagnostics: diagnosticsView(newDiagnostics.slice(0, MAX_LINES)),
      goneDiagnostics: 0,
      restartSettings: [],
      durationMs: undefined,
      reason,
    })
  }

  #note(row: Omit<ReloadRow, 'at'>): void {
    this.#rows = [{ at: printIsoTime(this.#clock.now()), ...row }, ...this.#rows.slice(0, MAX_RELOADS - 1)]
  }
}
