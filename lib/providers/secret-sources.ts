/**
 * Secrets that are no objects: files below folders that the settings name, and variables of the environment. Nothing of what they hold
 * stands in a message.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync, realpathSync } from 'node:fs'
import { isAbsolute, resolve, sep } from 'node:path'
import { readStampNow } from '../source/stamp.ts'
import { FileWatch } from './files/file-watch.ts'
import type { ChangeListener, Watch } from './provider.ts'

/** As a RoutePolicy and the settings name one. */
export type SecretSource = Readonly<{ file: string }> | Readonly<{ env: string }>

/** What it holds, a character a byte (latin1); or why it cannot be used. */
export type SecretText = Readonly<{ text: string }> | Readonly<{ message: string; help: string }>

/** What a file held, and its stamp from before it was read, so that no change is missed. */
type ReadFile = Readonly<{ stamp: string; found: SecretText }>

/** A Secret of Kubernetes has no more. */
const MAX_BYTES = 1_048_576
const MAX_FILES = 1_000
const TOO_MANY: SecretText = { message: `more than ${MAX_FILES} files are named`, help: 'use fewer' }

/** Remembers the files that were asked for, and notices when they change. */
export class SecretSources {
  readonly #environment: NodeJS.ProcessEnv
  readonly #files = new Map<string, ReadFile>()
  readonly #variables = new Map<string, SecretText>()
  readonly #asked = new Set<string>()
  /** Files that are being written in place, and were not replaced since the last look. */
  readonly #written = new Set<string | undefined>()
  #folders: readonly string[] = []
  #revision = 0
  #watch: FileWatch | undefined

  /** Variables are those of the start. */
  constructor(environment: NodeJS.ProcessEnv) {
    this.#environment = environment
  }

  /** Counted up whenever a file that was asked for holds something else, or cannot be used any more. */
  get revision(): number {
    return this.#revision
  }

  /** Reads again the files that were asked for. Files below `folders` alone may be used. */
  look(folders: readonly string[]): void {
    this.#folders = folders
    this.#written.clear()
    for (const [path, before] of this.#files) {
      const now = this.#readStamped(path)
      const isSame = JSON.stringify(now.found) === JSON.stringify(before.found)
      this.#files.set(path, isSame ? { ...before, stamp: now.stamp } : now)
      if (!isSame) this.#revision++
    }
  }

  /** The same object for as long as the source holds the same. */
  find(source: SecretSource): SecretText {
    if ('env' in source) return this.#findVariable(source.env)
    const path = source.file
    this.#asked.add(path)
    const known = this.#files.get(path)
    if (known !== undefined) return known.found
    // Those that were named before stay as they are.
    if (this.#files.size >= MAX_FILES) return TOO_MANY
    const read = this.#readStamped(path)
    this.#files.set(path, read)
    return read.found
  }

  /** Files that were not asked for since the last call are forgotten, and the others are watched. */
  async settle(): Promise<void> {
    for (const path of this.#files.keys()) if (!this.#asked.has(path)) this.#files.delete(path)
    this.#asked.clear()
    await this.#update()
  }

  async watch({ onChange, onTrouble }: ChangeListener): Promise<Watch> {
    const watch = new FileWatch({
      onChange: (path, isWritten = false) => {
        if (isWritten) this.#written.add(path)
        else this.#written.delete(path)
        onChange(this.#written.size > 0)
      },
      onFallback: (reason) => onTrouble('no events for some files of secrets: changes are seen within seconds', reason),
    })
    this.#watch = watch
    await this.#update()
    return {
      close: () => {
        watch.close()
        this.#watch = undefined
      },
    }
  }

  async #update(): Promise<void> {
    await this.#watch?.update(new Map([...this.#files].map(([path, { stamp }]) => [path, stamp])))
  }

  #findVariable(name: string): SecretText {
    const known = this.#variables.get(name)
    if (known !== undefined) return known
    const value = Object.hasOwn(this.#environment, name) ? this.#environment[name] : undefined
    const found: SecretText = name.startsWith('PORTICO_')
      ? { message: 'variables of Portico itself cannot be used', help: 'give the secret in a variable of another name' }
      : value === undefined || value === ''
        ? { message: `the environment has no variable ${name}`, help: 'set it before Portico is started' }
        : { text: Buffer.from(value).toString('latin1') }
    this.#variables.set(name, found)
    return found
  }

  #readStamped(path: string): ReadFile {
    const stamp = readStampNow(path)
    return { stamp, found: this.#read(path) }
  }

  #read(path: string): SecretText {
    const folders = this.#folders.map((folder) => resolve(folder))
    if (folders.length === 0) {
      return { message: 'no file may be used', help: 'name its folder in secretFolders of the settings' }
    }
    const outside = { message: 'it lies in no folder that secretFolders names', help: `they are ${folders.join(', ')}` }
    if (!isAbsolute(path)) return { message: 'the path of the file is not absolute', help: 'begin it with "/"' }
    if (!folders.some((folder) => isBelow(resolve(path), folder))) return outside
    try {
      const real = realpathSync(path)
      return folders.some((folder) => isBelow(real, resolveFolder(folder))) ? readWhole(real) : outside
    } catch (error) {
      const { code = 'it is gone' } = error as NodeJS.ErrnoException
      if (code === 'ENOENT') return { message: 'there is no such file', help: 'write the file, or its right path' }
      return { message: `the file cannot be read (${code})`, help: 'let it be a file that this user may read' }
    }
  }
}

function isBelow(path: string, folder: string): boolean {
  return path.startsWith(folder.endsWith(sep) ? folder : folder + sep)
}

/** The folder that a path leads to; the path itself if there is none. */
function resolveFolder(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

/** A pipe is not waited for. */
function readWhole(path: string): SecretText {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const stats = fstatSync(file)
    if (!stats.isFile()) return { message: 'it is no regular file', help: 'name a file' }
    const tooLarge = { message: `the file has more than ${MAX_BYTES} bytes`, help: 'make it smaller' }
    if (stats.size > MAX_BYTES) return tooLarge
    const bytes = readFileSync(file)
    return bytes.length > MAX_BYTES ? tooLarge : { text: bytes.toString('latin1') }
  } finally {
    closeSync(file)
  }
}
