/** Prints a diagnostic for people: place, severity, code, message, then the line with a caret, and help. */
import type { Diagnostic, Severity } from './diagnostics.ts'
import { printPosition, type SourcePosition } from './position.ts'
import { type Colour, escapeText, measureText, type Paint, paintNothing } from './terminal-text.ts'

const SEVERITY_COLOUR: Record<Severity, Colour> = { error: 'red', warning: 'yellow', info: 'cyan' }
const TAB = '    '
/** The indentation of help and notes: they stand under the excerpt's text. */
const INDENT = ' '.repeat(6)
/** Help of this length or less stands beside the caret. */
const BESIDE_CARET = 60

/** Prints one diagnostic over several lines, without a line end after the last. */
export function printDiagnostic(diagnostic: Diagnostic, paint: Paint = paintNothing): string {
  const { position, severity, code, message, resource, help, notes } = diagnostic
  const head = [
    ...(position ? [paint('bold', escapeText(printPosition(position)))] : []),
    paint(SEVERITY_COLOUR[severity], severity),
    paint('dim', code),
    escapeText(message) + (resource ? paint('dim', `  [${escapeText(resource)}]`) : ''),
  ].join('  ')
  const lines = [head]
  let below = help === undefined ? [] : help.split('\n').map(escapeText)
  if (position && position.excerpt !== '') {
    const beside = below.length === 1 && (below[0] as string).startsWith('did you mean') ? (below[0] as string) : ''
    if (beside !== '' && beside.length <= BESIDE_CARET) below = []
    lines.push(...printExcerpt(position, severity, beside.length <= BESIDE_CARET ? beside : '', paint))
  }
  for (const line of below) lines.push(INDENT + line)
  for (const note of notes) {
    const place = note.position ? `  ${paint('dim', `(${escapeText(printPosition(note.position))})`)}` : ''
    lines.push(INDENT + escapeText(note.message) + place)
  }
  return lines.join('\n')
}

/** The source line with the caret line under it; undefined where there is none to show. */
export function printCaret({ position, severity }: Diagnostic): string | undefined {
  if (position === undefined || position.excerpt === '') return undefined
  return printExcerpt(position, severity, '', paintNothing).join('\n')
}

/** The source line and, under the exact span, the caret line. */
function printExcerpt(position: SourcePosition, severity: Severity, beside: string, paint: Paint): string[] {
  const { excerpt, line, column, excerptColumn = column } = position
  const start = Math.min(excerptColumn - 1, excerpt.length)
  const before = (excerptColumn < column ? '…' : '') + printSource(excerpt.slice(0, start))
  const span = printSource(excerpt.slice(start, start + position.length))
  const after = printSource(excerpt.slice(start + position.length))
  const gutter = String(line).padStart(5)
  const bar = paint('dim', '│')
  const caret = ' '.repeat(measureText(before)) + paint(SEVERITY_COLOUR[severity], '^'.repeat(measureText(span) || 1))
  return [
    `${paint('dim', gutter)} ${bar} ${before}${span}${after}`.trimEnd(),
    `${' '.repeat(gutter.length)} ${bar} ${caret}${beside === '' ? '' : `  ${beside}`}`,
  ]
}

/** Tabs have a fixed width here, so that the caret stands right on every terminal. */
function printSource(text: string): string {
  return text.split('\t').map(escapeText).join(TAB)
}
