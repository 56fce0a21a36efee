/** Prints the changes of a reload, or the reason why it changed nothing. */
import { printCount } from '../../lib/base/count.ts'
import { escapeText, type Paint } from '../../lib/base/terminal-text.ts'
import { printChange } from '../../lib/report/diff.ts'
import { CHECK_KEPT } from '../../lib/report/reload-log.ts'
import type { Reloaded, ReloadFailed } from '../../lib/report/reloaded.ts'
import { printProblems } from './problems.ts'

const MOST_CHANGES = 20
const MOST_FILES = 3

/** The files, a line for each changed route, new problems, and the outcome: live, or kept as before. */
export function printReloaded(reloaded: Omit<Reloaded, 'served'>, inFlight: number, paint: Paint): string {
  const { files, changes, kept, newDiagnostics, goneDiagnostics, restartSettings, durationMs } = reloaded
  const isNews = changes.length > 0 || kept.length === 0
  const lines = [printFiles(files, kept.length > 0)]
  for (const change of changes.slice(0, MOST_CHANGES)) lines.push(`  ${escapeText(printChange(change))}`)
  if (changes.length > MOST_CHANGES) lines.push(`  … and ${changes.length - MOST_CHANGES} more`)
  if (changes.length === 0 && isNews) lines.push('  no route changed')
  const outcomes = new Set(kept.map(({ text }) => text))
  const problems = newDiagnostics
    .filter(({ severity }) => severity !== 'info')
    // These notes are printed once at the end, not with each problem.
    .map((problem) => ({ ...problem, notes: problem.notes.filter(({ message }) => !outcomes.has(message)) }))
  lines.push(...printProblems(problems, paint))
  for (const name of restartSettings) lines.push(`  ${name} takes effect after a restart`)
  const gone = goneDiagnostics > 0 ? `${printCount(goneDiagnostics, 'problem')} gone.  ` : ''
  for (const text of outcomes) lines.push(`  ${paint('red', 'not taken:')} ${escapeText(text)}; ${CHECK_KEPT}`)
  const untouched = inFlight > 0 ? `; ${inFlight} in flight untouched` : ''
  if (isNews) lines.push(`  ${gone}Live after ${Math.round(durationMs)} ms${untouched}.`)
  return lines.join('\n')
}

/** The problems, and the time of the configuration that is still served. */
export function printReloadFailed(failed: Omit<ReloadFailed, 'error'>, paint: Paint): string {
  const since = new Date(failed.servingSince).toTimeString().slice(0, 8)
  return [
    ...printProblems(
      failed.newDiagnostics.filter(({ severity }) => severity !== 'info'),
      paint,
    ),
    `${paint('red', 'not reloaded:')} ${escapeText(failed.reason)}; still serving the configuration of ${since}`,
  ].join('\n')
}

function printFiles(files: readonly string[], isPart: boolean): string {
  if (files.length === 0) return isPart ? 'partly reloaded' : 'reloaded'
  const shown = files.slice(0, MOST_FILES).map(escapeText).join(', ')
  return `${shown}${files.length > MOST_FILES ? ` and ${files.length - MOST_FILES} more` : ''} changed`
}
