/**
 * Reads manifests from files. Each time it compares the stamps of all files and reads those that differ; a file of unchanged content
 * is neither parsed nor decoded again. A file that can no longer be used keeps its last good version.
 */
import { type Clock, printTime } from '../base/clock.ts'
import { countDiagnostics, type Diagnostic, DiagnosticList } from '../base/diagnostics.ts'
import type { Resource } from '../kubernetes/resource.ts'
import type { SourceDocument } from '../source/document.ts'
import {
  type FoundFiles,
  findFiles,
  identifyFolder,
  isIgnoredPath,
  isUnsettled,
  readPlainStamp,
  readSize,
  readSource,
  readStamp,
  sourceFromText,
} from '../source/files.ts'
import {
  chooseParser,
  createEmptyContent,
  type FileContent,
  isEmpty,
  type Parser,
  readContent,
} from './file-content.ts'

export type FileProviderOptions = {
  /** What `-f` names, in order; `-` stands for `stdin`. */
  readonly sources: readonly string[]
  readonly stdin?: string | undefined
  readonly clock: Clock
}

export type FileLimits = Readonly<{ maxBytes: number; maxCount: number }>

type ReadOptions = Readonly<{ maxBytes: number; inFolder: boolean }>

/** A source whose last good version is used, because its present version cannot be. */
export type Kept = Readonly<{
  /** `still serving k8s/shop.yaml as of 14:03:11` */
  text: string
  /** The problems of the present version; each has `text` as its last note. */
  reasons: readonly Diagnostic[]
}>

/** The content of all files. */
export type Manifests = {
  readonly resources: readonly Resource[]
  /** Objects with errors: their references are checked, and they are never served. */
  readonly refused: readonly Resource[]
  /** GatewayConfiguration documents in file order, undecoded. */
  readonly settings: readonly SourceDocument[]
  /** All diagnostics, with the reasons of `kept`. */
  readonly diagnostics: readonly Diagnostic[]
  readonly kept: readonly Kept[]
  readonly files: number
  readonly objects: number
  /** Files and folders to watch, each with its stamp from before it was read. */
  readonly stamps: ReadonlyMap<string, string>
  /** Equal fingerprints of one provider mean equal content. */
  readonly fingerprint: string
  /** Names of files that came, went or changed since the last call, as shown to people. */
  readonly changed: readonly string[]
}

/** One file as it was last read. */
type FileState = {
  /** Undefined for stdin. */
  readonly path: string | undefined
  readonly inFolder: boolean
  /** Hash of the text, or the reason why there is none. */
  readonly hash: string
  readonly name: string
  readonly content: FileContent
  /** Set if `content` is that of an earlier text. */
  readonly kept: Kept | undefined
  /** How it was read, and its stamp from before: if equal, the content is equal. Undefined if the stamp was too young. */
  readonly seen: string | undefined
}

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
type LastRead = Readonly<{ limits: FileLimits; order: readonly FileState[]; manifests: Manifests }>

/** The files that a source last led to; `folder` is the identity of a source that is a folder. */
type Found = Readonly<{ paths: readonly string[]; folder: string | undefined }>

/** Holds the last good version of each file; calls of `read` must not overlap. */
export class FileProvider {
  readonly #options: FileProviderOptions
  #files: ReadonlyMap<string, FileState> = new Map()
  /** By source. */
  #found: ReadonlyMap<string, Found> = new Map()
  /** Undefined if events could miss a change (see `isPlain`). */
  #last: LastRead | undefined
  /** Counted up whenever content or problems change. */
  #revision = 0
  /** The problems of the last read. */
  #problems = ''
  /** Read together with the first files. */
  #stdin: FileState | undefined

  constructor(options: FileProviderOptions) {
    this.#options = options
  }

  /** Reads the files. `hints` are the only paths known to have changed, so most often no other path is checked. */
  async read(limits: FileLimits, hints?: ReadonlySet<string>): Promise<Manifests> {
    const quick = hints && (await this.#readHinted(limits, hints))
    return quick ?? this.#readAll(limits)
  }

  /** Reads the hinted paths; undefined if only a check of everything can tell. */
  async #readHinted(limits: FileLimits, hints: ReadonlySet<string>): Promise<Manifests | undefined> {
    const last = this.#last
    if (last?.limits.maxBytes !== limits.maxBytes || last.limits.maxCount !== limits.maxCount) return undefined
    const { order, manifests } = last
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
    const next = order.map((state) => (state.path !== undefined && after.get(state.path)) || state)
    return this.#finish({ limits, order: next, after, stamps, kept: [], diagnostics: new DiagnosticList() }, true)
  }

  async #readAll(limits: FileLimits): Promise<Manifests> {
    const diagnostics = new DiagnosticList()
    const before = this.#files
    const after = new Map<string, FileState>()
    const found = new Map<string, Found>()
    const stamps = new Map<string, string>()
    const order: FileState[] = []
    const kept: Kept[] = []
    let isPlain = true

    for (const source of this.#options.sources) {
      if (source === '-') {
        this.#stdin ??= await this.#readStdin()
        order.push(this.#stdin)
        continue
      }
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
    const stampOf = ({ path }: FilePlace): string => stamps.get(path as string) as string
    const parser = chooseParser(changed.map((place) => readSize(stampOf(place))))
    try {
      const sizeOf = (place: FilePlace): number => Math.min(readSize(stampOf(place)), limits.maxBytes)
      await forEachAtOnce(changed, sizeOf, async (place) => {
        const path = place.path as string
        const { inFolder } = place
        const options = { maxBytes: limits.maxBytes, inFolder }
        const state = await this.#readFile(path, options, this.#files.get(path), parser)
        const seen = isUnsettled(stampOf(place), now) ? undefined : describeSight(place, stamps, limits)
        after.set(path, { ...state, inFolder, seen })
      })
    } finally {
      await parser.close()
    }
  }

  /** Assembles the result and remembers it. `isPlain`: events name every path that changes next. */
  #finish(read: ReadFiles, isPlain: boolean): Manifests {
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
  ): Promise<FileState> {
    const problems = new DiagnosticList()
    const place = { path, inFolder: options.inFolder }
    const source = await readSource(path, options, problems)
    if (!source) {
      const hash = JSON.stringify(problems.items.map(({ message }) => message))
      if (previous && !isEmpty(previous.content)) return keepContent(previous, hash, problems.items)
      return {
        ...place,
        hash,
        name: previous?.name ?? path,
        content: createEmptyContent(problems.items),
        kept: undefined,
        seen: undefined,
      }
    }
    if (previous?.hash === source.hash) return previous
    const { hash, name } = source
    const { content, take } = await readContent(source, parser, previous?.content, this.#options.clock.now())
    if (previous && !isEmpty(previous.content)) {
      // An empty text is most likely just being written.
      if (source.text.trim() === '') return keepContent(previous, hash, [emptySource(name)])
      // As with an API server, a refused version leaves the earlier one in force.
      if (!content.isGood && previous.content.isGood) return keepContent(previous, hash, content.diagnostics)
    }
    take()
    return { ...place, hash, name, content, kept: undefined, seen: undefined }
  }

  async #readStdin(): Promise<FileState> {
    const source = sourceFromText('<stdin>', this.#options.stdin ?? '')
    const { name, hash, text } = source
    const parser = chooseParser([text.length])
    try {
      const { content } = await readContent(source, parser, undefined, this.#options.clock.now())
      const place = { path: undefined, inFolder: false }
      return { ...place, hash, name, content: demandObjects(content), kept: undefined, seen: undefined }
    } finally {
      await parser.close()
    }
  }
}

/** Nobody pipes in nothing on purpose: the program that should have written manifests has failed. */
function demandObjects(content: FileContent): FileContent {
  if (!content.isGood || content.objects > 0) return content
  const problems = new DiagnosticList()
  problems.add('PORTICO_FILE_EMPTY', 'no objects passed on stdin', {
    severity: 'error',
    help: 'look at the output of the command before the pipe',
  })
  return { ...content, diagnostics: problems.items, isGood: false }
}

/** Most files read at the same time, and most bytes of them together. A single file may be larger. */
const AT_ONCE = 32
const BYTES_AT_ONCE = 33_554_432

function assemble(
  { order, after, stamps, kept: keptSources, diagnostics }: ReadFiles,
  before: Files,
): Omit<Manifests, 'fingerprint'> {
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
  return `${stamps.get(path as string)} ${maxBytes} ${inFolder}`
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

/** The last good version, with the reasons why the present one is not used. */
function keepContent(
  { path, inFolder, name, content }: FileState,
  hash: string,
  reasons: readonly Diagnostic[],
): FileState {
  return { path, inFolder, hash, name, content, kept: describeKept(name, content.readAt, reasons), seen: undefined }
}

function emptySource(name: string): Diagnostic {
  const list = new DiagnosticList()
  list.add('PORTICO_FILE_EMPTY', `${name} holds no manifest any more`)
  return list.items[0] as Diagnostic
}

function describeKept(name: string, since: number, reasons: readonly Diagnostic[]): Kept {
  return noteLastGood(`still serving ${name} as of ${printTime(since)}`, reasons)
}

/** Adds to each reason a note that the last good version is served. */
export function noteLastGood(text: string, reasons: readonly Diagnostic[]): Kept {
  const noted = reasons.map((reason) => Object.freeze({ ...reason, notes: [...reason.notes, { message: text }] }))
  return Object.freeze({ text, reasons: noted })
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
