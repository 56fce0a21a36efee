/** Tables like kubectl's: a heading in capitals, three spaces between columns, no lines. */
import { alignColumns } from '../../lib/base/columns.ts'
import { escapeText } from '../../lib/base/terminal-text.ts'

/** One line for each row of cells; the first row is the heading. Cells are made safe to print, so they must not have colours. */
export function layOutTable(rows: readonly (readonly string[])[]): string[] {
  const safe = rows.map((row) => row.map((cell) => escapeText(cell === '' ? '<none>' : cell)))
  return alignColumns(safe, 3)
}
