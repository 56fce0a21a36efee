/** Tables like kubectl's: a heading in capitals, three spaces between columns, no lines. */
import { escapeText, measureText, padText } from '../../lib/base/terminal-text.ts'

/** One line for each row of cells; the first row is the heading. Cells are made safe to print, so they must not have colours. */
export function layOutTable(rows: readonly (readonly string[])[]): string[] {
  const safe = rows.map((row) => row.map((cell) => escapeText(cell === '' ? '<none>' : cell)))
  return alignColumns(safe, 3)
}

/** Pads each cell to the width of its column. The last cell of a row is not padded and widens no column. Cells may have colours. */
export function alignColumns(rows: readonly (readonly string[])[], gap: number): string[] {
  const widths: number[] = []
  for (const row of rows) {
    for (const [index, cell] of row.slice(0, -1).entries())
      widths[index] = Math.max(widths[index] ?? 0, measureText(cell))
  }
  return rows.map((row) =>
    row
      .map((cell, index) => (index === row.length - 1 ? cell : padText(cell, (widths[index] ?? 0) + gap)))
      .join('')
      .trimEnd(),
  )
}
