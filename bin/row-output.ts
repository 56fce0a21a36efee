/** How `portico get` prints rows: the value of `-o`, and the order of `--sort-by`. */
import { compareText } from '../lib/base/order.ts'
import type { Typed } from './flag.ts'
import { printValue, readPath, readTemplate } from './json-path.ts'
import { readOutput } from './output.ts'
import type { View } from './print/columns.ts'
import type { RowForm } from './print/rows.ts'
import { layOutTable } from './print/table.ts'
import { suggestName } from './suggestion.ts'
import { UsageError } from './usage-error.ts'

const FORMS = ['table', 'wide', 'json', 'yaml', 'name'] as const

export type RowOutput =
  | Readonly<{ form: RowForm }>
  /** `root` is the row where one was asked for by its name, else `{items: rows}`, as of kubectl. */
  | Readonly<{ form: 'template'; print: (root: unknown) => string }>
  | Readonly<{ form: 'columns'; print: (rows: readonly unknown[], hasHeading: boolean) => readonly string[] }>

export function readRowOutput(typed: Typed): RowOutput {
  const asked = typed.value('output') ?? ''
  const [, template] = /^jsonpath=(.*)$/s.exec(asked) ?? []
  if (template !== undefined) return { form: 'template', print: readTemplate(template) }
  const [, columns] = /^custom-columns=(.*)$/s.exec(asked) ?? []
  if (columns !== undefined) return { form: 'columns', print: readColumns(columns) }
  if (/^(jsonpath|custom-columns)$/.test(asked)) {
    const example = asked === 'jsonpath' ? "jsonpath='{.items[*].host}'" : 'custom-columns=HOST:.host,STATE:.state'
    throw new UsageError(`-o ${asked} needs a value`, `write it as in -o ${example}`)
  }
  return { form: readOutput(typed, FORMS) }
}

function readColumns(text: string): (rows: readonly unknown[], hasHeading: boolean) => readonly string[] {
  const columns = text.split(/,(?![^[]*\])/).map((column) => {
    const colon = column.indexOf(':')
    if (colon < 1 || colon === column.length - 1) {
      throw new UsageError(`"${column}" is no column`, 'write each as TITLE:.field: -o custom-columns=HOST:.host')
    }
    return { title: column.slice(0, colon), values: readPath(column.slice(colon + 1)) }
  })
  return (rows, hasHeading) => {
    const cells = rows.map((row) => columns.map(({ values }) => values(row).map(printValue).join(',')))
    return layOutTable([columns.map(({ title }) => title), ...cells]).slice(hasHeading ? 0 : 1)
  }
}

export type RowOrder = (view: View<unknown>, rows: readonly unknown[]) => readonly unknown[]

/** By a column of the table, or by a field of the rows; as they are where the flag was not given. Numbers are compared as such. */
export function readOrder(typed: Typed): RowOrder {
  const asked = typed.value('sort-by')
  if (asked === undefined) return (_view, rows) => rows
  const isPath = /^[.{[]/.test(asked)
  const values = isPath ? readPath(asked) : undefined
  return (view, rows) => {
    const column = view.columns.find(({ title }) => title.toLowerCase() === asked.toLowerCase())
    if (!values && !column) {
      const titles = view.columns.map(({ title }) => title.toLowerCase())
      const near =
        suggestName(asked.toLowerCase(), titles) ?? `columns: ${titles.join(', ')}; or a field, as in .daysLeft`
      throw new UsageError(`--sort-by: there is no column "${asked}"`, near)
    }
    const keyOf = (row: unknown) => (values ? values(row)[0] : column!.cell(row, true))
    return rows
      .map((row) => ({ row, key: keyOf(row) }))
      .sort((a, b) => compareKeys(a.key, b.key))
      .map(({ row }) => row)
  }
}

/** What is not there comes first, as of kubectl. */
function compareKeys(a: unknown, b: unknown): number {
  const [one, other] = [toNumber(a), toNumber(b)]
  if (one !== undefined && other !== undefined) return one - other
  return compareText(printValue(a), printValue(b))
}

function toNumber(value: unknown): number | undefined {
  if (typeof value === 'number') return value
  return typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : undefined
}
