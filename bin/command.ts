/** What a verb of the command line is, and the flags that several verbs share. */
import type { Flag, Typed } from './flag.ts'
import type { Terminal } from './terminal.ts'

export type Command = Readonly<{
  name: string
  /** Half a line, for the list of verbs. */
  summary: string
  /** What stands after the verb, for the usage line: `-f FILE [flags]`. */
  usage: string
  /** More to know, in lines of at most 80 columns. */
  about?: readonly string[]
  flags: readonly Flag[]
  /** The flags that everybody needs, by name: its help has these; left out: all that are not of settings. */
  firstFlags?: readonly string[]
  /** Commands that work as they stand here, each with what it does. */
  examples: readonly (readonly [command: string, does: string])[]
  /** How many words may follow besides flags. */
  words: Readonly<{ least: number; most: number; name: string }>
  /** Resolves to the exit code. */
  run(typed: Typed, terminal: Terminal): Promise<number>
}>

/** Exit codes, the same for every verb. */
export const EXIT = { ok: 0, failure: 1, usage: 2, unclean: 3, unreachable: 4 } as const

export const NO_WORDS = { least: 0, most: 0, name: '' } as const

/** Every verb knows these. */
export const COMMON_FLAGS: readonly Flag[] = [
  { name: 'no-color', doc: 'no colours; so does NO_COLOR in the environment' },
  { name: 'help', short: 'h', doc: 'print this' },
  { name: 'help-all', doc: 'print every flag, those of all settings too' },
]

/** Where the configuration is read from. */
export const INPUT_FLAGS: readonly Flag[] = [
  {
    name: 'filename',
    short: 'f',
    value: 'FILE',
    repeatable: true,
    doc: 'manifests: a file, a folder (and those in it), a glob, or - for stdin',
  },
  { name: 'config', short: 'c', value: 'FILE', doc: 'settings: a file of kind GatewayConfiguration' },
]
