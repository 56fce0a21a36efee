/** `portico completion SHELL` */
import { type Command, EXIT } from '../command.ts'
import type { CompletedVerb } from '../completion/table.ts'
import { suggestName } from '../suggestion.ts'
import { UsageError } from '../usage-error.ts'

const SHELLS: Readonly<Record<string, () => Promise<(verbs: readonly CompletedVerb[]) => string>>> = {
  bash: async () => (await import('../completion/bash.ts')).printBash,
  zsh: async () => (await import('../completion/zsh.ts')).printZsh,
  fish: async () => (await import('../completion/fish.ts')).printFish,
}
const NAMES = Object.keys(SHELLS)

export const command: Command = {
  name: 'completion',
  summary: 'print what a shell needs to complete verbs and flags',
  usage: NAMES.join('|'),
  about: [
    'Completes verbs, the flags of each verb and their values, names of settings',
    'after --set, kinds and files. Portico is not asked while a key is pressed: print',
    'it anew after an update.',
  ],
  flags: [],
  examples: [
    ['portico completion bash > ~/.local/share/bash-completion/completions/portico', 'for bash'],
    ['portico completion zsh > ~/.zfunc/_portico', 'for zsh, in a folder of fpath'],
    ['portico completion fish > ~/.config/fish/completions/portico.fish', 'for fish'],
  ],
  words: { least: 1, most: 1, name: 'SHELL', values: NAMES },
  async run(typed, terminal) {
    const [name = ''] = typed.positionals
    const shell = SHELLS[name]
    if (!NAMES.includes(name) || !shell) {
      throw new UsageError(`unknown shell "${name}"`, suggestName(name, NAMES) ?? `shells: ${NAMES.join(', ')}`)
    }
    const { listVerbs } = await import('../completion/table.ts')
    terminal.print((await shell())(await listVerbs()))
    return EXIT.ok
  },
}
