/**
 * A file of lines that several processes write: each appends whole lines by one write, which the kernel does not mix with those of
 * others (O_APPEND).
 */
import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import type { LineSink } from './line-sink.ts'
import { LogDestination } from './log-destination.ts'
import { Trouble } from './trouble.ts'

/** Milliseconds until a file that cannot be opened is tried again. */
const RETRY = 5_000
/** Readable by the group, as other servers have it. */
const MODE = 0o640
/** Without NONBLOCK, a FIFO that nobody reads would hold up the process. */
const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK | constants.O_NOCTTY

export type LogFileOptions = Readonly<{
  path: string
  /** The file cannot be opened; told once, until it can. */
  onTrouble: (reason: string) => void
  /** Most bytes waiting to be written. */
  maxPending?: number
}>

export class LogFile implements LineSink {
  readonly #options: LogFileOptions
  #open: Readonly<{ fd: number; destination: LogDestination }> | undefined
  /** Of files that were open before, and while none was. */
  #lost = 0
  readonly #trouble: Trouble
  #timer: NodeJS.Timeout | undefined

  constructor(options: LogFileOptions) {
    this.#options = options
    this.#trouble = new Trouble(options.onTrouble)
    this.reopen()
  }

  get dropped(): number {
    return this.#lost + (this.#open?.destination.dropped ?? 0)
  }

  write(lines: readonly string[]): void {
    if (this.#open) this.#open.destination.write(lines.join(''), lines.length)
    else this.#lost += lines.length
  }

  flush(done: () => void): void {
    if (this.#open) this.#open.destination.flush(done)
    else done()
  }

  /** Where the file cannot be opened, the one before stays. */
  reopen(): void {
    clearTimeout(this.#timer)
    const { path, maxPending } = this.#options
    try {
      const fd = openSync(path, FLAGS, MODE)
      if (fstatSync(fd).isFIFO()) {
        closeSync(fd)
        throw new Error(`${path} is a pipe, not a file`)
      }
      this.#leave()
      const destination = new LogDestination({ fd, isForeign: true, ...(maxPending !== undefined && { maxPending }) })
      this.#open = { fd, destination }
      this.#trouble.end()
    } catch (error) {
      this.#trouble.meet(error as Error)
      this.#timer = setTimeout(() => this.reopen(), RETRY).unref()
    }
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#leave()
  }

  /** Lines that wait are written first. */
  #leave(): void {
    const left = this.#open
    this.#open = undefined
    left?.destination.flush(() => {
      this.#lost += left.destination.dropped
      closeSync(left.fd)
    })
  }
}
