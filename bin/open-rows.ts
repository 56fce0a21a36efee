/** The rows that flags ask for: of manifests where some are named, else of the running gateway. */
import { findAdmin } from './admin-client.ts'
import { namesInput, readInput } from './configuration-input.ts'
import type { Typed } from './flag.ts'
import type { RowSource } from './row-source.ts'
import type { Terminal } from './terminal.ts'

/** `words` is the command line before its flags, as in `get routes`; errors quote it in their advice. */
export async function openRows(words: string, typed: Typed, terminal: Terminal): Promise<RowSource> {
  if (!namesInput(typed)) {
    const { GatewayRows } = await import('./gateway-rows.ts')
    return new GatewayRows(await findAdmin(typed, terminal.host.env))
  }
  const input = await readInput(words, typed, terminal.host)
  const { FileRows } = await import('./file-rows.ts')
  return new FileRows(input, terminal)
}
