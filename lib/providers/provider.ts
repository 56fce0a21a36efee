/** A provider is where resources come from: files, standard input, or a source of a program that embeds Portico. */
import type { Diagnostic } from '../base/diagnostics.ts'
import type { Resource } from '../kubernetes/resource.ts'
import type { SourceDocument } from '../source/document.ts'
import type { Kept } from './kept.ts'

/**
 * A source of resources. A configuration is made of all that its providers give, as if it stood in one place. To turn manifests
 * into what `read` gives, build on `TextProvider`.
 */
export type Provider = {
  /**
   * Gives everything that the provider holds now, each call anew; what did not change should stay the same object. Calls never
   * overlap, and the configuration waits for each, so a provider limits the time it takes. What users wrote wrongly is a
   * diagnostic. If the promise is rejected, the last result stays in force, a diagnostic says so with the message of the error,
   * and the other providers go on.
   */
  read(request: ReadRequest): Promise<Manifests>
  /** Tells the listener of each change from the last `read` on, until the watch is closed. Resolves when the watch is in place. */
  watch(listener: ChangeListener): Promise<Watch>
  /** Says for people what the provider reads, in a few words: `3 files`, `stdin`. */
  describe(): string
}

export type FileLimits = Readonly<{
  /** Most bytes of one file. */
  maxBytes: number
  /** Most files. */
  maxCount: number
}>

export type ReadRequest = Readonly<{
  /** The settings under `files`. */
  limits: FileLimits
  /** True if everything is to be looked at, even where no change was noticed. */
  isForced: boolean
}>

/** What a provider holds. */
export type Manifests = Readonly<{
  resources: readonly Resource[]
  /** Objects with errors: their references are checked, and they are never served. */
  refused: readonly Resource[]
  /** GatewayConfiguration documents in order, undecoded: the first is in force. */
  settings: readonly SourceDocument[]
  /** All diagnostics, with the reasons of `kept`. */
  diagnostics: readonly Diagnostic[]
  kept: readonly Kept[]
  /** The number of files; a text that is no file counts as one. */
  files: number
  /** The number of objects, served or not. */
  objects: number
  /** Names of files that came, went or changed since the last call, as shown to people. */
  changed: readonly string[]
  /** Equal fingerprints of one provider mean equal content. */
  fingerprint: string
}>

export type ChangeListener = Readonly<{
  /**
   * A `read` may now give something else. Calls come in bursts. `isWritten`: the change is still going on, so that a `read` at
   * once could see half of it.
   */
  onChange: (isWritten: boolean) => void
  /** Changes are noticed late, or not at all: `message` says which, `reason` why. */
  onTrouble: (message: string, reason: string) => void
}>

export type Watch = {
  close(): void
}
