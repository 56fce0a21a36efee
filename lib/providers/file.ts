/**
 * Reads manifests from files: all of them each time, but a file whose content is unchanged is neither parsed nor decoded
 * again. A file that can no longer be used keeps its last good version.
 */
import { type Clock, printTime } from '../base/clock.ts'
import { type Diagnostic, DiagnosticList } from '../base/diagnostics.ts'
import { decodeDocuments } from '../kubernetes/decode.ts'
import type { Resource } from '../kubernetes/resource.ts'
import { parseDocuments, type SourceDocument } from '../source/document.ts'
import { findFiles, readSource, type SourceText, sourceFromText } from '../source/files.ts'
import { readFileStamp } from './file-watch.ts'

export type FileProviderOptions = {
  /** What `-f` names, in order; `-` stands for `stdin`. */
  readonly sources: readonly string[]
  readonly stdin?: string | undefined
  readonly clock: Clock
}

export type FileLimits = Readonly<{ maxBytes: number; maxCount: number }>

type ReadOptions = Readonly<{ maxBytes: number; inFolder: boolean }>

/** What the files hold now. */
export type Manifests = {
  readonly resources: readonly Resource[]
  /** GatewayConfiguration documents in file order, undecoded. */
  readonly settings: readonly SourceDocument[]
  readonly diagnostics: readonly Diagnostic[]
  readonly files: number
  readonly objects: number
  /** Files and folders to watch, each with its state from before it was read. */
  readonly stamps: ReadonlyMap<string, string>
  /** Equal fingerprints mean equal content. */
  readonly fingerprint: string
  /** Names of files that came, went or changed since the last call, as shown to people. */
  readonly changed: readonly string[]
}

/** One file as it was last read. */
type FileState = {
  /** Hash of the text, or the reason why there is none. */
  readonly hash: string
  readonly name: string
  readonly content: FileContent
  /** What is wrong with the present text, where `content` is from an earlier one. */
  readonly trouble: readonly Diagnostic[]
}

type FileContent = {
  readonly resources: readonly Resource[]
  readonly settings: readonly SourceDocument[]
  readonly diagnostics: readonly Diagnostic[]
  readonly objects: number
  /** Part of the text could not be read. */
  readonly broken: boolean
  /** When this text was first read, milliseconds since the epoch. */
  readonly readAt: number
}

/** Files read at the same time. */
const BATCH = 32

/** Holds the last good version of each file; calls of `read` must not overlap. */
export class FileProvider {
  readonly #options: FileProviderOptions
  #files: ReadonlyMap<string, FileState> = new Map()
  /** Paths that each of `sources` last led to. */
  #found: ReadonlyMap<string, readonly string[]> = new Map()
  readonly #stdin: FileState | undefined

  constructor(options: FileProviderOptions) {
    this.#options = options
    if (options.sources.includes('-')) {
      const source = sourceFromText('<stdin>', options.stdin ?? '')
      this.#stdin = { hash: source.hash, name: source.name, content: this.#parse(source), trouble: [] }
    }
  }

  async read(limits: FileLimits): Promise<Manifests> {
    const diagnostics = new DiagnosticList()
    const before = this.#files
    const after = new Map<string, FileState>()
    const found = new Map<string, readonly string[]>()
    const stamps = new Map<string, string>()
    const order: FileState[] = []

    for (const source of this.#options.sources) {
      if (source === '-') {
        if (this.#stdin) order.push(this.#stdin)
        continue
      }
      const { paths, inFolder, isKept } = await this.#find(
        source,
        { maxCount: limits.maxCount - after.size },
        stamps,
        diagnostics,
      )
      found.set(source, paths)
      const fresh = paths.filter((path) => !after.has(path))
      for (let start = 0; start < fresh.length; start += BATCH) {
        const batch = fresh.slice(start, start + BATCH)
        const states = await Promise.all(
          batch.map(async (path) => {
            stamps.set(path, await readFileStamp(path))
            const previous = before.get(path)
            const options = { maxBytes: limits.maxBytes, inFolder: inFolder.has(path) }
            return isKept && previous ? previous : this.#readFile(path, options, previous)
          }),
        )
        for (const [index, state] of states.entries()) after.set(batch[index] as string, state)
        order.push(...states)
      }
    }
    this.#files = after
    this.#found = found
    for (const state of order) {
      diagnostics.addAll(state.content.diagnostics)
      diagnostics.addAll(state.trouble)
    }
    return {
      resources: order.flatMap(({ content }) => content.resources),
      settings: order.flatMap(({ content }) => content.settings),
      diagnostics: diagnostics.items,
      files: order.length,
      objects: order.reduce((sum, { content }) => sum + content.objects, 0),
      stamps,
      fingerprint: printFingerprint(order, diagnostics.items),
      changed: listChanges(before, after),
    }
  }

  /** The files a source leads to; a source that is gone, or empty all at once, keeps those it last led to. */
  async #find(
    source: string,
    limits: { maxCount: number },
    stamps: Map<string, string>,
    diagnostics: DiagnosticList,
  ): Promise<{ paths: readonly string[]; inFolder: ReadonlySet<string>; isKept: boolean }> {
    const problems = new DiagnosticList()
    const { paths, inFolder, watch } = await findFiles([source], limits, problems)
    for (const path of watch) stamps.set(path, await readFileStamp(path))
    const known = this.#found.get(source) ?? []
    if (paths.length > 0 || known.length === 0) {
      diagnostics.addAll(problems.items)
      return { paths, inFolder, isKept: false }
    }
    // Volumes that are being remounted and folders that are being replaced look like this for a while.
    const states = known.map((path) => this.#files.get(path)).filter((state) => state !== undefined)
    const since = Math.max(...states.map(({ content }) => content.readAt))
    const reasons = problems.items.length > 0 ? problems.items : [emptySource(source)]
    diagnostics.addAll(reasons.map((reason) => keepNote(reason, source, since)))
    return { paths: known, inFolder, isKept: true }
  }

  async #readFile(path: string, options: ReadOptions, previous: FileState | undefined): Promise<FileState> {
    const problems = new DiagnosticList()
    const source = await readSource(path, options, problems)
    if (!source) {
      const hash = JSON.stringify(problems.items.map(({ message }) => message))
      if (previous && !isEmpty(previous.content)) return keepContent(previous, hash, problems.items)
      return { hash, name: previous?.name ?? path, content: nothing(problems.items), trouble: [] }
    }
    if (previous?.hash === source.hash) return previous
    const { hash, name } = source
    const content = this.#parse(source)
    if (previous && !isEmpty(previous.content)) {
      // A text that is cut to nothing is one that is just being written.
      if (source.text.trim() === '') return keepContent(previous, hash, [emptySource(name)])
      if (content.broken && !previous.content.broken) return keepContent(previous, hash, content.diagnostics)
    }
    return { hash, name, content, trouble: problems.items }
  }

  #parse(source: SourceText): FileContent {
    const problems = new DiagnosticList()
    const { documents, broken } = parseDocuments(source, problems)
    const { resources, settings, objects } = decodeDocuments(documents, problems)
    return { resources, settings, objects, diagnostics: problems.items, readAt: this.#options.clock.now(), broken }
  }
}

function nothing(diagnostics: readonly Diagnostic[]): FileContent {
  return { resources: [], settings: [], objects: 0, diagnostics, broken: true, readAt: 0 }
}

function isEmpty(content: FileContent): boolean {
  return content.resources.length === 0 && content.settings.length === 0
}

/** The last good version, with the reasons why the present one is not used. */
function keepContent(previous: FileState, hash: string, reasons: readonly Diagnostic[]): FileState {
  const { name, content } = previous
  return { hash, name, content, trouble: reasons.map((reason) => keepNote(reason, name, content.readAt)) }
}

function emptySource(name: string): Diagnostic {
  const list = new DiagnosticList()
  list.add('PORTICO_FILE_EMPTY', `${name} holds no manifest any more`)
  return list.items[0] as Diagnostic
}

/** Says with a problem that the last good version is served on. */
function keepNote(reason: Diagnostic, name: string, since: number): Diagnostic {
  return Object.freeze({
    ...reason,
    notes: [...reason.notes, { message: `still serving ${name} as of ${printTime(since)}` }],
  })
}

/** Diagnostics belong to it: a folder that cannot be read any more is news, though the files kept are the same. */
function printFingerprint(states: readonly FileState[], diagnostics: readonly Diagnostic[]): string {
  const files = states.map(({ name, hash }) => `${name} ${hash}`)
  return JSON.stringify([files, diagnostics.map(({ code, message }) => `${code} ${message}`)])
}

function listChanges(before: ReadonlyMap<string, FileState>, after: ReadonlyMap<string, FileState>): readonly string[] {
  const changed: string[] = []
  for (const [path, state] of after) if (before.get(path)?.hash !== state.hash) changed.push(state.name)
  for (const [path, state] of before) if (!after.has(path)) changed.push(state.name)
  return changed
}
