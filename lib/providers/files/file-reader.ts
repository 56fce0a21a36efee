/**
 * Reads manifests from files. Each time it compares the stamps of all files and reads those that differ; a file of unchanged content
 * is neither parsed nor decoded again. A file that can no longer be used keeps its last good version.
 */
import type { Clock } from '../../base/clock.ts'
import { countDiagnostics, type Diagnostic, DiagnosticList } from '../../base/diagnostics.ts'
import { type FoundFiles, findFiles, isIgnoredPath } from '../../source/file-finder.ts'
import { readSource } from '../../source/read-source.ts'
import { identifyFolder, isUnsettled, readPlainStamp, readSize, readStamp } from '../../source/stamp.ts'
import { chooseParser, createEmptyContent, type Parser } from '../content.ts'
import { describeKept, type Kept } from '../kept.ts'
import type { FileLimits, Manifests } from '../provider.ts'
import { isUsable, keepVersion, readVersion, type Version } from '../version.ts'

export type FileReaderOptions = Readonly<{
  /** Files, folders and globs, in order. */
  sources: readonly string[]
  clock: Clock
}>

type ReadOptions = Readonly<{ maxBytes: number; inFolder: boolean }>

/** The content of all files. */
export type FileManifests = Manifests &
  Readonly<{
    /** Files and folders to watch, each with its stamp from before it was read. */
    stamps: ReadonlyMap<string, string>
  }>

/** One file as it was last read. */
type FileState = Version &
  Readonly<{
    path: string
    inFolder: boolean
    /** How it was read, and its stamp from before: if equal, the content is equal. Undefined if the stamp was too young. */
    seen: string | undefined
  }>

type FilePlace = Pick<FileState, 'path' | 'inFolder'>
type Files = ReadonlyMap<string, FileState>

/** The files in order, with the findings about their sources. */
type ReadFiles = Readonly<{
  limits: FileLimits
  order: readonly FileState[]
  after: Files
  stamps: ReadonlyMap<string, string>
  /** The last good versions of sources that are gone. */
  kept: readonly Kept[]
  diagnostics: DiagnosticList
}>

/** The result of the last read, of which the next may renew a part. */
type LastRead = Readonly<{ limits: FileLimits; order: readonly FileState[]; manifests: FileManifests }>

/** The files that a source last led to; `folder` is the identity of a source that is a folder. */
type Found = Readonly<{ paths: readonly string[]; folder: string | undefined }>

/** Holds the last good version of each file; calls of `read` must not overlap. */
export class FileReader {
  readonly #options: FileReaderOptions
  #files: ReadonlyMap<string, FileState> = new Map()
  /** By source. */
  #found: ReadonlyMap<string, Found> = new Map()
  /** Undefined if events could miss a change (see `isPlain`). */
  #last: LastRead | undefined
  /** Counted up whenever content or problems change. */
  #revision = 0
  /** The problems of the last read. */
  #problems = ''

  constructor(options: FileReaderOptions) {
    this.#options = options
  }

  /** Reads the files. `hints` are the only paths known to have changed, so most often no other path is checked. */
  async read(limits: FileLimits, hints?: ReadonlySet<string>): Promise<FileManifests> {
    const quick = hints && (await this.#readHinted(limits, hints))
    return quick ?? this.#readAll(limits)
  }

  /** Reads the hinted paths; undefined if only a check of everything can tell. */
  async #readHinted(limits: FileLimits, hints: ReadonlySet<string>): Promise<FileManifests | undefined> {
    const last = this.#last
    if (last?.limits.maxBytes !== limits.maxBytes || last.limits.maxCount !== limits.maxCount) return undefined
    const { order, manifests } = last
    if (hints.size === 0) return { ...manifests, changed: [] }
    const stamps = new Map(manifests.stamps)
    const touched: FileState[] = []
    for (const path of hints) {
      const state = this.#files.get(path)
      if (state === undefined) {
        if (stamps.has(path) || !(await isIgnoredPath(path))) return undefined
        continue
      }
      const stamp = await readPlainStamp(path)
      if (stamp === undefined) return undefined
      stamps.set(path, stamp)
      touched.push(state)
    }
    const after = new Map(this.#files)
    const changed = touched.filter((state) => state.seen !== describeSight(state, stamps, limits))
    await this.#readChanged(changed, limits, stamps, after)
    const next = order.map((state) => after.get(state.path) ?? state)
    return this.#finish({ limits, order: next, after, stamps, kept: [], diagnostics: new DiagnosticList() }, true)
  }

  async #readAll(limits: FileLimits): Promise<FileManifests> {
    const diagnostics = new DiagnosticList()
    const before = this.#files
    const after = new Map<string, FileState>()
    const found = new Map<string, Found>()
    const stamps = new Map<string, string>()
    const order: FileState[] = []
    const kept: Kept[] = []
    let isPlain = true

    for (const source of this.#options.sources) {
      const {
        paths,
        inFolder,
        isPlain: isPlainSource,
        folder,
        keptSource,
      } = await this.#find(source, { maxCount: limits.maxCount - after.size }, stamps, diagnostics)
      if (keptSource) kept.push(keptSource)
      found.set(source, { paths, folder })
      const fresh = paths.filter((path) => !after.has(path))
      const changed: FilePlace[] = []
      for (const path of fresh) {
        const previous = before.get(path)
        const place = { path, inFolder: inFolder.has(path) }
        if (previous && (keptSource || previous.seen === describeSight(place, stamps, limits)))
          after.set(path, previous)
        else changed.push(place)
      }
      await this.#readChanged(changed, limits, stamps, after)
      for (const path of fresh) order.push(after.get(path) as FileState)
      isPlain &&= isPlainSource
    }
    this.#found = found
    return this.#finish({ limits, order, after, stamps, kept, diagnostics }, isPlain)
  }

  /** Reads the changed files into `after`, reusing what is known of them. */
  async #readChanged(
    changed: readonly FilePlace[],
    limits: FileLimits,
    stamps: ReadonlyMap<string, string>,
    after: Map<string, FileState>,
  ): Promise<void> {
    const now = Date.now()
    const stampOf = ({ path }: FilePlace): string => stamps.get(path) as string
    const parser = chooseParser(changed.map((place) => readSize(stampOf(place))))
    try {
      const sizeOf = (place: FilePlace): number => Math.min(readSize(stampOf(place)), limits.maxBytes)
      await forEachAtOnce(changed, sizeOf, async (place) => {
        const { path, inFolder } = place
        const options = { maxBytes: limits.maxBytes, inFolder }
        const version = await this.#readFile(path, options, this.#files.get(path), parser)
        const seen = isUnsettled(stampOf(place), now) ? undefined : describeSight(place, stamps, limits)
        after.set(path, { ...version, path, inFolder, seen })
      })
    } finally {
      await parser.close()
    }
  }

  /** Assembles the result and remembers it. `isPlain`: events name every path that changes next. */
  #finish(read: ReadFiles, isPlain: boolean): FileManifests {
    const before = this.#files
    const found = assemble(read, before)
    const problems = printProblems(found.diagnostics)
    if (found.changed.length > 0 || problems !== this.#problems) this.#revision++
    this.#problems = problems
    const manifests = { ...found, fingerprint: String(this.#revision) }
    this.#files = read.after
    this.#last = isPlain ? { limits: read.limits, order: read.order, manifests } : undefined
    return manifests
  }

  /**
   * The files that a source leads to. A source that would make a start fail keeps its last files. So does an empty folder in the
   * place of another folder: that is what an unmounted volume looks like. If the folder is the same, somebody deleted its files.
   */
  async #find(
    source: string,
    limits: { maxCount: number },
    stamps: Map<string, string>,
    diagnostics: DiagnosticList,
  ): Promise<Pick<FoundFiles, 'paths' | 'inFolder' | 'isPlain'> & Found & { keptSource: Kept | undefined }> {
    const problems = new DiagnosticList()
    const { paths, inFolder, isPlain, watch, stamps: taken } = await findFiles([source], limits, problems)
    for (const path of watch) stamps.set(path, taken.get(path) ?? (await readStamp(path)))
    for (const path of paths) stamps.set(path, taken.get(path) as string)
    const { paths: known, folder: knownFolder } = this.#found.get(source) ?? { paths: [], folder: undefined }
    const folder = await identifyFolder(source)
    const isEmptied = folder !== undefined && folder === knownFolder && countDiagnostics(problems.items).error === 0
    if (paths.length > 0 || known.length === 0 || isEmptied) {
      diagnostics.addAll(problems.items)
      return { paths, folder, inFolder, isPlain, keptSource: undefined }
    }
    for (const path of known) stamps.set(path, await readStamp(path))
    const states = known.map((path) => this.#files.get(path)).filter((state) => state !== undefined)
    const since = Math.max(...states.map(({ content }) => content.readAt))
    const reasons = problems.items.length > 0 ? problems.items : [emptySource(source)]
    return {
      paths: known,
      folder: knownFolder,
      inFolder,
      isPlain: false,
      keptSource: describeKept(source, since, reasons),
    }
  }

  async #readFile(
    path: string,
    options: ReadOptions,
    previous: FileState | undefined,
    parser: Parser,
  ): Promise<Version> {
    const problems = new DiagnosticList()
    const source = await readSource(path, options, problems)
    if (!source) {
      const hash = JSON.stringify(problems.items.map(({ message }) => message))
      if (previous && isUsable(previous)) return keepVersion(previous, hash, problems.items)
      return { hash, name: previous?.name ?? path, content: createEmptyContent(problems.items), kept: undefined }
    }
    // An empty text is most likely just being written.
    if (previous && isUsable(previous) && previous.hash !== source.hash && source.text.trim() === '') {
      return keepVersion(previous, source.hash, [emptySource(source.name)])
    }
    return readVersion(source, parser, previous, this.#options.clock.now())
  }
}

/** Most files read at the same time, and most bytes of them together. A single file may be larger. */
const AT_ONCE = 32
const BYTES_AT_ONCE = 33_554_432

function assemble(
  { order, after, stamps, kept: keptSources, diagnostics }: ReadFiles,
  before: Files,
): Omit<FileManifests, 'fingerprint'> {
  const kept = [...keptSources]
  for (const { content, kept: keptFile } of order) {
    diagnostics.addAll(content.diagnostics)
    if (keptFile) kept.push(keptFile)
  }
  for (const { reasons } of kept) diagnostics.addAll(reasons)
  return {
    resources: order.flatMap(({ content }) => content.resources),
    refused: order.flatMap(({ content }) => content.refused),
    settings: order.flatMap(({ content }) => content.settings),
    diagnostics: diagnostics.items,
    kept,
    files: order.length,
    objects: order.reduce((sum, { content }) => sum + content.objects, 0),
    stamps,
    changed: listChanges(before, after),
  }
}

/** Describes how a file is read, with its stamp from before. */
function describeSight(
  { path, inFolder }: FilePlace,
  stamps: ReadonlyMap<string, string>,
  { maxBytes }: FileLimits,
): string {
  return `${stamps.get(path)} ${maxBytes} ${inFolder}`
}

/** Runs on several items at a time. */
async function forEachAtOnce<T>(items: readonly T[], sizeOf: (item: T) => number, run: (item: T) => Promise<void>) {
  const running = new Set<Promise<void>>()
  let bytes = 0
  for (const item of items) {
    const size = sizeOf(item)
    while (running.size > 0 && (running.size >= AT_ONCE || bytes + size > BYTES_AT_ONCE)) await Promise.race(running)
    bytes += size
    const done: Promise<void> = run(item).finally(() => {
      running.delete(done)
      bytes -= size
    })
    // The first failure is thrown below; further failures must not be unhandled rejections.
    done.catch(() => undefined)
    running.add(done)
  }
  await Promise.all(running)
}

function emptySource(name: string): Diagnostic {
  const list = new DiagnosticList()
  list.add('PORTICO_FILE_EMPTY', `${name} holds no manifest any more`)
  return list.items[0] as Diagnostic
}

/** Diagnostics are part of the content: an unreadable folder is a change, even though its files are kept. */
function printProblems(diagnostics: readonly Diagnostic[]): string {
  return diagnostics.length === 0 ? '' : JSON.stringify(diagnostics.map(({ code, message }) => `${code} ${message}`))
}

function listChanges(before: ReadonlyMap<string, FileState>, after: ReadonlyMap<string, FileState>): readonly string[] {
  const changed: string[] = []
  for (const [path, state] of after) if (before.get(path)?.hash !== state.hash) changed.push(state.name)
  for (const [path, state] of before) if (!after.has(path)) changed.push(state.name)
  return changed
}
