/**
 * Reads manifests from files: of all of them the state each time, and what is in those whose state differs; a file whose
 * content is unchanged is neither parsed nor decoded again. A file that can no longer be used keeps its last good version.
 */
import { setImmediate } from 'node:timers/promises'
import { type Clock, printTime } from '../base/clock.ts'
import { countDiagnostics, type Diagnostic, DiagnosticList } from '../base/diagnostics.ts'
import { decodeDocuments } from '../kubernetes/decode.ts'
import type { Resource } from '../kubernetes/resource.ts'
import {
  type ParsedDocuments,
  type ParsedText,
  parseDocuments,
  parseInSteps,
  placeDocuments,
  type SourceDocument,
} from '../source/document.ts'
import {
  findFiles,
  isUnsettled,
  readSize,
  readSource,
  readStamp,
  type SourceText,
  sourceFromText,
} from '../source/files.ts'
import { ParserPool } from '../source/parser-pool.ts'

export type FileProviderOptions = {
  /** What `-f` names, in order; `-` stands for `stdin`. */
  readonly sources: readonly string[]
  readonly stdin?: string | undefined
  readonly clock: Clock
}

export type FileLimits = Readonly<{ maxBytes: number; maxCount: number }>

type ReadOptions = Readonly<{ maxBytes: number; inFolder: boolean }>

/** What is not used as it is now: its last good version is. */
export type Kept = Readonly<{
  /** `still serving k8s/shop.yaml as of 14:03:11` */
  text: string
  /** What is wrong with the present version; the text is the last note of each. */
  reasons: readonly Diagnostic[]
}>

/** What the files hold now. */
export type Manifests = {
  readonly resources: readonly Resource[]
  /** Objects with errors, for checks of what they refer to; never to be served. */
  readonly refused: readonly Resource[]
  /** GatewayConfiguration documents in file order, undecoded. */
  readonly settings: readonly SourceDocument[]
  /** The reasons of what is kept included. */
  readonly diagnostics: readonly Diagnostic[]
  readonly kept: readonly Kept[]
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
  /** Where `content` is from an earlier text than the present one. */
  readonly kept: Kept | undefined
  /** How it was read and what its stamp was before: equal ones mean equal content. Undefined where the stamp was too young. */
  readonly seen: string | undefined
}

type FileContent = {
  readonly resources: readonly Resource[]
  readonly refused: readonly Resource[]
  readonly settings: readonly SourceDocument[]
  readonly diagnostics: readonly Diagnostic[]
  readonly objects: number
  /** Nothing in it had to be left out: an API server would take all of it. */
  readonly isGood: boolean
  /** When this text was first read, milliseconds since the epoch. */
  readonly readAt: number
}

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
      this.#stdin = {
        hash: source.hash,
        name: source.name,
        content: this.#parseStdin(source),
        kept: undefined,
        seen: undefined,
      }
    }
  }

  async read(limits: FileLimits): Promise<Manifests> {
    const diagnostics = new DiagnosticList()
    const before = this.#files
    const after = new Map<string, FileState>()
    const found = new Map<string, readonly string[]>()
    const stamps = new Map<string, string>()
    const order: FileState[] = []
    const kept: Kept[] = []

    for (const source of this.#options.sources) {
      if (source === '-') {
        if (this.#stdin) order.push(this.#stdin)
        continue
      }
      const { paths, inFolder, keptSource } = await this.#find(
        source,
        { maxCount: limits.maxCount - after.size },
        stamps,
        diagnostics,
      )
      if (keptSource) kept.push(keptSource)
      found.set(source, paths)
      const fresh = paths.filter((path) => !after.has(path))
      const changed: string[] = []
      const describe = (path: string): string => `${stamps.get(path)} ${limits.maxBytes} ${inFolder.has(path)}`
      for (const path of fresh) {
        const previous = before.get(path)
        if (previous && (keptSource || previous.seen === describe(path))) after.set(path, previous)
        else changed.push(path)
      }
      const now = Date.now()
      const parser = chooseParser(changed.map((path) => readSize(stamps.get(path) as string)))
      try {
        await forEachAtOnce(changed, async (path) => {
          const options = { maxBytes: limits.maxBytes, inFolder: inFolder.has(path) }
          const state = await this.#readFile(path, options, before.get(path), parser)
          const seen = isUnsettled(stamps.get(path) as string, now) ? undefined : describe(path)
          after.set(path, { ...state, seen })
        })
      } finally {
        await parser.close()
      }
      for (const path of fresh) order.push(after.get(path) as FileState)
    }
    this.#files = after
    this.#found = found
    for (const state of order) {
      diagnostics.addAll(state.content.diagnostics)
      if (state.kept) kept.push(state.kept)
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
  ): Promise<{ paths: readonly string[]; inFolder: ReadonlySet<string>; keptSource: Kept | undefined }> {
    const problems = new DiagnosticList()
    const { paths, inFolder, watch, stamps: taken } = await findFiles([source], limits, problems)
    for (const path of watch) stamps.set(path, taken.get(path) ?? (await readStamp(path)))
    for (const path of paths) stamps.set(path, taken.get(path) as string)
    const known = this.#found.get(source) ?? []
    if (paths.length > 0 || known.length === 0) {
      diagnostics.addAll(problems.items)
      return { paths, inFolder, keptSource: undefined }
    }
    // Volumes that are being remounted and folders that are being replaced look like this for a while.
    for (const path of known) stamps.set(path, await readStamp(path))
    const states = known.map((path) => this.#files.get(path)).filter((state) => state !== undefined)
    const since = Math.max(...states.map(({ content }) => content.readAt))
    const reasons = problems.items.length > 0 ? problems.items : [emptySource(source)]
    return { paths: known, inFolder, keptSource: describeKept(source, since, reasons) }
  }

  async #readFile(
    path: string,
    options: ReadOptions,
    previous: FileState | undefined,
    parser: Parser,
  ): Promise<FileState> {
    const problems = new DiagnosticList()
    const source = await readSource(path, options, problems)
    if (!source) {
      const hash = JSON.stringify(problems.items.map(({ message }) => message))
      if (previous && !isEmpty(previous.content)) return keepContent(previous, hash, problems.items)
      return { hash, name: previous?.name ?? path, content: nothing(problems.items), kept: undefined, seen: undefined }
    }
    if (previous?.hash === source.hash) return previous
    const { hash, name } = source
    const found = new DiagnosticList()
    const content = this.#decode(placeDocuments(source, await parser.parse(source), found), found)
    if (previous && !isEmpty(previous.content)) {
      // A text that is cut to nothing is one that is just being written.
      if (source.text.trim() === '') return keepContent(previous, hash, [emptySource(name)])
      // What an API server refuses leaves the object there as it was.
      if (!content.isGood && previous.content.isGood) return keepContent(previous, hash, content.diagnostics)
    }
    return { hash, name, content, kept: undefined, seen: undefined }
  }

  /** `problems` holds those of parsing. */
  #decode({ documents, broken }: ParsedDocuments, problems: DiagnosticList): FileContent {
    const { resources, refused, settings, objects } = decodeDocuments(documents, problems)
    const diagnostics = problems.items
    const isGood = !broken && refused.length === 0 && countDiagnostics(diagnostics).error === 0
    return { resources, refused, settings, objects, diagnostics, readAt: this.#options.clock.now(), isGood }
  }

  /** Nothing is piped in on purpose: whatever should have written manifests has failed. */
  #parseStdin(source: SourceText): FileContent {
    const found = new DiagnosticList()
    const content = this.#decode(parseDocuments(source, found), found)
    if (!content.isGood || content.objects > 0) return content
    const problems = new DiagnosticList()
    problems.add('PORTICO_FILE_EMPTY', 'no objects passed on stdin', {
      severity: 'error',
      help: 'look at what the command before the pipe says',
    })
    return { ...content, diagnostics: problems.items, isGood: false }
  }
}

/** Files read at the same time. */
const AT_ONCE = 32
/** As much text as takes less time to read than a thread to start, bytes. */
const INLINE_BYTES = 131_072
/** How long others may have to wait for the parser, milliseconds; one document is the least that is parsed at a time. */
const PARSE_SLICE_MS = 5

type Parser = Pick<ParserPool, 'parse' | 'close'>

/** Threads for as much as is worth them: then nothing that is read, however hostile, holds anything else up. */
function chooseParser(sizes: readonly number[]): Parser {
  const size = sizes.reduce((sum, bytes) => sum + bytes, 0)
  return size > INLINE_BYTES ? new ParserPool({ size }) : { parse: parseInSlices, close: async () => undefined }
}

async function parseInSlices(source: SourceText): Promise<ParsedText> {
  const steps = parseInSteps(source)
  let since = performance.now()
  for (;;) {
    const step = steps.next()
    if (step.done) return step.value
    if (performance.now() - since < PARSE_SLICE_MS) continue
    await setImmediate()
    since = performance.now()
  }
}

/** Some of them at a time. */
async function forEachAtOnce(paths: readonly string[], run: (path: string) => Promise<void>): Promise<void> {
  const left = paths.values()
  const runNext = async (): Promise<void> => {
    for (const path of left) await run(path)
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, paths.length) }, runNext))
}

function nothing(diagnostics: readonly Diagnostic[]): FileContent {
  return { resources: [], refused: [], settings: [], objects: 0, diagnostics, isGood: false, readAt: 0 }
}

function isEmpty(content: FileContent): boolean {
  return content.resources.length === 0 && content.settings.length === 0
}

/** The last good version, with the reasons why the present one is not used. */
function keepContent({ name, content }: FileState, hash: string, reasons: readonly Diagnostic[]): FileState {
  return { hash, name, content, kept: describeKept(name, content.readAt, reasons), seen: undefined }
}

function emptySource(name: string): Diagnostic {
  const list = new DiagnosticList()
  list.add('PORTICO_FILE_EMPTY', `${name} holds no manifest any more`)
  return list.items[0] as Diagnostic
}

function describeKept(name: string, since: number, reasons: readonly Diagnostic[]): Kept {
  return keepLastGood(`still serving ${name} as of ${printTime(since)}`, reasons)
}

/** Says with each reason what is done instead. */
export function keepLastGood(text: string, reasons: readonly Diagnostic[]): Kept {
  const noted = reasons.map((reason) => Object.freeze({ ...reason, notes: [...reason.notes, { message: text }] }))
  return Object.freeze({ text, reasons: noted })
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
