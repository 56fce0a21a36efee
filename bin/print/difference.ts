/** What two configurations differ in: as text, Markdown for a pull request, or JSON. */
import { printCount } from '../../lib/base/count.ts'
import { escapeText, type Paint } from '../../lib/base/terminal-text.ts'
import { type Difference, isSame } from '../../lib/report/compared.ts'
import { printChange } from '../../lib/report/diff.ts'
import type { DiagnosticRow } from '../../lib/report/views.ts'
import { printProblemPlace } from './columns.ts'

type Line = Readonly<{ sign: '+' | '-' | '~'; text: string }>

/** A line for each change; `+` came, `-` went, `~` is other than before. */
export function printDifference(difference: Difference, paint: Paint): string {
  const colours = { '+': 'green', '-': 'red', '~': 'yellow' } as const
  return listLines(difference)
    .map(({ sign, text }) => `${paint(colours[sign], sign)} ${escapeText(text)}`)
    .join('\n')
}

/** `2 changes, 1 new problem, 1 problem gone` */
export function countDifference(difference: Difference): string {
  if (isSame(difference)) return 'no difference'
  const { changes, settings, newDiagnostics, goneDiagnostics } = difference
  const counts = [
    ...(changes.length > 0 ? [printCount(changes.length, 'change')] : []),
    ...(settings.length > 0 ? [`${printCount(settings.length, 'setting')} changed`] : []),
    ...(newDiagnostics.length > 0 ? [`${printCount(newDiagnostics.length, 'new problem')}`] : []),
    ...(goneDiagnostics.length > 0 ? [`${printCount(goneDiagnostics.length, 'problem')} gone`] : []),
  ]
  return counts.join(', ')
}

/** A code block that code hosts colour: they know `!` for what changed. */
export function printMarkdown(difference: Difference): string {
  const title = `**Portico:** ${countDifference(difference)}`
  if (isSame(difference)) return title
  const lines = listLines(difference).map(({ sign, text }) => `${sign === '~' ? '!' : sign} ${escapeText(text)}`)
  const longest = Math.max(2, ...lines.flatMap((line) => (line.match(/`+/g) ?? []).map(({ length }) => length)))
  const fence = '`'.repeat(longest + 1)
  return [title, '', `${fence}diff`, ...lines, fence].join('\n')
}

/** For scripts. */
export function differenceJson({ changes, settings, newDiagnostics, goneDiagnostics }: Difference): unknown {
  return { changes, settings, diagnostics: { new: newDiagnostics, gone: goneDiagnostics } }
}

function listLines({ changes, settings, newDiagnostics, goneDiagnostics }: Difference): readonly Line[] {
  return [
    ...changes.map((change): Line => {
      const text = printChange(change)
      return { sign: text[0] as Line['sign'], text: text.slice(2) }
    }),
    ...settings.map(({ name, before, after, restart }): Line => {
      const text = `setting ${name} ${before} → ${after}${restart ? ' (after a restart)' : ''}`
      return { sign: '~', text }
    }),
    ...newDiagnostics.map((row): Line => ({ sign: '+', text: printProblem(row) })),
    ...goneDiagnostics.map((row): Line => ({ sign: '-', text: printProblem(row) })),
  ]
}

function printProblem(row: DiagnosticRow): string {
  const { severity, code, message } = row
  return [severity, printProblemPlace(row), code, message].filter(Boolean).join('  ')
}
