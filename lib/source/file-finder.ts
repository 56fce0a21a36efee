/** Finds the files that -f names. A problem with one of them is a diagnostic; the others are still found. */
import { type Dirent, readdir, realpath as resolveLink, type Stats, statSync } from 'node:fs'
import { lstat, opendir, realpath } from 'node:fs/promises'
import path from 'node:path'
import { type GlobOptions, glob } from 'tinyglobby'
import { DiagnosticList } from '../base/diagnostics.ts'
import {
  type BuiltFolder,
  CHART,
  CHART_FOLDER,
  KUSTOMIZATIONS,
  MAX_KUSTOMIZATION,
  readKustomization,
} from './built-folder.ts'
import { readSource } from './read-source.ts'
import { identify, printStamp, stat } from './stamp.ts'
import { addUnreadable, describeType, printPath } from './unreadable.ts'

export type FoundFiles = {
  /** Absolute paths, each once, in the order of the given names, and sorted within a folder or glob. */
  readonly paths: readonly string[]
  /** The `paths` that lie in a folder or match a pattern; the others were named. */
  readonly inFolder: ReadonlySet<string>
  /** The folders to watch: all that were walked, and those of the named files. */
  readonly watch: readonly string[]
  /** The stamps of files and folders from before they were read, by path; some folders of `watch` have none. */
  readonly stamps: ReadonlyMap<string, string>
  /**
   * True if every file has a single path and none is missing: no links, no globs, nothing to report. Then an event names every
   * path whose file may have changed.
   */
  readonly isPlain: boolean
}

/** Entries of a folder that are checked in parallel. */
const BATCH = 128
/** Most entries checked, for each file that may be read. */
const ENTRIES_PER_FILE = 20

const MANIFEST = /\.(?:ya?ml|json)$/i
const GLOB = /[*?[\]{}!]/

/** Finds files, folders (recursive: *.yaml, *.yml, *.json; no hidden ones, no node_modules) and globs. */
export async function findFiles(
  names: readonly string[],
  limits: { maxCount: number },
  diagnostics: DiagnosticList,
): Promise<FoundFiles> {
  const finder = new FileFinder(limits.maxCount, diagnostics)
  for (const name of names) await finder.find(name)
  return finder.found()
}

type Callback<T> = (error: Error | null, result: T) => void
type GlobFiles = NonNullable<GlobOptions['fs']>

class FileFinder {
  readonly #maxCount: number
  readonly #diagnostics: DiagnosticList
  readonly #paths: string[] = []
  readonly #inFolder: Set<string> = new Set()
  readonly #watch: Set<string> = new Set()
  readonly #stamps: Map<string, string> = new Map()
  /** By device and inode: a file or folder reached twice is read once. */
  readonly #seen: Set<string> = new Set()
  /** The real path of the folder being walked. */
  #root = ''
  /** The built folders among those met; undefined for a folder that no tool builds. */
  readonly #built: Map<string, BuiltFolder | undefined> = new Map()
  /** Absolute paths of parts of objects. */
  readonly #parts: Set<string> = new Set()
  #entries = 0
  /** The number of files met that look like manifests, read or not. */
  #candidates = 0
  #full = false
  #isPlain = true

  constructor(maxCount: number, diagnostics: DiagnosticList) {
    this.#maxCount = maxCount
    this.#diagnostics = diagnostics
  }

  found(): FoundFiles {
    return {
      // A kustomization may list a part of a folder that was walked before its own.
      paths: this.#paths.filter((file) => !this.#parts.has(file) || !this.#inFolder.has(file)),
      inFolder: this.#inFolder,
      watch: [...this.#watch],
      stamps: this.#stamps,
      isPlain: this.#isPlain && this.#diagnostics.items.length === 0,
    }
  }

  async find(name: string): Promise<void> {
    const absolute = path.resolve(name)
    const stats = await this.#stat(absolute)
    if ((await realpath(absolute).catch(() => undefined)) !== absolute) this.#isPlain = false
    if (stats?.isDirectory()) {
      const before = this.#candidates
      const isNew = !this.#seen.has(identify(stats))
      this.#root = await realpath(absolute).catch(() => absolute)
      await this.#walk(absolute, stats, [], true)
      if (isNew && this.#candidates === before) {
        this.#diagnostics.add('PORTICO_FILE_EMPTY', `no manifest found in ${printPath(absolute)}`, {
          help: 'manifests are files ending in .yaml, .yml or .json',
        })
      }
    } else if (stats) {
      await this.#watchFile(absolute)
      this.#addFile(absolute, stats, false)
    } else if (GLOB.test(name)) {
      await this.#expand(name)
    } else {
      this.#watch.add(path.dirname(absolute))
      this.#diagnostics.add('PORTICO_FILE_NOT_FOUND', `${printPath(absolute)} does not exist`, {
        help: 'check the spelling, and the folder it is looked for in',
      })
    }
  }

  async #expand(pattern: string): Promise<void> {
    const base = globBase(pattern)
    this.#root = await realpath(base).catch(() => base)
    const matches = await glob(pattern, {
      absolute: true,
      onlyFiles: true,
      expandDirectories: false,
      fs: this.#createGlobFiles(path.relative(base, path.resolve(pattern)).includes(path.sep)),
    }).catch(() => [])
    // A pattern without an extension means manifests alone, not the other files beside them.
    const wanted = /\.[A-Za-z0-9]+$/.test(pattern) ? matches : matches.filter((match) => MANIFEST.test(match))
    this.#watch.add(base)
    for (const match of wanted.sort()) {
      const absolute = path.resolve(match)
      if (await this.#isInLeftOut(base, absolute)) continue
      this.#watch.add(path.dirname(absolute))
      const stats = await this.#stat(absolute)
      if (stats) this.#addFile(absolute, stats, true)
    }
    if (wanted.length === 0) {
      this.#diagnostics.add('PORTICO_FILE_NOT_FOUND', `no file matches ${pattern}`, {
        help: 'quote the pattern so that the shell leaves it alone, and check it',
      })
    }
  }

  /** The file system that a glob sees, with the same limits as a walk: most entries, and no way out of the folder. */
  #createGlobFiles(hasFolders: boolean): GlobFiles {
    return {
      readdir: (folder: string, options: { withFileTypes: true }, done: Callback<Dirent[]>) => {
        readdir(folder, options, (error, entries = []) => done(error, this.#mayLookAt(entries.length) ? entries : []))
      },
      realpath: (link: string, done: Callback<string>) => {
        resolveLink(link, (error, target) => {
          if (error || isWithin(target, this.#root)) done(error, target)
          else if (!statSync(target, { throwIfNoEntry: false })?.isDirectory()) done(null, target)
          else {
            if (hasFolders) this.#addOutside(link, target)
            done(new Error('outside'), target)
          }
        })
      },
    } as unknown as GlobFiles
  }

  async #walk(folder: string, stats: Stats, ancestors: readonly string[], isNamed: boolean = false): Promise<void> {
    const id = identify(stats)
    if (ancestors.includes(id)) {
      this.#diagnostics.add('PORTICO_FILE_LOOP', `${printPath(folder)} leads back to a folder it is in`, {
        help: 'it is not read again; remove the link',
      })
      return
    }
    if (this.#seen.has(id)) return
    this.#seen.add(id)
    this.#watch.add(folder)
    this.#stamps.set(folder, printStamp(stats))
    const listed = await this.#list(folder)
    if (listed.some((entry) => entry.isSymbolicLink())) this.#isPlain = false
    const names = listed.map(({ name }) => name)
    const built = await this.#judgeFolder(folder, names, isNamed)
    if (built?.isLeftOut) return
    // Only manifests by name, folders and links are checked any further.
    const entries = listed
      .filter(({ name }) => built === undefined || !KUSTOMIZATIONS.includes(name))
      .filter((entry) => !entry.isFile() || MANIFEST.test(entry.name))
      .sort(compareNames)
    for (let start = 0; start < entries.length; start += BATCH) {
      const batch = entries.slice(start, start + BATCH)
      const found = await Promise.all(batch.map(({ name }) => stat(path.join(folder, name)).catch(toError)))
      for (const [index, entry] of batch.entries()) {
        if (this.#full) return
        await this.#walkEntry(path.join(folder, entry.name), entry, found[index] as Stats | Error, [...ancestors, id])
      }
    }
  }

  /** Finds out, once for each folder, whether another tool builds it, and reports that. */
  async #judgeFolder(folder: string, names: readonly string[], isNamed: boolean): Promise<BuiltFolder | undefined> {
    if (this.#built.has(folder)) return this.#built.get(folder)
    const name = names.find((each) => each === CHART) ?? KUSTOMIZATIONS.find((each) => names.includes(each))
    const built = name === undefined ? undefined : await readBuiltFolder(folder, name)
    this.#built.set(folder, built)
    if (!built) return undefined
    this.#isPlain = false
    this.#candidates++
    for (const part of built.parts) this.#parts.add(part)
    const shown = printPath(folder)
    this.#diagnostics.add('PORTICO_FILE_UNBUILT', built.message(shown), {
      help: `build it: ${built.command(shown)}`,
      severity: !built.isLeftOut ? 'info' : isNamed ? 'error' : 'warning',
    })
    return built
  }

  /** True if a file found by a glob lies in a folder that is left out, or is itself the file that makes a folder a built one. */
  async #isInLeftOut(base: string, file: string): Promise<boolean> {
    const steps = path.relative(base, path.dirname(file)).split(path.sep)
    for (let count = 0; count <= steps.length; count++) {
      const folder = path.join(base, ...steps.slice(0, count))
      const names = this.#built.has(folder) ? [] : (await this.#list(folder)).map(({ name }) => name)
      const built = await this.#judgeFolder(folder, names, false)
      if (built?.isLeftOut) return true
      if (built && folder === path.dirname(file) && KUSTOMIZATIONS.includes(path.basename(file))) return true
    }
    return false
  }

  /** The entries of a folder, up to the limit of entries. */
  async #list(folder: string): Promise<readonly Dirent[]> {
    const entries: Dirent[] = []
    try {
      for await (const entry of await opendir(folder, { bufferSize: BATCH })) {
        if (!this.#mayLookAt(1)) break
        if (!isSkipped(entry.name)) entries.push(entry)
      }
    } catch (error) {
      this.#addFailure(folder, error as Error)
    }
    return entries
  }

  #mayLookAt(count: number): boolean {
    const most = this.#maxCount * ENTRIES_PER_FILE
    this.#entries += count
    if (this.#entries > most && !this.#full) this.#stop(`more than ${most} files and folders`)
    return this.#entries <= most
  }

  async #walkEntry(child: string, entry: Dirent, stats: Stats | Error, ancestors: readonly string[]): Promise<void> {
    const isManifest = MANIFEST.test(entry.name)
    if (stats instanceof Error) {
      // The entry was listed, so the target of a link is missing. That matters only if the link would be read.
      if (!isManifest) return
      this.#candidates++
      this.#addFailure(child, stats)
    } else if (!stats.isDirectory()) {
      if (isManifest) this.#addFile(child, stats, true)
    } else if (!entry.isSymbolicLink() || (await this.#staysInside(child))) await this.#walk(child, stats, ancestors)
  }

  /** True if a link leads to a folder within the named folder; reports links that lead out of it. */
  async #staysInside(link: string): Promise<boolean> {
    const target = await realpath(link).catch(() => undefined)
    if (target === undefined) return false
    if (isWithin(target, this.#root)) return true
    this.#addOutside(link, target)
    return false
  }

  #addOutside(link: string, target: string): void {
    this.#diagnostics.add(
      'PORTICO_FILE_OUTSIDE',
      `${printPath(link)} leads out of the folder, to ${printPath(target)}`,
      {
        help: `its files are not read; to read them, add -f ${printPath(link)}`,
      },
    )
  }

  #addFile(file: string, stats: Stats, inFolder: boolean): void {
    this.#candidates++
    if (!stats.isFile()) {
      this.#diagnostics.add('PORTICO_FILE_UNREADABLE', `${printPath(file)} is a ${describeType(stats)}, not a file`, {
        help: stats.isFIFO() ? 'pipe it in: … | portico run -f -' : undefined,
      })
      return
    }
    if (stats.nlink > 1) this.#isPlain = false
    const id = identify(stats)
    if (this.#full || this.#seen.has(id)) return
    if (this.#paths.length >= this.#maxCount) {
      this.#stop(`more than ${this.#maxCount} files`)
      return
    }
    this.#seen.add(id)
    this.#paths.push(file)
    this.#stamps.set(file, printStamp(stats))
    if (inFolder) this.#inFolder.add(file)
  }

  #stop(what: string): void {
    this.#full = true
    this.#diagnostics.add('PORTICO_FILE_TOO_MANY', `${what}; the rest is not read`, {
      help: 'name a smaller folder, or raise files.maxCount',
    })
  }

  /** Watches a file's folder, which notices a replaced file; for a link the folder of its target as well. */
  async #watchFile(file: string): Promise<void> {
    this.#watch.add(path.dirname(file))
    this.#watch.add(path.dirname(await realpath(file).catch(() => file)))
  }

  async #stat(file: string): Promise<Stats | undefined> {
    try {
      return await stat(file)
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code
      if (code !== 'ENOENT' && code !== 'ENOTDIR') this.#addFailure(file, error as Error)
      return undefined
    }
  }

  #addFailure(file: string, error: Error): void {
    addUnreadable(this.#diagnostics, printPath(file), error)
  }
}

async function readBuiltFolder(folder: string, name: string): Promise<BuiltFolder> {
  if (name === CHART) return CHART_FOLDER
  const source = await readSource(path.join(folder, name), { maxBytes: MAX_KUSTOMIZATION }, new DiagnosticList())
  return readKustomization(folder, source)
}

/** True if an absolute path is a folder's, or lies in the folder. */
function isWithin(file: string, folder: string): boolean {
  return file === folder || file.startsWith(folder.endsWith(path.sep) ? folder : `${folder}${path.sep}`)
}

function compareNames(a: Dirent, b: Dirent): number {
  return a.name < b.name ? -1 : Number(a.name > b.name)
}

/** True for entries of a folder that are never manifests. */
function isSkipped(name: string): boolean {
  return name.startsWith('.') || name === 'node_modules'
}

/** True if a walk of the folder would not read a new entry at this path: it is not named like a manifest, or does not exist. */
export async function isIgnoredPath(file: string): Promise<boolean> {
  const name = path.basename(file)
  if (isSkipped(name)) return true
  const stats = await lstat(file).catch(() => undefined)
  return stats === undefined || (stats.isFile() && !MANIFEST.test(name))
}

/** The deepest folder a pattern names without wildcards. */
function globBase(pattern: string): string {
  const parts = path.resolve(pattern).split(path.sep)
  const first = parts.findIndex((part) => GLOB.test(part))
  return parts.slice(0, Math.max(first, 1)).join(path.sep) || path.sep
}

function toError(error: Error): Error {
  return error
}
