/** `portico migrate` */
import type { Configuration, ConfigurationInput } from '../../lib/control/configuration.ts'
import { type Command, EXIT, INPUT_FLAGS } from '../command.ts'
import { readInput } from '../configuration-input.ts'
import type { Typed } from '../flag.ts'
import { readOutput } from '../output.ts'
import {
  hasDifferences,
  migrationJson,
  migrationMarkdown,
  migrationSarif,
  needsHand,
  printMigration,
} from '../print/migration.ts'
import { printRewritten } from '../print/rewritten.ts'
import { SET_FLAG, SETTING_FLAGS } from '../setting-flag.ts'
import type { Terminal } from '../terminal.ts'
import { UsageError } from '../usage-error.ts'

export const command: Command = {
  name: 'migrate',
  summary: 'say what of manifests for ingress-nginx moves as it is',
  usage: '[-f] FILE|- … [-o text|json|markdown|sarif] [--write]',
  about: [
    'Says of each annotation of ingress-nginx whether it is done exactly as there,',
    'differs (and how), or is refused (and why), with its file and line; then what',
    'else of the Ingresses differs, and a verdict for each file and folder. Services',
    'and Secrets that stand in the files are looked at too; no secret is shown.',
    'Exit code 1 if anything needs a hand: an annotation is refused, or there are',
    'errors; with --strict also if anything differs.',
    '--write puts annotations of Portico in the place of those that it does, in the',
    'files; all other lines stay as they are. What would not be served just as before',
    'is not written. With - it prints the result.',
  ],
  flags: [
    ...INPUT_FLAGS,
    {
      name: 'output',
      short: 'o',
      value: 'text|json|markdown|sarif',
      doc: 'how to print; sarif for code hosts',
    },
    { name: 'write', doc: "write annotations of Portico's own into the files" },
    SET_FLAG,
    ...SETTING_FLAGS,
  ],
  firstFlags: ['filename', 'config', 'output', 'write', 'ingress-class', 'strict', 'ignore', 'set'],
  examples: [
    ['kubectl get ingress -A -o yaml | portico migrate -', 'a cluster'],
    ['portico migrate k8s/', 'a folder and all below it'],
    ['portico migrate k8s/ -o markdown > migration.md', 'for a page'],
    ['portico migrate k8s/ --write', 'write the same in annotations of Portico'],
  ],
  words: { least: 0, most: Number.POSITIVE_INFINITY, name: 'FILE' },
  async run(typed, terminal) {
    const output = readOutput(typed, ['text', 'json', 'markdown', 'sarif'])
    const files = addFiles(typed)
    if (typed.has('write')) {
      if (output !== 'text') throw new UsageError('--write prints text', `run it without -o ${output}`)
      const named = files.values('filename')
      if (named.includes('-') && (named.length > 1 || typed.has('config')))
        throw new UsageError('--write takes files, or - alone', 'name the files, or send them all to -')
    }
    const input = await readInput('migrate', files, terminal.host)
    const { loadConfiguration } = await import('../../lib/control/configuration.ts')
    const { planMigration } = await import('../../lib/translate/migrate/migration.ts')
    const configuration = await loadConfiguration(input)
    const { resources, settings, diagnostics } = configuration
    const migration = planMigration(resources, settings, diagnostics)
    const { total } = migration
    const isDone = !needsHand(total) && !(settings.strict && hasDifferences(total))
    if (typed.has('write')) return (await write(input, configuration, terminal)) && isDone ? EXIT.ok : EXIT.failure
    if (output === 'json') terminal.print(JSON.stringify(migrationJson(migration), undefined, 2))
    else if (output === 'sarif') terminal.print(JSON.stringify(migrationSarif(migration), undefined, 2))
    else if (output === 'markdown') terminal.print(migrationMarkdown(migration))
    else terminal.print(printMigration(migration, terminal.paint))
    return isDone ? EXIT.ok : EXIT.failure
  },
}

/** Resolves to false where something could not be written. */
async function write(input: ConfigurationInput, configuration: Configuration, terminal: Terminal): Promise<boolean> {
  const { rewriteManifests, writeManifests } = await import('../rewrite.ts')
  const rewritten = await rewriteManifests(input, configuration)
  const isStdin = input.sources.includes('-')
  if (isStdin) terminal.host.stdout.write(rewritten.files[0]?.after ?? input.stdin ?? '')
  else await writeManifests(rewritten.files)
  const text = printRewritten(rewritten, isStdin ? terminal.paintTalk : terminal.paint)
  if (isStdin) terminal.tell(text)
  else terminal.print(text)
  return rewritten.spoilt.length === 0
}

/** Files may be named without -f. */
function addFiles(typed: Typed): Typed {
  const files = [...typed.values('filename'), ...typed.positionals]
  return {
    ...typed,
    has: (name) => (name === 'filename' ? files.length > 0 : typed.has(name)),
    values: (name) => (name === 'filename' ? files : typed.values(name)),
  }
}
