/** The verbs of the command line, and the flags that several verbs share. */
import type { Flag, Typed } from './flag.ts'
import type { Terminal } from './terminal.ts'

export type Command = Readonly<{
  name: string
  /** Half a line, for the list of verbs. */
  summary: string
  /** The words after the verb in the usage line: `-f FILE [flags]`. */
  usage: string
  /** Further explanation, in lines of at most 80 columns. */
  about?: readonly string[]
  flags: readonly Flag[]
  /** The names of the usual flags, which the help lists; if absent, all flags except those of settings. */
  firstFlags?: readonly string[]
  /** Commands that work as written, each with its explanation. */
  examples: readonly (readonly [command: string, does: string])[]
  /** The number of words allowed besides flags. */
  words: Readonly<{
    least: number
    most: number
    name: string
    /** What these words may be, for shells; left out: nothing is known of them. */
    values?: readonly string[] | 'files'
  }>
  /** Resolves to the exit code. */
  run(typed: Typed, terminal: Terminal): Promise<number>
}>

/** Exit codes, the same for every verb. */
export const EXIT = { ok: 0, failure: 1, usage: 2, unclean: 3, unreachable: 4 } as const

export const NO_WORDS = { least: 0, most: 0, name: '' } as const

/** The flags of every verb. */
export const COMMON_FLAGS: readonly Flag[] = [
  { name: 'no-color', doc: 'no colours; so does NO_COLOR in the environment' },
  { name: 'help', short: 'h', doc: 'print this' },
  { name: 'help-all', doc: 'print every flag, with those of all settings' },
]

/** The flags that name the configuration. */
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
