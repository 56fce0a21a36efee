/** What was measured, as tables for people and as one value for programs. */
import type { Metric, Sample } from './case.ts'

/** The candidate that the others are compared with. */
const YARDSTICK = 'nginx'

export type CandidateResult = Readonly<{ name: string; version: string; samples: readonly Sample[] }>

export type LeftOut = Readonly<{ name: string; reason: string }>

export type CaseResult = Readonly<{
  id: string
  title: string
  note?: string
  metrics: readonly Metric[]
  candidates: readonly CandidateResult[]
  leftOut: readonly LeftOut[]
}>

/** One figure of one candidate: over the rounds, and in relation to nginx's median. */
export type Figure = Readonly<{ median: number; least: number; most: number; ratio?: number }>

/** The figures of a case by candidate and metric. */
export function summarize({ metrics, candidates }: CaseResult): Record<string, Record<string, Figure>> {
  const yardstick = candidates.find(({ name }) => name === YARDSTICK)
  return Object.fromEntries(
    candidates.map(({ name, samples }) => [
      name,
      Object.fromEntries(
        metrics.map((metric) => [metric.key, createFigure(metric, samples, yardstick?.samples)] as const),
      ),
    ]),
  )
}

function createFigure(
  { key, ratio }: Metric,
  samples: readonly Sample[],
  yardstick: readonly Sample[] | undefined,
): Figure {
  const values = samples.map((sample) => sample[key] ?? Number.NaN).sort((left, right) => left - right)
  const middle = median(values)
  const figure = { median: middle, least: values[0] ?? Number.NaN, most: values.at(-1) ?? Number.NaN }
  if (!ratio || yardstick === undefined) return figure
  return { ...figure, ratio: middle / median(yardstick.map((sample) => sample[key] ?? Number.NaN)) }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right)
  const upper = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[upper]! : (sorted[upper - 1]! + sorted[upper]!) / 2
}

/** A Markdown table, readable as it is; the candidates in the order they were given. */
export function printCase(result: CaseResult): string {
  const { id, title, note, metrics, candidates, leftOut } = result
  const figures = summarize(result)
  const header = ['', ...metrics.map(({ label }) => label)]
  const rows = candidates.map(({ name, version }) => [
    `${name} ${version}`,
    ...metrics.map((metric, at) => printFigure(metric, figures[name]![metric.key]!, at === 0)),
  ])
  const rounds = Math.max(0, ...candidates.map(({ samples }) => samples.length))
  return [
    `## ${id}: ${title}`,
    '',
    [
      rounds > 1 ? `Medians of ${rounds} rounds, (least–most)` : 'One round',
      ...(metrics.some(({ ratio }) => ratio) ? [`, × ${YARDSTICK}`] : []),
      `.${note === undefined ? '' : ` ${note}`}`,
    ].join(''),
    '',
    ...printTable([header, ...rows]),
    ...groupReasons(leftOut).flatMap((line) => ['', `Left out: ${line}`]),
    '',
  ].join('\n')
}

/** The cases of the same metrics in one table, a row for each candidate of each. */
export function printTogether(results: readonly CaseResult[]): string {
  const tables = new Map<readonly Metric[], string[][]>()
  for (const result of results) {
    const { id, metrics, candidates } = result
    const figures = summarize(result)
    const rows = tables.get(metrics) ?? [['', '', ...metrics.map(({ label }) => label)]]
    for (const { name, version } of candidates) {
      rows.push([
        id,
        `${name} ${version}`,
        ...metrics.map((metric) => printFigure(metric, figures[name]![metric.key]!, false)),
      ])
    }
    tables.set(metrics, rows)
  }
  return [...tables.values()].map((rows) => `${printTable(rows).join('\n')}\n`).join('\n')
}

/** One line for each reason, with the names it goes for. */
export function groupReasons(leftOut: readonly LeftOut[]): readonly string[] {
  const reasons = new Map<string, string[]>()
  for (const { name, reason } of leftOut) {
    const names = reasons.get(reason)
    if (names === undefined) reasons.set(reason, [name])
    else names.push(name)
  }
  return [...reasons].map(([reason, names]) => `${names.join(', ')}: ${reason}`)
}

function printFigure({ digits }: Metric, { median, least, most, ratio }: Figure, withRange: boolean): string {
  if (Number.isNaN(median)) return '–'
  const range = withRange && least !== most ? ` (${least.toFixed(digits)}–${most.toFixed(digits)})` : ''
  return `${median.toFixed(digits)}${range}${ratio === undefined || Number.isNaN(ratio) ? '' : ` ×${ratio.toFixed(2)}`}`
}

function printTable(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(3, ...rows.map((row) => row[column]!.length)))
  const print = (row: readonly string[]) =>
    `| ${row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!))).join(' | ')} |`
  const line = `|${widths.map((width, at) => (at === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  return [print(rows[0]!), line, ...rows.slice(1).map(print)]
}
