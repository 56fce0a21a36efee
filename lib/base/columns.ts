/** Cells in columns, for texts of people. */
import { measureText, padText } from './terminal-text.ts'

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
