/** `portico get`: lists the objects that a running gateway serves, or that manifests would. */
import { alignColumns } from '../../lib/base/columns.ts'
import { type Command, EXIT, INPUT_FLAGS } from '../command.ts'
import type { Typed } from '../flag.ts'
import { ALIASES, type Asked, isNamed, KINDS, readAsked, viewOf, WITHOUT_LABELS } from '../kind.ts'
import { readSelector } from '../label-selector.ts'
import { openRows } from '../open-rows.ts'
import { ChangedRows, printDocument, printLines } from '../print/rows.ts'
import { type RowOutput, readOrder, readRowOutput } from '../row-output.ts'
import type { Reading, RowSource } from '../row-source.ts'
import { SET_FLAG, SETTING_FLAGS } from '../setting-flag.ts'
import type { Terminal } from '../terminal.ts'
import { UsageError } from '../usage-error.ts'

export const command: Command = {
  name: 'get',
  summary: 'list what is served',
  usage: 'KIND [NAME...] [flags]',
  about: [
    ...alignColumns(
      KINDS.map((kind) => [`  ${kind}`, ALIASES[kind].join(', ')]),
      2,
    ),
    '',
    'Several kinds are written KIND,KIND; a single object also KIND/NAME. Routes are',
    'named by their host or their Ingress, endpoints and listeners by their Service,',
    'and settings also by their group, as in upstream.',
    'With -f or -c it lists what these files would serve, and starts nothing.',
    'Without them it asks the gateway that runs on this machine, at the admin address',
    'of flags and environment; exit code 4 if it cannot be reached.',
    'All namespaces are listed unless -n names one. -o json prints the rows of the',
    'admin API; for settings one row each, with the source of its value. -w goes on',
    'until it is interrupted, and prints each row that is new or has changed; with',
    '-o json each row on a line of its own. -l asks the labels of the Ingress,',
    'Service or Secret that a row comes from; --sort-by takes a column, or a field as',
    'in .daysLeft.',
    '-o jsonpath and custom-columns are as of kubectl: the rows are .items, and a',
    'single named row is the root.',
  ],
  flags: [
    ...INPUT_FLAGS,
    {
      name: 'output',
      short: 'o',
      value: 'FORM',
      values: ['table', 'wide', 'json', 'yaml', 'name', 'jsonpath=', 'custom-columns='],
      doc: 'table, wide, json, yaml, name, jsonpath=TEMPLATE or custom-columns=TITLE:PATH,…',
    },
    { name: 'watch', short: 'w', doc: 'go on, and print what changes' },
    { name: 'namespace', short: 'n', value: 'NAME', doc: 'only this namespace' },
    { name: 'all-namespaces', short: 'A', doc: 'all namespaces (the default)' },
    { name: 'selector', short: 'l', value: 'SELECTOR', doc: 'only with these labels: app=web,tier!=cache' },
    { name: 'sort-by', value: 'COLUMN', doc: 'a column, or a field: .daysLeft' },
    { name: 'no-headers', doc: 'no heading over the columns' },
    SET_FLAG,
    // Here --watch is a flag of its own.
    ...SETTING_FLAGS.filter(({ setting }) => setting !== 'watch'),
  ],
  firstFlags: [
    ...['filename', 'config', 'output', 'watch', 'namespace', 'all-namespaces', 'selector', 'sort-by', 'no-headers'],
    ...['endpoints', 'ingress-class', 'admin-port', 'set'],
  ],
  examples: [
    ['portico get routes -f k8s/', 'in the order in which they are tried'],
    ['portico get endpoints -n shop -o wide', 'of the running gateway'],
    ['portico get ing/shop svc/api', 'the routes of one Ingress, and one Service'],
    ['portico get routes -l app=shop --sort-by state', 'by label, in an order'],
    ["portico get routes -o jsonpath='{.items[*].host}'", 'for scripts'],
    ['portico get endpoints -w', 'as they come, go, fail and recover'],
    ['portico get settings -c portico.yaml', 'each value, and where it comes from'],
  ],
  words: { least: 1, most: Number.MAX_SAFE_INTEGER, name: 'what to get', values: KINDS },
  async run(typed, terminal) {
    const asked = readAsked(typed.positionals)
    const output = readRowOutput(typed)
    const [only] = asked
    checkSelector(asked, typed)
    for (const { kind } of asked) readOrder(typed)(viewOf(kind), [])
    if (typed.has('watch') && (output.form === 'template' || output.form === 'columns')) {
      throw new UsageError('-w prints tables, names, json or yaml', 'leave out -w, or -o jsonpath and custom-columns')
    }
    if (typed.has('watch') && (asked.length > 1 || only === undefined)) {
      throw new UsageError('-w watches one kind', `portico get ${only?.kind} -w`)
    }
    if (typed.has('watch') && typed.values('filename').includes('-')) {
      throw new UsageError('-f - cannot be watched', 'name files or folders')
    }
    const source = await openRows(`get ${typed.positionals.join(' ')}`, typed, terminal)
    const reading = await source.read(asked.map(({ kind }) => kind))
    for (const line of reading.talk) terminal.tell(line)
    if (typeof reading.rows === 'number') return reading.rows
    const missing = asked.flatMap((one) => listMissing(one, reading, typed))
    for (const line of missing) terminal.tell(line)
    if (typed.has('watch') && missing.length === 0) return watch(only as Asked, source, reading, typed, terminal)
    await printAll(asked, reading, output, typed, terminal)
    return missing.length > 0 ? EXIT.failure : EXIT.ok
  },
}

async function printAll(
  asked: readonly Asked[],
  reading: Reading,
  output: RowOutput,
  typed: Typed,
  terminal: Terminal,
): Promise<void> {
  const found = asked.map((one) => [one, pickRows(one, reading, typed)] as const)
  const { form } = output
  const [only] = found
  if (form === 'json' || form === 'yaml') {
    const whole = found.length === 1 ? only![1] : Object.fromEntries(found.map(([{ kind }, rows]) => [kind, rows]))
    terminal.print(await printDocument(whole, form))
    return
  }
  const hasHeading = !typed.has('no-headers')
  if (form === 'template') {
    const rows = found.flatMap(([, some]) => some)
    const isOne = rows.length === 1 && asked.length === 1 && only![0].names.length === 1
    // Lines of a template end by themselves.
    terminal.print(output.print(isOne ? rows[0] : { items: rows }).replace(/\n$/, ''))
    return
  }
  const tables = found.map(([{ kind }, rows]) =>
    form === 'columns' ? output.print(rows, hasHeading) : printLines(viewOf(kind), rows, form, hasHeading),
  )
  const text = tables.filter((lines) => lines.length > 0).map((lines) => lines.join('\n'))
  if (text.length > 0) terminal.print(text.join(form === 'name' ? '\n' : '\n\n'))
  const namespace = findNamespace(typed)
  for (const [{ kind, names }, rows] of found) {
    if (rows.length === 0 && names.length === 0) {
      terminal.tell(`no ${kind}${namespace === undefined ? '' : ` in namespace ${namespace}`}`)
    }
  }
}

/** Goes on until it is interrupted, or its reader has gone. */
async function watch(
  asked: Asked,
  source: RowSource,
  first: Reading,
  typed: Typed,
  terminal: Terminal,
): Promise<number> {
  const { form: output } = readRowOutput(typed)
  if (output === 'template' || output === 'columns') throw new Error('these are not watched')
  const changed = new ChangedRows(viewOf(asked.kind), output, !typed.has('no-headers'))
  terminal.host.stdout.once('error', () => terminal.host.exit(EXIT.ok))
  let told = first.talk.join('\n')
  for (let reading = first; ; reading = await source.read([asked.kind])) {
    const talk = reading.talk.join('\n')
    if (talk !== told && talk !== '') terminal.tell(talk)
    told = talk
    // While nothing can be read, the last rows stay.
    if (typeof reading.rows !== 'number') {
      const { lines, gone } = await changed.print(pickRows(asked, reading, typed))
      for (const line of lines) terminal.print(line)
      for (const name of gone) terminal.tell(`${name} is gone`)
    }
    await source.change()
  }
}

function findNamespace(typed: Typed): string | undefined {
  return typed.has('all-namespaces') ? undefined : typed.value('namespace')
}

function listInNamespace({ kind }: Asked, { rows }: Reading, typed: Typed): readonly unknown[] {
  const all = typeof rows === 'number' ? [] : (rows.get(kind) ?? [])
  const namespace = findNamespace(typed)
  return namespace === undefined ? all : all.filter((row) => viewOf(kind).namespace(row) === namespace)
}

function pickRows(asked: Asked, reading: Reading, typed: Typed): readonly unknown[] {
  const { kind, names } = asked
  const view = viewOf(kind)
  const rows = listInNamespace(asked, reading, typed)
  const named = names.length === 0 ? rows : rows.filter((row) => names.some((name) => isNamed(view, row, name)))
  const selector = typed.value('selector')
  const selects = selector === undefined ? () => true : readSelector(selector)
  const selected = named.filter((row) => selects((row as { labels?: Readonly<Record<string, string>> }).labels ?? {}))
  return readOrder(typed)(view, selected)
}

function checkSelector(asked: readonly Asked[], typed: Typed): void {
  const selector = typed.value('selector')
  if (selector === undefined) return
  readSelector(selector)
  const bare = asked.find(({ kind }) => WITHOUT_LABELS.has(kind))
  if (bare) throw new UsageError(`${bare.kind} have no labels`, 'leave out -l')
}

function listMissing(asked: Asked, reading: Reading, typed: Typed): readonly string[] {
  const { kind, names } = asked
  const rows = listInNamespace(asked, reading, typed)
  return names
    .filter((name) => !rows.some((row) => isNamed(viewOf(kind), row, name)))
    .map((name) => `no ${kind} named "${name}"`)
}
