/**
 * A body that is kept for the slower side, in the order in which it came: its end in memory, and all before that in a file once memory
 * does not take more.
 */
import type { FileHandle } from 'node:fs/promises'
import { contain, type Victim } from '../base/contain.ts'
import { borrowBuffer, giveBack } from '../platform/lent-bytes.ts'
import { KeptBody } from './kept-body.ts'
import type { Spools } from './spools.ts'

export type SpoolUser = Victim & {
  /** Takes the next bytes of the body, which are lent. False: it takes no more until it calls `resume`. */
  takeSpooled(chunk: Buffer): boolean
  /** All that was written has been taken; there may be more after the next `resume`. */
  onSpoolEmpty(): void
  /** `write` returned false, and there is room again. */
  onSpoolRoom(): void
  /** `write` returned false, and there will be no room as long as nothing is taken; `why` is for the log. */
  onSpoolFull(why: string): void
  /** Bytes in the file cannot be read any more. */
  onSpoolLost(error: Error): void
}

export class Spool {
  readonly #spools: Spools
  /** The network of the client whose share of the files it takes. */
  readonly #client: string
  readonly #user: SpoolUser
  /** Bytes that the file may have. */
  readonly #maxFileBytes: number
  #file: FileHandle | undefined = undefined
  /** Bytes of the body in the file, from its start on. */
  #filed = 0
  /** Bytes that are counted for the file: as long as it ever was. */
  #fileBytes = 0
  /** Behind the bytes in the file: what is being written there, or could not be. */
  #leaving: KeptBody | undefined = undefined
  /** What came last. */
  #tail: KeptBody
  /** Bytes that are counted for memory. */
  #memoryBytes = 0
  #isWriting = false
  #isReading = false
  /** Why the file cannot be written. */
  #fault: string | undefined = undefined
  /** The last `write` returned false. */
  #isFull = false
  /** The user takes bytes. */
  #isFlowing = false
  /** Bytes that the user was given. */
  #position = 0
  #isOver = false

  /** `client` is a network (base/client-network). */
  constructor(spools: Spools, client: string, user: SpoolUser, maxFileBytes: number) {
    this.#spools = spools
    this.#client = client
    this.#user = user
    this.#maxFileBytes = maxFileBytes
    this.#tail = new KeptBody(spools.limits.bodyMemory)
  }

  /** Bytes that were written since the start, or since `clear`. */
  get length(): number {
    return this.#filed + (this.#leaving?.length ?? 0) + this.#tail.length
  }

  /** Bytes that the user has yet to take. */
  get waitingBytes(): number {
    return this.length - this.#position
  }

  get hasRoom(): boolean {
    return !this.#isFull
  }

  /** Keeps a copy of all of the chunk. False: nothing more is to come until `onSpoolRoom` or `onSpoolEmpty`. */
  write(chunk: Buffer): boolean {
    if (this.#tail.length > 0 && this.#tail.length + chunk.length > this.#spools.spillBytes) this.#spill()
    this.#tail.add(chunk)
    this.#count()
    this.#makeRoom()
    return !this.#isFull
  }

  /** Gives the user the body from its first byte on. */
  rewind(): void {
    this.#position = 0
    this.resume()
  }

  /** Gives the user the next bytes. */
  resume(): void {
    this.#isFlowing = true
    this.#pump()
  }

  /** Gives the user nothing until `resume` or `rewind`. */
  stop(): void {
    this.#isFlowing = false
  }

  /** Begins anew, after all has been taken; the file keeps its length. */
  clear(): void {
    // What is on its way to the file was taken from memory.
    if (this.#isWriting) return
    this.#filed = 0
    this.#position = 0
    this.#leaving?.drop()
    this.#leaving = undefined
    this.#tail.drop()
    this.#isFull = false
    this.#count()
  }

  /** Nothing of it is used any more. */
  drop(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#tail.drop()
    if (!this.#isWriting) this.#dropLeaving()
    this.#count()
    this.#leaveFile()
  }

  // Into the file

  /** Sees to it that more can be written, or says why not. */
  #makeRoom(): void {
    const { spillBytes, hasMemory } = this.#spools
    const refused = this.#tail.length > spillBytes ? this.#spill() : undefined
    const isStuck = this.#isWriting || refused !== undefined
    const isFull = (isStuck && this.#tail.length >= spillBytes) || !hasMemory
    this.#isFull = isFull
    if (!isFull || this.#isWriting) return
    this.#user.onSpoolFull(refused ?? 'buffering.memory is used up')
  }

  /** Sends what is in memory to the file; returns why not, where it cannot be. */
  #spill(): string | undefined {
    if (this.#isWriting) return undefined
    if (this.#fault !== undefined) return this.#fault
    const size = this.#filed + this.#tail.length
    if (size > this.#maxFileBytes) return `more than ${this.#maxFileBytes} bytes wait`
    if (size > this.#fileBytes) {
      if (!this.#spools.takeDisk(size - this.#fileBytes, this.#client)) return 'buffering.disk is used up'
      this.#fileBytes = size
    }
    this.#leaving = this.#tail
    this.#tail = new KeptBody(this.#spools.limits.bodyMemory)
    this.#isWriting = true
    void this.#writeOut(this.#leaving)
    return undefined
  }

  async #writeOut(leaving: KeptBody): Promise<void> {
    let isWritten = false
    try {
      await this.#spools.operate(async () => {
        if (this.#isOver) return
        this.#file ??= await this.#spools.open(this.#client)
        await writeAll(this.#file, leaving.bytes, this.#filed)
        isWritten = true
      })
    } catch (error) {
      this.#fault = `the file cannot be written: ${String(error)}`
      this.#spools.warn(error)
    }
    this.#isWriting = false
    if (isWritten) this.#filed += leaving.length
    if (isWritten || this.#isOver) this.#dropLeaving()
    this.#count()
    if (this.#isOver) this.#leaveFile()
    else this.#contain(() => this.#onWritten())
  }

  #onWritten(): void {
    const wasFull = this.#isFull
    if (wasFull) this.#makeRoom()
    if (this.#isOver) return
    if (wasFull && !this.#isFull) this.#user.onSpoolRoom()
    this.#pump()
  }

  #dropLeaving(): void {
    this.#leaving?.drop()
    this.#leaving = undefined
  }

  // To the user

  #pump(): void {
    while (this.#isFlowing && !this.#isReading && !this.#isOver) {
      if (this.#position < this.#filed) void this.#readOn()
      else if (this.#position < this.length) this.#give(this.#findInMemory())
      else {
        this.#isFlowing = false
        this.#user.onSpoolEmpty()
      }
    }
  }

  #findInMemory(): Buffer {
    const at = this.#position - this.#filed
    const leaving = this.#leaving?.bytes
    if (leaving === undefined) return this.#tail.bytes.subarray(at)
    return at < leaving.length ? leaving.subarray(at) : this.#tail.bytes.subarray(at - leaving.length)
  }

  #give(chunk: Buffer): void {
    this.#position += chunk.length
    if (!this.#user.takeSpooled(chunk)) this.#isFlowing = false
  }

  async #readOn(): Promise<void> {
    this.#isReading = true
    const from = this.#position
    const buffer = borrowBuffer()
    let read: number | Error = 0
    try {
      read = await this.#spools.operate(() => this.#read(buffer, from))
    } catch (error) {
      read = error as Error
    }
    this.#isReading = false
    if (this.#isOver) this.#leaveFile()
    else this.#contain(() => this.#onRead(buffer, from, read))
    giveBack(buffer)
  }

  async #read(buffer: Buffer, from: number): Promise<number> {
    if (this.#isOver) return 0
    const { bytesRead } = await this.#file!.read(buffer, 0, Math.min(buffer.length, this.#filed - from), from)
    if (bytesRead === 0) throw new Error('the file has become shorter')
    return bytesRead
  }

  #onRead(buffer: Buffer, from: number, read: number | Error): void {
    if (typeof read !== 'number') this.#user.onSpoolLost(read)
    else {
      // The body may be given from its start again by now, or to nobody.
      if (this.#isFlowing && this.#position === from) this.#give(buffer.subarray(0, read))
      this.#pump()
    }
  }

  // Accounts

  #count(): void {
    const bytes = this.#tail.size + (this.#leaving?.size ?? 0)
    this.#spools.countMemory(bytes - this.#memoryBytes)
    this.#memoryBytes = bytes
  }

  /** Closes the file as soon as nothing is under way to it or from it. */
  #leaveFile(): void {
    if (this.#isWriting || this.#isReading) return
    const bytes = this.#fileBytes
    this.#fileBytes = 0
    if (this.#file !== undefined) void this.#spools.close(this.#file, bytes, this.#client)
    else this.#spools.giveDiskBack(bytes, this.#client)
    this.#file = undefined
  }

  #contain(run: () => void): void {
    try {
      run()
    } catch (thrown) {
      contain('buffer', thrown, this.#user)
    }
  }
}

async function writeAll(file: FileHandle, bytes: Buffer, from: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at, from + at)
    at += bytesWritten
  }
}
