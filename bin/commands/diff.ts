/** `portico diff`: what files change in what is served, against other files or the running gateway. */
import { countDiagnostics } from '../../lib/base/diagnostics.ts'
import type { Configuration, ConfigurationInput } from '../../lib/control/configuration.ts'
import type { Comparable, GatewayOutline } from '../../lib/report/compared.ts'
import { findAdmin } from '../admin-client.ts'
import { askJson, tellNoAnswer } from '../ask.ts'
import { type Command, EXIT, INPUT_FLAGS } from '../command.ts'
import { namesInput, readInput } from '../configuration-input.ts'
import type { Typed } from '../flag.ts'
import { readOutput } from '../output.ts'
import { countDifference, differenceJson, printDifference, printMarkdown } from '../print/difference.ts'
import { printProblems } from '../print/problems.ts'
import { readOverrides, SET_FLAG, SETTING_FLAGS } from '../setting-flag.ts'
import type { Terminal } from '../terminal.ts'
import { UsageError } from '../usage-error.ts'

export const command: Command = {
  name: 'diff',
  summary: 'say what a change of manifests changes in what is served',
  usage: 'OLD NEW | -f FILE [flags]',
  about: [
    'Compares two files or folders, or with -f files with what the running gateway',
    'serves, in the words of a reload: routes with conditions and filters, endpoints,',
    'certificates, ports of Services, settings, and problems that come and go. Flags,',
    'environment and settings of the gateway count for both sides, its settings file',
    'where the files hold no settings. A gateway tells no secrets, so that only files',
    'are compared by them.',
    'Exit code 0 without a difference, 1 with one, 2 if the files cannot be compared,',
    '4 if no gateway is reached.',
  ],
  flags: [
    ...INPUT_FLAGS,
    { name: 'output', short: 'o', value: 'text|json|markdown', doc: 'how to print; markdown for pull requests' },
    SET_FLAG,
    ...SETTING_FLAGS,
  ],
  firstFlags: ['filename', 'config', 'output', 'endpoints', 'ingress-class', 'admin-port', 'set'],
  examples: [
    ['portico diff -f k8s/', 'what a reload would change'],
    ['portico diff main/k8s/ k8s/ -o markdown', 'for a pull request'],
    ['helm template my-app | portico diff -f -', 'a rendered chart against what is served'],
  ],
  words: { least: 0, most: 2, name: 'OLD', values: 'files' },
  async run(typed, terminal) {
    const output = readOutput(typed, ['text', 'json', 'markdown'])
    const sides = await readSides(typed, terminal)
    if (typeof sides === 'number') return sides
    const { compare, isSame } = await import('../../lib/report/compared.ts')
    const difference = compare(...sides)
    if (output === 'json') terminal.print(JSON.stringify(differenceJson(difference), undefined, 2))
    else if (output === 'markdown') terminal.print(printMarkdown(difference))
    else {
      if (!isSame(difference)) terminal.print(printDifference(difference, terminal.paint))
      terminal.tell(countDifference(difference))
    }
    return isSame(difference) ? EXIT.ok : EXIT.failure
  },
}

/** An exit code where one of the sides cannot be read. */
async function readSides(typed: Typed, terminal: Terminal): Promise<[Comparable, Comparable] | number> {
  const [before, after] = typed.positionals
  if (before === undefined) return readAgainstGateway(typed, terminal)
  if (after === undefined)
    throw new UsageError('NEW is missing', `portico diff ${before} NEW, or portico diff -f ${before}`)
  if (typed.has('filename')) throw new UsageError('-f compares with the running gateway, and OLD NEW with each other')
  const { env } = terminal.host
  const config = typed.value('config')
  const sides: Comparable[] = []
  for (const source of [before, after]) {
    const input = { sources: [source], flags: readOverrides(typed), environment: env, ...(config && { config }) }
    const read = await load(input, terminal)
    if (read === undefined) return EXIT.usage
    const { makeComparable } = await import('../../lib/report/compared.ts')
    sides.push(makeComparable(read))
  }
  return sides as [Comparable, Comparable]
}

async function readAgainstGateway(typed: Typed, terminal: Terminal): Promise<[Comparable, Comparable] | number> {
  if (!namesInput(typed))
    throw new UsageError('nothing to compare', 'portico diff -f FILE-OR-FOLDER, or portico diff OLD NEW')
  const input = await readInput('diff', typed, terminal.host)
  try {
    const other = 'compare files: portico diff OLD NEW'
    const running = (await askJson(
      await findAdmin(typed, terminal.host.env),
      '/api/v1/outline',
      other,
    )) as GatewayOutline
    const read = await loadAsGateway(input, running, terminal)
    if (read === undefined) return EXIT.usage
    const { makeComparable } = await import('../../lib/report/compared.ts')
    return [running, makeComparable(read)]
  } catch (error) {
    return tellNoAnswer(error, terminal)
  }
}

/**
 * Reads the files as the gateway would read them: with the gateway's flags, and, where the files hold no settings, with the
 * settings of the gateway's own file.
 */
async function loadAsGateway(
  input: ConfigurationInput,
  { given: { typed, document } }: GatewayOutline,
  terminal: Terminal,
): Promise<Configuration | undefined> {
  const asGateway = { ...input, flags: { ...typed, ...input.flags } }
  const read = await load(asGateway, terminal)
  if (read === undefined || Object.keys(document).length === 0) return read
  if ([...read.provenance.values()].includes('file')) return read
  const { TextProvider } = await import('../../lib/providers/text-provider.ts')
  const { SETTINGS_API_VERSION, SETTINGS_KIND } = await import('../../lib/settings/resolve.ts')
  const { systemClock } = await import('../../lib/base/clock.ts')
  const text = JSON.stringify({ apiVersion: SETTINGS_API_VERSION, kind: SETTINGS_KIND, ...document })
  const provider = new TextProvider({ name: 'settings of the gateway', text, clock: systemClock })
  return load({ ...asGateway, providers: [provider] }, terminal)
}

/** Undefined, with the problems told, where there is nothing to compare. */
async function load(input: ConfigurationInput, terminal: Terminal): Promise<Configuration | undefined> {
  const { hasSettingErrors, loadConfiguration } = await import('../../lib/control/configuration.ts')
  const read = await loadConfiguration(input)
  const { diagnostics, objects } = read
  // A gateway may have its token from where this process cannot read it.
  const others = diagnostics.filter(({ message }) => !/needs a token|^admin\.tokenFile: /.test(message))
  if (!hasSettingErrors(others) && (countDiagnostics(others).error === 0 || objects > 0)) {
    return { ...read, diagnostics: others }
  }
  const errors = others.filter(({ severity }) => severity === 'error')
  for (const block of printProblems(errors, terminal.paintTalk)) terminal.tell(block)
  terminal.tell('these files cannot be compared')
  return undefined
}
