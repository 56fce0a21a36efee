/**
 * Notices that files changed. A comparison of stamps every two seconds is what is relied on (bind mounts, network file
 * systems and exhausted inotify limits give no events); events of the folders only make the look come at once.
 */
import { type FSWatcher, watch } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/** A file changed again within the granularity of its time stamp would look unchanged. */
const SETTLE_MS = 2_000
/** Events come in bursts: one look answers them all. */
const BURST_MS = 20
/** At most this share of the time goes into looking, where a look is slow. */
const IDLE_FACTOR = 20

/** Identity, size and time of what a path leads to, links followed. Differs where the content may differ. */
export async function readFileStamp(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
    return `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code)
  }
}

/** Whether the stamp is too young to rely on: a later change may leave it as it is. */
function isUnsettled(stamp: string, now: number): boolean {
  const mtimeNs = stamp.split(' ')[3]
  return mtimeNs !== undefined && Math.abs(now - Number(mtimeNs) / 1e6) < SETTLE_MS
}

export type FileWatchOptions = {
  /** Something changed, or may have. */
  readonly onChange: () => void
  /** Events cannot be had for a folder; changes are still seen, later. Called once. */
  readonly onFallback?: (reason: string) => void
  /** Milliseconds between looks. */
  readonly intervalMs?: number
  /** Where events come from; given by tests. */
  readonly watchFolder?: (folder: string, onEvent: () => void) => FSWatcher
}

/** Watches the paths last given to `update`, until `close`. */
export class FileWatch {
  readonly #options: FileWatchOptions
  readonly #intervalMs: number
  #stamps: ReadonlyMap<string, string> = new Map()
  #takenAt = 0
  /** Counts calls of `update`: the last one counts. */
  #turn = 0
  /** By path; a folder that was replaced has another identity, and its old watcher is deaf. */
  readonly #folders = new Map<string, { readonly identity: string; readonly watcher: FSWatcher }>()
  #timer: NodeJS.Timeout | undefined
  #burst: NodeJS.Timeout | undefined
  #looking = false
  #lookAgain = false
  #fellBack = false
  #closed = false

  constructor(options: FileWatchOptions) {
    this.#options = options
    this.#intervalMs = options.intervalMs ?? 2_000
  }

  /** Stamps must have been taken before the content was read, so that no change falls between. */
  async update(stamps: ReadonlyMap<string, string>): Promise<void> {
    this.#stamps = stamps
    this.#takenAt = Date.now()
    const turn = ++this.#turn
    const folders = await listFolders(stamps.keys())
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
    clearTimeout(this.#burst)
    for (const { watcher } of this.#folders.values()) watcher.close()
    this.#folders.clear()
  }

  #watchFolder(folder: string, identity: string): void {
    try {
      // A folder, never a file: events of a file end when it is replaced (rename-over, ConfigMap swap).
      const watcher = (this.#options.watchFolder ?? watchFolder)(folder, () => this.#hint())
      this.#folders.set(folder, { identity, watcher })
      watcher.on('error', (error) => {
        watcher.close()
        if (this.#folders.get(folder)?.watcher === watcher) this.#folders.delete(folder)
        this.#fallBack(error)
        this.#hint()
      })
    } catch (error) {
      // A folder that is not there yet is nothing to tell: its parent, or the next look, finds it.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#fallBack(error)
    }
  }

  #fallBack(error: unknown): void {
    if (this.#fellBack || this.#closed) return
    this.#fellBack = true
    this.#options.onFallback?.((error as NodeJS.ErrnoException).code ?? String(error))
  }

  #hint(): void {
    if (this.#closed) return
    this.#burst ??= setTimeout(() => {
      this.#burst = undefined
      void this.#look()
    }, BURST_MS)
  }

  #schedule(delayMs: number): void {
    clearTimeout(this.#timer)
    if (this.#closed) return
    this.#timer = setTimeout(() => void this.#look(), delayMs)
    this.#timer.unref()
  }

  async #look(): Promise<void> {
    if (this.#looking) {
      this.#lookAgain = true
      return
    }
    this.#looking = true
    const began = performance.now()
    const known = this.#stamps
    const takenAt = this.#takenAt
    const now = new Map<string, string>()
    let differs = false
    for (const [path, stamp] of known) {
      const current = await readFileStamp(path)
      now.set(path, current)
      differs ||= current !== stamp || isUnsettled(stamp, takenAt)
    }
    this.#looking = false
    if (this.#closed) return
    // Where `update` came meanwhile, its stamps are newer than these.
    if (this.#stamps === known) {
      this.#stamps = now
      this.#takenAt = Date.now()
      if (differs) this.#options.onChange()
    } else {
      this.#lookAgain = true
    }
    this.#schedule(Math.max(this.#intervalMs, (performance.now() - began) * IDLE_FACTOR))
    if (this.#lookAgain) {
      this.#lookAgain = false
      this.#hint()
    }
  }
}

function watchFolder(folder: string, onEvent: () => void): FSWatcher {
  return watch(folder, { persistent: false }, onEvent)
}

/** The folders in which something must happen for one of the paths to change: its own, and that behind each link. */
async function listFolders(paths: Iterable<string>): Promise<Map<string, string>> {
  const candidates = new Set<string>()
  for (const path of paths) {
    candidates.add(path)
    candidates.add(dirname(path))
    try {
      candidates.add(dirname(await realpath(path)))
    } catch {
      // Gone or a dangling link: the folder it stands in is watched.
    }
  }
  const folders = new Map<string, string>()
  for (const path of candidates) {
    try {
      const status = await stat(path)
      if (status.isDirectory()) folders.set(path, `${status.dev} ${status.ino}`)
    } catch {
      // Not there now: the look that sees it come updates this list.
    }
  }
  return folders
}
