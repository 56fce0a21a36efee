/** The source of the rows that `portico get` prints. */
import type { Kind } from './kind.ts'

export type Reading = Readonly<{
  /** The rows by kind, in the order of the command line; or an exit code if they cannot be read. */
  rows: ReadonlyMap<Kind, readonly unknown[]> | number
  /** Further lines for people. */
  talk: readonly string[]
}>

export type RowSource = {
  read(kinds: readonly Kind[]): Promise<Reading>
  /** Resolves when the rows may have changed. */
  change(): Promise<void>
}
