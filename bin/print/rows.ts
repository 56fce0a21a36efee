/** The rows of `portico get`, in the forms of `-o`: all rows, or only rows that are new since the last time. */
import { layOutRows, type View } from './columns.ts'
import { layOutTable } from './table.ts'

export type RowForm = 'table' | 'wide' | 'json' | 'yaml' | 'name'

/** Prints rows as one document; rows of several kinds stand under the names of their kinds. */
export async function printDocument(rows: unknown, form: 'json' | 'yaml'): Promise<string> {
  return form === 'json' ? JSON.stringify(rows, undefined, 2) : printYaml(rows)
}

async function printYaml(value: unknown): Promise<string> {
  return (await import('yaml')).stringify(value).trimEnd()
}

/** One line for each row; the first line is the heading, unless switched off. */
export function printLines(
  view: View<unknown>,
  rows: readonly unknown[],
  form: 'table' | 'wide' | 'name',
  hasHeading: boolean,
): readonly string[] {
  if (form === 'name') return rows.map((row) => view.name(row))
  return rows.length === 0 ? [] : layOutTable(layOutRows(view, rows, form === 'wide')).slice(hasHeading ? 0 : 1)
}

/** Prints rows at each call: the first time all, then only rows that are new or have changed. */
export class ChangedRows {
  readonly #view: View<unknown>
  readonly #form: RowForm
  readonly #hasHeading: boolean
  /** The printed lines of the present rows. */
  #shown: ReadonlySet<string> = new Set()
  #names: ReadonlySet<string> = new Set()
  #heading = ''

  constructor(view: View<unknown>, form: RowForm, hasHeading: boolean) {
    this.#view = view
    this.#form = form
    this.#hasHeading = hasHeading
  }

  /** The lines to print, and the names of rows that are gone. */
  async print(rows: readonly unknown[]): Promise<Readonly<{ lines: readonly string[]; gone: readonly string[] }>> {
    const names = new Set(rows.map((row) => this.#view.name(row)))
    const gone = [...this.#names].filter((name) => !names.has(name))
    this.#names = names
    return { lines: await this.#printRows(rows), gone }
  }

  async #printRows(rows: readonly unknown[]): Promise<readonly string[]> {
    const form = this.#form
    if (form === 'name') return this.#pick(rows.map((row) => [this.#view.name(row), this.#view.name(row)]))
    if (form === 'json' || form === 'yaml') {
      const changed = this.#pick(rows.map((row) => [JSON.stringify(row), row]))
      if (form === 'json') return changed.map((row) => JSON.stringify(row))
      return Promise.all(changed.map(async (row) => `---\n${await printYaml(row)}`))
    }
    if (rows.length === 0) {
      this.#shown = new Set()
      return []
    }
    const cells = layOutRows(this.#view, rows, form === 'wide')
    const [first = '', ...lines] = layOutTable(cells)
    const changed = this.#pick(lines.map((line, index) => [JSON.stringify(cells[index + 1]), line]))
    // Optional columns appear and disappear, and the heading with them.
    const heading = JSON.stringify(cells[0])
    const isNew = heading !== this.#heading && this.#hasHeading
    this.#heading = heading
    return isNew ? [first, ...changed] : changed
  }

  #pick<T>(all: readonly (readonly [key: string, value: T])[]): readonly T[] {
    const before = this.#shown
    this.#shown = new Set(all.map(([key]) => key))
    return all.filter(([key]) => !before.has(key)).map(([, value]) => value)
  }
}
