/**
 * Notices changes of files. It relies on comparing stamps every two seconds, since bind mounts, network file systems and
 * exhausted inotify limits give no events. Events of folders only tell sooner where to look.
 */
import { type FSWatcher, type Stats, watch } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { isUnsettled, readStamp } from '../../source/stamp.ts'

/** Paths checked in parallel. */
const BATCH = 128
/** A slow check is followed by a pause of this many times its length. */
const IDLE_FACTOR = 20

export type FileWatchOptions = {
  /**
   * Something may have changed: at `path`, or anywhere if `path` is left out. Calls come in bursts. `isWritten`: the file is being
   * written; if false, an entry was created, removed or replaced.
   */
  readonly onChange: (path?: string, isWritten?: boolean) => void
  /** Called once if a folder gives no events; its changes are still noticed, only later. */
  readonly onFallback?: (reason: string) => void
  /** Milliseconds between two checks. */
  readonly intervalMs?: number
  /** The source of events; given by tests. */
  readonly watchFolder?: (folder: string, onEvent: (name: string | undefined, isWritten: boolean) => void) => FSWatcher
}

/** Watches the paths last given to `update`, until `close`. */
export class FileWatch {
  readonly #options: FileWatchOptions
  readonly #intervalMs: number
  #stamps: ReadonlyMap<string, string> = new Map()
  #takenAt = 0
  /** The number of calls of `update`, so that only the last one has an effect. */
  #turn = 0
  /** The watched folders, by path. A replaced folder has another identity, and its old watcher gets no events. */
  readonly #folders = new Map<string, { readonly identity: string; readonly watcher: FSWatcher }>()
  /** By path: the folders of the path and of its link targets, and the stamp at the time when they were found. */
  readonly #places = new Map<string, { readonly stamp: string; readonly folders: readonly string[] }>()
  #timer: NodeJS.Timeout | undefined
  #looking = false
  #fellBack = false
  #closed = false

  constructor(options: FileWatchOptions) {
    this.#options = options
    this.#intervalMs = options.intervalMs ?? 2_000
  }

  /** The stamps must have been taken before the content was read, so that no change is missed. */
  async update(stamps: ReadonlyMap<string, string>): Promise<void> {
    if (stamps === this.#stamps) return
    this.#stamps = stamps
    this.#takenAt = Date.now()
    const turn = ++this.#turn
    const folders = await this.#listFolders(stamps)
    if (this.#closed || turn !== this.#turn) return
    for (const [folder, { identity, watcher }] of this.#folders) {
      if (folders.get(folder) === identity) continue
      watcher.close()
      this.#folders.delete(folder)
    }
    for (const [folder, identity] of folders) {
      if (!this.#folders.has(folder)) this.#watchFolder(folder, identity)
    }
    this.#schedule(this.#intervalMs)
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    for (const { watcher } of this.#folders.values()) watcher.close()
    this.#folders.clear()
  }

  /**
   * The folders to watch, with their identities: the folder of each path, and the folder of each link's target. A path whose stamp
   * is unchanged leads through the same folders as the last time.
   */
  async #listFolders(stamps: ReadonlyMap<string, string>): Promise<ReadonlyMap<string, string>> {
    const fresh = [...stamps.keys()].filter((path) => this.#places.get(path)?.stamp !== stamps.get(path))
    for (const [index, folders] of (await inBatches(fresh, listFoldersOf)).entries()) {
      const path = fresh[index] as string
      this.#places.set(path, { stamp: stamps.get(path) as string, folders })
    }
    const candidates = new Set<string>()
    for (const [path, { folders }] of this.#places) {
      if (!stamps.has(path)) this.#places.delete(path)
      else for (const folder of folders) candidates.add(folder)
    }
    const names = [...candidates]
    const found = new Map<string, string>()
    for (const [index, status] of (await inBatches(names, statFolder)).entries()) {
      if (status !== undefined) found.set(names[index] as string, `${status.dev} ${status.ino}`)
    }
    return found
  }

  #watchFolder(folder: string, identity: string): void {
    try {
      // Folders are watched, never files: the events of a file end when it is replaced (rename-over, ConfigMap swap).
      const watcher = (this.#options.watchFolder ?? watchFolder)(folder, (name, isWritten) =>
        this.#hint(folder, name, isWritten),
      )
      this.#folders.set(folder, { identity, watcher })
      watcher.on('error', (error) => {
        watcher.close()
        if (this.#folders.get(folder)?.watcher === watcher) this.#folders.delete(folder)
        this.#fallBack(error)
        void this.#look()
      })
    } catch (error) {
      // A missing folder is not reported: events of its parent, or the next check, find it.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#fallBack(error)
    }
  }

  #fallBack(error: unknown): void {
    if (this.#fellBack || this.#closed) return
    this.#fellBack = true
    this.#options.onFallback?.((error as NodeJS.ErrnoException).code ?? String(error))
  }

  /** Events about the folder itself come with its own name, or without a name. */
  #hint(folder: string, name: string | undefined, isWritten: boolean): void {
    if (this.#closed) return
    if (name === undefined || name === basename(folder)) this.#options.onChange()
    else this.#options.onChange(join(folder, name), isWritten)
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.#timer)
    if (this.#closed) return
    this.#timer = setTimeout(() => void this.#look(), delayMs)
    this.#timer.unref()
  }

  async #look(): Promise<void> {
    if (this.#looking) return
    this.#looking = true
    const began = performance.now()
    const known = this.#stamps
    const takenAt = this.#takenAt
    const paths = [...known.keys()]
    const stamps = await inBatches(paths, readStamp)
    const now = new Map(paths.map((path, index) => [path, stamps[index] as string]))
    let differs = false
    for (const [path, stamp] of known) differs ||= now.get(path) !== stamp || isUnsettled(stamp, takenAt)
    this.#looking = false
    if (this.#closed) return
    // If `update` was called meanwhile, its stamps are newer than these.
    const isOutrun = this.#stamps !== known
    if (!isOutrun) {
      this.#stamps = now
      this.#takenAt = Date.now()
      if (differs) this.#options.onChange()
    }
    this.#schedule(isOutrun ? 0 : Math.max(this.#intervalMs, (performance.now() - began) * IDLE_FACTOR))
  }
}

function watchFolder(folder: string, onEvent: (name: string | undefined, isWritten: boolean) => void): FSWatcher {
  return watch(folder, { persistent: false }, (event, name) => onEvent(name ?? undefined, event === 'change'))
}

/** The folders of a path: itself if it is a folder, its parent, and the folder of its link target. */
async function listFoldersOf(path: string): Promise<readonly string[]> {
  const folders = [dirname(path)]
  // Without a target (gone, or a dangling link) the parent alone is watched.
  const target = await realpath(path).catch(() => undefined)
  if (target !== undefined) folders.push(dirname(target))
  if (await statFolder(path)) folders.push(path)
  return folders
}

/** Undefined if there is no folder now; the check that notices it updates the list. */
async function statFolder(path: string): Promise<Stats | undefined> {
  const status = await stat(path).catch(() => undefined)
  return status?.isDirectory() ? status : undefined
}

async function inBatches<T>(paths: readonly string[], read: (path: string) => Promise<T>): Promise<readonly T[]> {
  const results: T[] = []
  for (let start = 0; start < paths.length; start += BATCH) {
    results.push(...(await Promise.all(paths.slice(start, start + BATCH).map(read))))
  }
  return results
}
