/** `portico version` */
import { type Command, EXIT, NO_WORDS } from '../command.ts'
import { readOutput } from '../output.ts'
import { VERSION } from '../package.ts'

export const command: Command = {
  name: 'version',
  summary: 'print the version',
  usage: '[-o text|json]',
  flags: [{ name: 'output', short: 'o', value: 'text|json', doc: 'how to print' }],
  examples: [['portico version -o json', 'for scripts']],
  words: NO_WORDS,
  async run(typed, terminal) {
    const output = readOutput(typed, ['text', 'json'])
    terminal.print(
      output === 'json'
        ? JSON.stringify({ version: VERSION, node: process.version })
        : `portico ${VERSION} (node ${process.version})`,
    )
    return EXIT.ok
  },
}
