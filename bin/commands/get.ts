/** `portico get`: what is served, from manifests or from a running gateway. */
import { countDiagnostics } from '../../lib/base/diagnostics.ts'
import { environmentName, SETTING_LIST } from '../../lib/settings.ts'
import { askAdmin, findAdmin, printHostPort, UnreachableError } from '../admin-client.ts'
import { type Command, EXIT, INPUT_FLAGS } from '../command.ts'
import { namesInput, readInput } from '../configuration-input.ts'
import type { Typed } from '../flag.ts'
import { readOutput } from '../output.ts'
import {
  CERTIFICATES,
  ENDPOINTS,
  LISTENERS,
  layOutRows,
  ROUTES,
  SERVICES,
  SETTING_VIEW,
  type SettingRow,
  type View,
  WORKERS,
} from '../print/columns.ts'
import { printProblemCount, printProblems } from '../print/problems.ts'
import { printSettingValue } from '../print/setting.ts'
import { alignColumns, printTable } from '../print/table.ts'
import { SET_FLAG, SETTING_FLAGS } from '../setting-flag.ts'
import { suggestName } from '../suggestion.ts'
import type { Terminal } from '../terminal.ts'
import { UsageError } from '../usage-error.ts'

const VIEWS = {
  routes: ROUTES,
  services: SERVICES,
  endpoints: ENDPOINTS,
  certificates: CERTIFICATES,
  listeners: LISTENERS,
  workers: WORKERS,
  settings: SETTING_VIEW,
} as const
type Kind = keyof typeof VIEWS

/** Other names for them, as kubectl has them for the objects they come from. */
const ALIASES: Readonly<Record<Kind, readonly string[]>> = {
  routes: ['ing', 'ingress', 'ingresses'],
  services: ['svc'],
  endpoints: ['ep', 'endpointslice', 'endpointslices'],
  certificates: ['cert', 'certs', 'secret', 'secrets'],
  listeners: [],
  workers: [],
  settings: [],
}

export const command: Command = {
  name: 'get',
  summary: 'list what is served',
  usage: 'KIND [NAME...] [flags]',
  about: [
    ...alignColumns(
      (Object.keys(VIEWS) as Kind[]).map((kind) => [`  ${kind}`, ALIASES[kind].join(', ')]),
      2,
    ),
    '',
    'With -f or -c: what would be served from these files; nothing is started.',
    'Without: what the gateway running on this machine serves (exit code 4 when none',
    'is reached), asked at the admin address that flags and environment give.',
    'All namespaces are listed unless -n names one. -o json prints the rows of the',
    'admin API; of settings, one row each, with where its value comes from.',
  ],
  flags: [
    ...INPUT_FLAGS,
    { name: 'output', short: 'o', value: 'FORM', doc: 'table, wide, json, yaml or name' },
    { name: 'namespace', short: 'n', value: 'NAME', doc: 'this namespace alone' },
    { name: 'all-namespaces', short: 'A', doc: 'all namespaces, which is the default' },
    SET_FLAG,
    ...SETTING_FLAGS,
  ],
  examples: [
    ['portico get routes -f k8s/', 'in the order in which they are tried'],
    ['portico get endpoints -n shop -o wide', 'of the running gateway'],
    ['portico get settings -c portico.yaml', 'each value, and where it comes from'],
  ],
  words: { least: 1, most: Number.MAX_SAFE_INTEGER, name: 'what to get' },
  async run(typed, terminal) {
    const kind = readKind(typed.positionals[0] as string)
    // The union of views cannot be told apart below; each gets the rows of its own kind.
    const view = VIEWS[kind] as View<unknown>
    const output = readOutput(typed, ['table', 'wide', 'json', 'yaml', 'name'])
    const found = namesInput(typed) ? await readFiles(kind, typed, terminal) : await readGateway(kind, typed, terminal)
    if (typeof found === 'number') return found

    const namespace = typed.has('all-namespaces') ? undefined : typed.value('namespace')
    const inNamespace = found.filter((row) => namespace === undefined || view.namespace(row) === namespace)
    const names = typed.positionals.slice(1)
    const rows =
      names.length === 0 ? inNamespace : inNamespace.filter((row) => names.some((name) => isNamed(view, row, name)))
    const missing = names.filter((name) => !inNamespace.some((row) => isNamed(view, row, name)))
    if (output === 'json') terminal.print(JSON.stringify(rows, undefined, 2))
    else if (output === 'yaml') terminal.print((await import('yaml')).stringify(rows).trimEnd())
    else if (output === 'name') for (const row of rows) terminal.print(view.name(row))
    else if (rows.length > 0) terminal.print(printTable(layOutRows(view, rows, output === 'wide')))
    for (const name of missing) terminal.tell(`no ${kind} named "${name}"`)
    if (rows.length === 0 && missing.length === 0)
      terminal.tell(`no ${kind}${namespace ? ` in namespace ${namespace}` : ''}`)
    return missing.length > 0 ? EXIT.failure : EXIT.ok
  },
}

function readKind(word: string): Kind {
  const kinds = Object.keys(VIEWS) as Kind[]
  const typed = word.toLowerCase()
  const kind = kinds.find((one) => one === typed || one === `${typed}s` || ALIASES[one].includes(typed))
  if (!kind) throw new UsageError(`"${word}" cannot be got`, suggestName(word, kinds) ?? `one of ${kinds.join(', ')}`)
  return kind
}

/** `api`, `default/api` and `service/default/api` name the same Service, and its endpoints and listeners. */
function isNamed(view: View<unknown>, row: unknown, name: string): boolean {
  const full = view.name(row)
  return full === name || full.endsWith(`/${name}`) || (view.aliases?.(row).includes(name) ?? false)
}

async function readFiles(kind: Kind, typed: Typed, terminal: Terminal): Promise<readonly unknown[] | number> {
  const input = await readInput(`get ${kind}`, typed, terminal.environment)
  const { loadConfiguration } = await import('../../lib/configuration.ts')
  const { diagnostics, model, settings, provenance, files, objects } = await loadConfiguration(input)
  const views = await import('../../lib/admin/views.ts')
  const { error, warning } = countDiagnostics(diagnostics)
  if (error > 0 && objects === 0 && kind !== 'settings') {
    for (const block of printProblems(diagnostics, terminal.paintTalk)) terminal.tell(block)
    return EXIT.failure
  }
  if (error + warning > 0) {
    terminal.tell(`${printProblemCount(diagnostics, { files, objects })}: portico check tells more`)
  }
  switch (kind) {
    case 'routes':
      return views.routesView(model)
    case 'services':
      return views.servicesView(model)
    case 'endpoints':
      return (await import('../../lib/admin/endpoint-view.ts')).endpointsView(model)
    case 'certificates':
      return (await import('../../lib/admin/certificate-view.ts')).certificatesView(model, Date.now())
    case 'listeners':
      return views.listenersView(settings, {}, model.listeners)
    case 'workers':
      return views.workersView()
    case 'settings':
      return listSettings(views.settingsView(settings), (name) => provenance.get(name) ?? 'default')
  }
}

async function readGateway(kind: Kind, typed: Typed, terminal: Terminal): Promise<readonly unknown[] | number> {
  const admin = await findAdmin(typed, terminal.environment)
  const place = printHostPort(admin.address, admin.port)
  try {
    const { status, body } = await askAdmin(admin, `/api/v1/${kind}`)
    if (status === 200) {
      const value: unknown = JSON.parse(body)
      return kind === 'settings' ? listSettings(value, () => 'running gateway') : (value as readonly unknown[])
    }
    if (status === 401 || status === 403) {
      const why = admin.tokenFault === undefined ? '' : `; ${admin.tokenFault}`
      terminal.tell(`the gateway at ${place} asks for its token: set PORTICO_ADMIN_TOKEN or --admin-token-file${why}`)
    } else terminal.tell(`the gateway at ${place} answers ${status}: ${body.trim().slice(0, 500)}`)
  } catch (error) {
    if (error instanceof SyntaxError) terminal.tell(`what listens at ${place} is no Portico`)
    else if (error instanceof UnreachableError) {
      terminal.tell(`no running gateway reached: ${error.message}`)
      terminal.tell(`  name another with --admin-port, or read files: portico get ${kind} -f FILE-OR-FOLDER`)
    } else throw error
  }
  return EXIT.unreachable
}

function listSettings(settings: unknown, source: (name: string) => string): SettingRow[] {
  return SETTING_LIST.map(({ name, path, leaf }) => {
    const value = path.reduce<unknown>((inner, key) => (inner as Record<string, unknown> | undefined)?.[key], settings)
    return {
      name,
      value,
      text: printSettingValue(leaf, value),
      default: printSettingValue(leaf, leaf.default),
      environment: environmentName(name),
      source: source(name),
    }
  })
}
