/** `portico help [VERB]` */
import { type Command, EXIT } from '../command.ts'
import { VERSION } from '../package.ts'
import { printCommandHelp, printOverview } from '../print/help.ts'
import { suggestName } from '../suggestion.ts'
import { UsageError } from '../usage-error.ts'
import { VERBS } from '../verbs.ts'

export const command: Command = {
  name: 'help',
  summary: 'explain Portico, or one verb',
  usage: '[VERB]',
  flags: [],
  examples: [
    ['portico help run', 'the usual flags of run'],
    ['portico help run --help-all', 'every flag of help itself'],
  ],
  words: { least: 0, most: 1, name: 'VERB', values: VERBS.map(({ name }) => name) },
  async run(typed, terminal) {
    const name = typed.positionals[0]
    if (name === undefined) {
      terminal.print(printOverview(VERSION))
      return EXIT.ok
    }
    const names = VERBS.map((verb) => verb.name)
    const verb = VERBS.find((one) => one.name === name)
    if (!verb) throw new UsageError(`unknown verb "${name}"`, suggestName(name, names) ?? `verbs: ${names.join(', ')}`)
    terminal.print(printCommandHelp((await verb.load()).command, false))
    return EXIT.ok
  },
}
