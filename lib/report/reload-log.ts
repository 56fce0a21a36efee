/** What the log says of a reload: the files, the routes that changed, and problems that are new. */
import { printTime } from '../base/clock.ts'
import type { Diagnostic, DiagnosticNote } from '../base/diagnostics.ts'
import { printPosition } from '../base/position.ts'
import type { Log } from '../telemetry/log.ts'
import { printChange } from './diff.ts'
import type { Reloaded, ReloadFailed } from './reloaded.ts'

/** A rewrite of everything is told by its first changes and their number. */
const MAX_CHANGES = 100

/** A version that is not taken is not translated, which would show its further problems. */
export const CHECK_KEPT = 'portico check prints every problem of what is not taken'

/** `inFlight` are the requests and tunnels that the reload left alone. */
export function logReloaded(log: Log, result: Reloaded, inFlight: number): void {
  const { served, files, changes, kept, newDiagnostics, goneDiagnostics, restartSettings, durationMs } = result
  const subject = files.length > 3 ? `${files.length} files` : files.join(', ')
  const fields = {
    generation: served.generation,
    changes: changes.slice(0, MAX_CHANGES).map(printChange),
    change_count: changes.length,
    gone_diagnostics: goneDiagnostics,
    in_flight: inFlight,
    duration_ms: Math.round(durationMs),
  }
  const how = kept.length === 0 ? 'reloaded' : 'partly reloaded'
  const outcome = subject === '' ? `configuration ${how}` : `${subject} changed`
  if (kept.length === 0) log.info(fields, outcome)
  else log.warn(fields, `${outcome}: ${kept.map(({ text }) => text).join(', ')}; ${CHECK_KEPT}`)
  logDiagnostics(log, newDiagnostics)
  for (const setting of restartSettings) log.warn({ setting }, `${setting} changed: takes effect after a restart`)
}

export function logReloadFailed(log: Log, { reason, newDiagnostics, servingSince, error }: ReloadFailed): void {
  logDiagnostics(log, newDiagnostics)
  const fields = error === undefined ? { reason } : { reason, err: error }
  log.error(fields, `reload failed: still serving the configuration as of ${printTime(servingSince)}`)
}

/** One line each, with the place and what to do. */
export function logDiagnostics(log: Log, diagnostics: readonly Diagnostic[]): void {
  for (const { code, severity, message, position, resource, help, notes } of diagnostics) {
    const fields = {
      code,
      ...(position && { at: printPosition(position) }),
      ...(resource && { resource }),
      ...(help && { help }),
      ...(notes.length > 0 && { notes: notes.map(printNote) }),
    }
    log[severity === 'warning' ? 'warn' : severity](fields, message)
  }
}

function printNote({ message, position }: DiagnosticNote): string {
  return position ? `${message} (${printPosition(position)})` : message
}
