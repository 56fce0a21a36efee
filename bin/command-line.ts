/** The command line: finds the verb, hands it the words after it, and turns the outcome into an exit code. */

import { isExhaustion, RAISE_LIMIT } from '../lib/base/exhaustion.ts'
import type { StartError } from '../lib/control/start-error.ts'
import { COMMON_FLAGS, type Command, EXIT } from './command.ts'
import { readFlags } from './flag.ts'
import type { HostProcess } from './host-process.ts'
import { isImage } from './local.ts'
import { suggestName } from './suggestion.ts'
import { createTerminal, type Terminal } from './terminal.ts'
import { UsageError } from './usage-error.ts'
import { VERBS } from './verbs.ts'

/** Resolves to the exit code. */
export async function runCommandLine(host: HostProcess): Promise<number> {
  const words = host.argv.slice(2)
  // The list of processes shows all words of the command line to everybody, unless another title stands in their place.
  if (words.some((word) => /^(--admin-token(=|$)|(--set=)?admin\.token=)/.test(word))) host.title = 'portico'
  const terminal = createTerminal(host, words.includes('--no-color'))
  const [verb, rest] = readVerb(words, host.env)
  try {
    return await runVerb(verb, rest, terminal)
  } catch (error) {
    return tellError(error, verb, terminal)
  }
}

/** `--help` and `--version` in place of a verb are the verbs; `start`, for npm, is `demo` until manifests are named, then `run --local`. */
function readVerb(
  [first, ...rest]: readonly string[],
  environment: NodeJS.ProcessEnv,
): [verb: string, rest: readonly string[]] {
  if (first === undefined || first === '--help' || first === '-h') return ['help', rest]
  if (first === '--version' || first === '-v') return ['version', rest]
  if (first === 'start') {
    const isNamed = rest.some((word) => /^(-f|-c|--filename|--config)/.test(word))
    return isNamed ? ['run', isImage(environment) ? rest : ['--local', ...rest]] : ['demo', rest]
  }
  return [first, rest]
}

async function runVerb(name: string, words: readonly string[], terminal: Terminal): Promise<number> {
  const verb = VERBS.find((one) => one.name === name)
  if (!verb) {
    const names = VERBS.map((one) => one.name)
    if (name.startsWith('-')) throw new UsageError(`a verb comes first: portico run ${[name, ...words].join(' ')}`)
    throw new UsageError(`unknown verb "${name}"`, suggestName(name, names) ?? `verbs: ${names.join(', ')}`)
  }
  const { command } = await verb.load()
  const flags = words.includes('--') ? words.slice(0, words.indexOf('--')) : words
  const asksAll = flags.includes('--help-all')
  // Help is printed even where other words of the line are wrong.
  if (asksAll || flags.includes('--help') || flags.includes('-h')) {
    const { printCommandHelp } = await import('./print/help.ts')
    terminal.print(printCommandHelp(command, asksAll))
    return EXIT.ok
  }
  const typed = readFlags(words, [...command.flags, ...COMMON_FLAGS])
  checkWords(command, typed.positionals)
  return command.run(typed, terminal)
}

function checkWords(command: Command, positionals: readonly string[]): void {
  const { least, most, name } = command.words
  const extra = positionals[most]
  if (extra !== undefined) {
    const file = command.flags.some((flag) => flag.name === 'filename')
    throw new UsageError(`"${extra}" is one word too many`, file ? `files are named with -f: -f ${extra}` : undefined)
  }
  if (positionals.length < least) throw new UsageError(`${name} is missing`, `portico ${command.name} ${command.usage}`)
}

async function tellError(error: unknown, verb: string, terminal: Terminal): Promise<number> {
  const red = (text: string) => terminal.paintTalk('red', text)
  if (error instanceof UsageError) {
    const known = VERBS.some(({ name }) => name === verb)
    const prefix = known ? `portico ${verb}` : 'portico'
    terminal.tell(`${red(`${prefix}:`)} ${error.message}${error.help ? `\n  ${error.help}` : ''}`)
    terminal.tell(`  ${prefix} --help tells more`)
    return EXIT.usage
  }
  if (isStartError(error)) {
    const { printProblems } = await import('./print/problems.ts')
    for (const block of printProblems(error.diagnostics, terminal.paintTalk)) terminal.tell(block)
    terminal.tell(
      `${red('portico:')} ${error.message}${error.help ? `\n  ${error.help.replaceAll('\n', '\n  ')}` : ''}`,
    )
    return error.exitCode
  }
  if (isExhaustion(error)) {
    terminal.tell(`${red('portico:')} no file descriptor is left: ${(error as Error).message}\n  ${RAISE_LIMIT}`)
    return EXIT.failure
  }
  const isSystem = error instanceof Error && 'syscall' in error
  const text = error instanceof Error ? (isSystem ? error.message : error.stack) : String(error)
  terminal.tell(`${red('portico:')} ${isSystem ? '' : 'this is a bug in Portico\n'}${text}`)
  return EXIT.failure
}

/** By name, so that this file need not load the gateway. */
function isStartError(error: unknown): error is StartError {
  return error instanceof Error && error.name === 'StartError'
}
