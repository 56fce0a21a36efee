/** What all spools of a process share: the bytes that they may take in memory and in files, the files, and the operations on them. */
import type { FileHandle } from 'node:fs/promises'
import { makeFolder } from '../base/data-folder.ts'
import { findDescriptorLimit, fitSockets } from '../platform/descriptors.ts'
import { openUnlinked } from '../platform/unlinked-file.ts'
import type { Settings } from '../settings/table.ts'

export type SpoolLimits = Settings['buffering']

export type SpoolsOptions = Readonly<{
  /** Where the files are; it is made when it is needed. */
  folder: string
  /** The limits in force. */
  limits: () => SpoolLimits
  /** The processes that share `limits.disk`. */
  processes: number
  /** The descriptors that are held back for connections. */
  reserve: Readonly<{ isReleased: boolean; watch(descriptor: number): void }>
  /** Bodies cannot be written to files. */
  warn: (message: string) => void
}>

/** Operations at once: libuv has four threads, and name look-ups and passwords need some of them. */
const MAX_OPERATIONS = 2
/** When memory is short, a body goes to its file from so many bytes on. */
const SHORT_BYTES = 4096

export class Spools {
  readonly #options: SpoolsOptions
  readonly #maxFiles: number = fitSockets(findDescriptorLimit())
  #memoryBytes = 0
  #fileBytes = 0
  #files = 0
  #isPrepared = false
  #operations = 0
  readonly #waiting: (() => void)[] = []

  constructor(options: SpoolsOptions) {
    this.#options = options
  }

  get limits(): SpoolLimits {
    return this.#options.limits()
  }

  /** Bytes of bodies in memory. */
  get memoryBytes(): number {
    return this.#memoryBytes
  }

  /** Bytes of bodies in files. */
  get fileBytes(): number {
    return this.#fileBytes
  }

  get hasMemory(): boolean {
    return this.#memoryBytes < this.limits.memory
  }

  /** Bytes of a body from which on it goes to its file. */
  get spillBytes(): number {
    const { memory, bodyMemory } = this.limits
    return this.#memoryBytes > memory / 2 ? SHORT_BYTES : bodyMemory
  }

  /** Says at once, and only the first time, if files cannot be made. */
  async prepare(): Promise<void> {
    if (this.#isPrepared) return
    this.#isPrepared = true
    try {
      await this.close(await this.open(), 0)
    } catch (error) {
      this.warn(error)
    }
  }

  warn(error: unknown): void {
    const { code, message } = error as NodeJS.ErrnoException
    this.#options.warn(`no body can be buffered in a file of ${this.#options.folder}: ${code ?? message}`)
  }

  /** Counts bytes in memory; a negative number of them is given up. */
  countMemory(bytes: number): void {
    this.#memoryBytes += bytes
  }

  /** False: so many more bytes are not allowed in files. */
  takeDisk(bytes: number): boolean {
    if (this.#fileBytes + bytes > this.limits.disk / this.#options.processes) return false
    this.#fileBytes += bytes
    return true
  }

  giveDiskBack(bytes: number): void {
    this.#fileBytes -= bytes
  }

  /** Throws Node's errors, and where there are too many files. */
  async open(): Promise<FileHandle> {
    const { folder, reserve } = this.#options
    if (reserve.isReleased || this.#files >= this.#maxFiles) throw new Error('file descriptors are short')
    this.#files++
    try {
      const file = await openIn(folder)
      reserve.watch(file.fd)
      return file
    } catch (error) {
      this.#files--
      throw error
    }
  }

  /** `bytes` of it are counted. */
  async close(file: FileHandle, bytes: number): Promise<void> {
    try {
      await this.operate(() => file.close())
    } catch (error) {
      this.warn(error)
    }
    this.#files--
    this.giveDiskBack(bytes)
  }

  /** Runs an operation on a file as soon as it is its turn. */
  async operate<T>(run: () => Promise<T>): Promise<T> {
    if (this.#operations >= MAX_OPERATIONS) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#operations++
    try {
      return await run()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#operations--
    }
  }
}

async function openIn(folder: string): Promise<FileHandle> {
  try {
    return await openUnlinked(folder)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    await makeFolder(folder)
    return openUnlinked(folder)
  }
}
