/** What there is to tell of a reload. */
import type { Diagnostic } from '../base/diagnostics.ts'
import type { ServedConfiguration } from '../model/served.ts'
import type { Kept } from '../providers/kept.ts'
import type { ModelChange } from './diff.ts'

/** What a reload changed. */
export type Reloaded = Readonly<{
  served: ServedConfiguration
  /** Names of files that came, went or changed. */
  files: readonly string[]
  changes: readonly ModelChange[]
  /** What was not taken: its last good version is in force. */
  kept: readonly Kept[]
  /** Diagnostics that were not told yet, or why something is kept; and how many of those told are gone. */
  newDiagnostics: readonly Diagnostic[]
  goneDiagnostics: number
  /** Settings that changed and are read only at the start. */
  restartSettings: readonly string[]
  durationMs: number
}>

/** What a reload came to, as plain data: what `portico reload` prints. */
export type ReloadOutcome =
  | Readonly<{ type: 'reloaded'; reloaded: Omit<Reloaded, 'served'>; generation: number; inFlight: number }>
  | Readonly<{ type: 'failed'; failure: Omit<ReloadFailed, 'error'> }>

/** Why a reload changed nothing. */
export type ReloadFailed = Readonly<{
  reason: string
  newDiagnostics: readonly Diagnostic[]
  /** When the configuration that goes on serving came, milliseconds since the epoch. */
  servingSince: number
  /** A bug, where it was not what the user wrote. */
  error: unknown
}>
