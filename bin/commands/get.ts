/** `portico get`: lists the objects that a running gateway serves, or that manifests would. */

import { alignColumns } from '../../lib/base/columns.ts'
import { findAdmin } from '../admin-client.ts'
import { type Command, EXIT, INPUT_FLAGS } from '../command.ts'
import { namesInput, readInput } from '../configuration-input.ts'
import type { Typed } from '../flag.ts'
import { ALIASES, type Asked, isNamed, KINDS, readAsked, viewOf } from '../kind.ts'
import { readOutput } from '../output.ts'
import { ChangedRows, printDocument, printLines, type RowForm } from '../print/rows.ts'
import type { Reading, RowSource } from '../row-source.ts'
import { SET_FLAG, SETTING_FLAGS } from '../setting-flag.ts'
import type { Terminal } from '../terminal.ts'
import { UsageError } from '../usage-error.ts'

const FORMS = ['table', 'wide', 'json', 'yaml', 'name'] as const

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
    '-o json each row on a line of its own.',
  ],
  flags: [
    ...INPUT_FLAGS,
    { name: 'output', short: 'o', value: 'FORM', doc: 'table, wide, json, yaml or name' },
    { name: 'watch', short: 'w', doc: 'go on, and print what changes' },
    { name: 'namespace', short: 'n', value: 'NAME', doc: 'only this namespace' },
    { name: 'all-namespaces', short: 'A', doc: 'all namespaces (the default)' },
    { name: 'no-headers', doc: 'no heading over the columns' },
    SET_FLAG,
    // Here --watch is a flag of its own.
    ...SETTING_FLAGS.filter(({ setting }) => setting !== 'watch'),
  ],
  firstFlags: [
    ...['filename', 'config', 'output', 'watch', 'namespace', 'all-namespaces', 'no-headers'],
    ...['endpoints', 'ingress-class', 'admin-port', 'set'],
  ],
  examples: [
    ['portico get routes -f k8s/', 'in the order in which they are tried'],
    ['portico get endpoints -n shop -o wide', 'of the running gateway'],
    ['portico get ing/shop svc/api', 'the routes of one Ingress, and one Service'],
    ['portico get endpoints -w', 'as they come, go, fail and recover'],
    ['portico get settings -c portico.yaml', 'each value, and where it comes from'],
  ],
  words: { least: 1, most: Number.MAX_SAFE_INTEGER, name: 'what to get' },
  async run(typed, terminal) {
    const asked = readAsked(typed.positionals)
    const output = readOutput(typed, FORMS)
    const [only] = asked
    if (typed.has('watch') && (asked.length > 1 || only === undefined)) {
      throw new UsageError('-w watches one kind', `portico get ${only?.kind} -w`)
    }
    if (typed.has('watch') && typed.values('filename').includes('-')) {
      throw new UsageError('-f - cannot be watched', 'name files or folders')
    }
    const source = await openSource(typed, terminal)
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

async function openSource(typed: Typed, terminal: Terminal): Promise<RowSource> {
  if (!namesInput(typed)) {
    const { GatewayRows } = await import('../gateway-rows.ts')
    return new GatewayRows(await findAdmin(typed, terminal.host.env))
  }
  const input = await readInput(`get ${typed.positionals.join(' ')}`, typed, terminal.host)
  const { FileRows } = await import('../file-rows.ts')
  return new FileRows(input, terminal)
}

async function printAll(
  asked: readonly Asked[],
  reading: Reading,
  output: RowForm,
  typed: Typed,
  terminal: Terminal,
): Promise<void> {
  const found = asked.map((one) => [one, pickRows(one, reading, typed)] as const)
  if (output === 'json' || output === 'yaml') {
    const [only] = found
    const whole = found.length === 1 ? only![1] : Object.fromEntries(found.map(([{ kind }, rows]) => [kind, rows]))
    terminal.print(await printDocument(whole, output))
    return
  }
  const tables = found.map(([{ kind }, rows]) => printLines(viewOf(kind), rows, output, !typed.has('no-headers')))
  const text = tables.filter((lines) => lines.length > 0).map((lines) => lines.join('\n'))
  if (text.length > 0) terminal.print(text.join(output === 'name' ? '\n' : '\n\n'))
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
  const changed = new ChangedRows(viewOf(asked.kind), readOutput(typed, FORMS), !typed.has('no-headers'))
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
  const rows = listInNamespace(asked, reading, typed)
  return names.length === 0 ? rows : rows.filter((row) => names.some((name) => isNamed(viewOf(kind), row, name)))
}

function listMissing(asked: Asked, reading: Reading, typed: Typed): readonly string[] {
  const { kind, names } = asked
  const rows = listInNamespace(asked, reading, typed)
  return names
    .filter((name) => !rows.some((row) => isNamed(viewOf(kind), row, name)))
    .map((name) => `no ${kind} named "${name}"`)
}
