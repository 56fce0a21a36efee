/** `portico migrate` */
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
import { SET_FLAG, SETTING_FLAGS } from '../setting-flag.ts'

export const command: Command = {
  name: 'migrate',
  summary: 'say what of manifests for ingress-nginx moves as it is',
  usage: '[-f] FILE|- … [-o text|json|markdown|sarif] [--strict]',
  about: [
    'Says of each annotation of ingress-nginx whether it is done exactly as there,',
    'differs (and how), or is refused (and why), with its file and line; then what',
    'else of the Ingresses differs, and a verdict for each file and folder. Services',
    'and Secrets that stand in the files are looked at too; no secret is shown.',
    'Exit code 1 if anything needs a hand: an annotation is refused, or there are',
    'errors; with --strict also if anything differs.',
  ],
  flags: [
    ...INPUT_FLAGS,
    {
      name: 'output',
      short: 'o',
      value: 'text|json|markdown|sarif',
      doc: 'how to print; sarif for code hosts',
    },
    SET_FLAG,
    ...SETTING_FLAGS,
  ],
  firstFlags: ['filename', 'config', 'output', 'ingress-class', 'strict', 'ignore', 'set'],
  examples: [
    ['kubectl get ingress -A -o yaml | portico migrate -', 'a cluster'],
    ['portico migrate k8s/', 'a folder and all below it'],
    ['portico migrate k8s/ -o markdown > migration.md', 'for a page'],
  ],
  words: { least: 0, most: Number.POSITIVE_INFINITY, name: 'FILE' },
  async run(typed, terminal) {
    const output = readOutput(typed, ['text', 'json', 'markdown', 'sarif'])
    const input = await readInput('migrate', addFiles(typed), terminal.host)
    const { loadConfiguration } = await import('../../lib/control/configuration.ts')
    const { planMigration } = await import('../../lib/translate/migrate/migration.ts')
    const { resources, settings, diagnostics } = await loadConfiguration(input)
    const migration = planMigration(resources, settings, diagnostics)
    if (output === 'json') terminal.print(JSON.stringify(migrationJson(migration), undefined, 2))
    else if (output === 'sarif') terminal.print(JSON.stringify(migrationSarif(migration), undefined, 2))
    else if (output === 'markdown') terminal.print(migrationMarkdown(migration))
    else terminal.print(printMigration(migration, terminal.paint))
    const { total } = migration
    return needsHand(total) || (settings.strict && hasDifferences(total)) ? EXIT.failure : EXIT.ok
  },
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
