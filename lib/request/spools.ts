/** What all spools of a process share: the bytes that they may take in memory and in files, the files, and the operations on them. */
import type { FileHandle } from 'node:fs/promises'
import { makeFolder } from '../base/folder.ts'
import { PerClient } from '../base/per-client.ts'
import { Turns } from '../base/turns.ts'
import { findDescriptorLimit, fitSockets } from '../platform/descriptors.ts'
import { openUnlinked } from '../platform/unlinked-file.ts'
import type { Settings } from '../settings/table.ts'

export type SpoolLimits = Settings['buffering']

export type SpoolsOptions = Readonly<{
  /** Where the files are; it is made when it is needed. */
  folder: string
  /** The limits in force. */
  limits: () => SpoolLimits
  /** The descriptors that are held back for connections. */
  reserve: Readonly<{ isReleased: boolean; watch(descriptor: number): void }>
  /** Bodies cannot be written to files. */
  warn: (message: string) => void
}>

/** Operations at once: libuv has four threads, and name look-ups and passwords need some of them. */
const MAX_OPERATIONS = 2
/** When memory is short, a body goes to its file from so many bytes on. */
const SHORT_BYTES = 4096

/** What the bodies of one client take of the files. */
class ClientFiles {
  bytes = 0
  files = 0

  get isEmpty(): boolean {
    return this.bytes === 0 && this.files === 0
  }
}

export class Spools {
  readonly #options: SpoolsOptions
  readonly #maxFiles: number = fitSockets(findDescriptorLimit())
  #memoryBytes = 0
  #fileBytes = 0
  #files = 0
  readonly #clients = new PerClient(() => new ClientFiles())
  #isPrepared = false
  readonly #operations = new Turns(MAX_OPERATIONS)

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
      await this.close(await this.open(''), 0, '')
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

  /** Counts bytes in files for a client (base/client-network). False: no more are allowed; one client gets half of them at most. */
  takeDisk(bytes: number, client: string): boolean {
    const { disk } = this.limits
    const own = this.#clients.find(client)
    if (this.#fileBytes + bytes > disk || own.bytes + bytes > disk / 2) return false
    this.#fileBytes += bytes
    own.bytes += bytes
    return true
  }

  giveDiskBack(bytes: number, client: string): void {
    this.#fileBytes -= bytes
    this.#clients.find(client).bytes -= bytes
  }

  /** Throws Node's errors, and where there are too many files. */
  async open(client: string): Promise<FileHandle> {
    const { folder, reserve } = this.#options
    const own = this.#clients.find(client)
    const areMany = this.#files >= this.#maxFiles || own.files >= this.#maxFiles / 2
    if (reserve.isReleased || areMany) throw new Error('file descriptors are short')
    this.#files++
    own.files++
    try {
      const file = await openIn(folder)
      reserve.watch(file.fd)
      return file
    } catch (error) {
      this.#giveFileBack(client)
      throw error
    }
  }

  /** `bytes` of it are counted for the client. */
  async close(file: FileHandle, bytes: number, client: string): Promise<void> {
    try {
      await this.operate(() => file.close())
    } catch (error) {
      this.warn(error)
    }
    this.#giveFileBack(client)
    this.giveDiskBack(bytes, client)
  }

  #giveFileBack(client: string): void {
    this.#files--
    this.#clients.find(client).files--
  }

  /** Runs an operation on a file as soon as it is its turn. */
  operate<T>(run: () => Promise<T>): Promise<T> {
    return this.#operations.take(run)
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
