/**
 * The destination of log lines: a file descriptor, written in the background. A full disk, a closed pipe or a stalled reader costs
 * lines, never traffic (LC-13).
 */
import { fstatSync, write } from 'node:fs'
import { Socket } from 'node:net'

/** Most bytes waiting to be written. */
const MAX_PENDING = 8 * 1024 * 1024
/** Milliseconds until a full pipe is tried again. */
const RETRY = 50
/** Most bytes that a pipe takes in one piece (PIPE_BUF of Linux), so that lines of several processes stay whole unless longer. */
const MAX_ATOMIC = 4096
/** Bytes of the buffer that is used again for each write. */
const BUFFER_SIZE = 262_144
/** Most bytes of UTF-8 for a unit of a string. */
const MAX_UNIT_BYTES = 3
const LINE_FEED = 0x0a

type Write = (bytes: Buffer, done: (error: NodeJS.ErrnoException | null, written: number) => void) => void

export type LogDestinationOptions = {
  fd: number
  /** Most bytes waiting to be written; further lines are dropped. */
  maxPending?: number
  /** Its lines are of another form than those of the log: no line tells of those that were dropped. */
  isForeign?: boolean
}

export class LogDestination {
  /** Lines that were dropped since the start. */
  dropped = 0
  readonly #write: Write
  readonly #maxPending: number
  readonly #isForeign: boolean
  /** Memory that is new costs more than to print a line into it. */
  #buffer: Buffer | undefined
  #texts: string[] = []
  /** Lines in these texts. */
  #count = 0
  #pending = 0
  #isWriting = false
  /** Dropped lines that the log does not report yet. */
  #unreported = 0
  #isBroken = false
  #waiting: (() => void)[] = []

  constructor({ fd, maxPending = MAX_PENDING, isForeign = false }: LogDestinationOptions) {
    this.#write = isPipe(fd) ? pipeWriter(fd) : (bytes, done) => write(fd, bytes, done)
    this.#maxPending = maxPending
    this.#isForeign = isForeign
  }

  /** `text` is so many lines, each of which ends with a line feed. */
  write(text: string, lines: number = 1): void {
    if (this.#isBroken || this.#pending + text.length > this.#maxPending) {
      this.#drop(lines)
      return
    }
    this.#texts.push(text)
    this.#count += lines
    this.#pending += text.length
    if (!this.#isWriting) this.#writeNext()
  }

  /** Calls `done` when all lines so far are written or dropped; a stalled reader delays it for ever. */
  flush(done: () => void): void {
    if (this.#isWriting) this.#waiting.push(done)
    else done()
  }

  #writeNext(): void {
    if (this.#texts.length === 0) {
      this.#isWriting = false
      for (const done of this.#waiting.splice(0)) done()
      return
    }
    this.#isWriting = true
    const count = this.#count
    const reported = this.#isForeign ? 0 : this.#unreported
    if (reported > 0) {
      const report = { level: 'warn', time: new Date().toISOString(), lines: reported, msg: 'log lines were dropped' }
      this.#texts.unshift(`${JSON.stringify(report)}\n`)
      this.#unreported = 0
    }
    const bytes = this.#encode(this.#texts.join(''))
    this.#texts = []
    this.#count = 0
    this.#writeBytes(bytes, count, reported)
  }

  /** Good until the write ends: one is under way at a time. */
  #encode(text: string): Buffer {
    if (text.length * MAX_UNIT_BYTES > BUFFER_SIZE) return Buffer.from(text)
    this.#buffer ??= Buffer.allocUnsafeSlow(BUFFER_SIZE)
    return this.#buffer.subarray(0, this.#buffer.write(text))
  }

  /** Writes `count` lines, behind a report of `reported` dropped ones. */
  #writeBytes(bytes: Buffer, count: number, reported: number): void {
    this.#write(bytes, (error, written) => {
      if (error?.code === 'EAGAIN' || error?.code === 'EBUSY') {
        setTimeout(() => this.#writeBytes(bytes, count, reported), RETRY).unref()
        return
      }
      if (error) {
        // Only a full disk can recover; all other errors are final.
        if (!['ENOSPC', 'EDQUOT', 'EIO'].includes(error.code ?? '')) this.#isBroken = true
        this.#drop(count)
        this.#unreported += reported
      } else if (written < bytes.length) {
        this.#writeBytes(bytes.subarray(written), count, reported)
        return
      }
      this.#pending = 0
      for (const text of this.#texts) this.#pending += text.length
      this.#writeNext()
    })
  }

  #drop(count: number): void {
    this.dropped += count
    this.#unreported += count
  }
}

function isPipe(fd: number): boolean {
  try {
    const stat = fstatSync(fd)
    return stat.isFIFO() || stat.isSocket()
  } catch {
    return false // A closed descriptor: each write reports it.
  }
}

/**
 * Writes a pipe without blocking: a thread that waits in write(2) for a stalled reader could not be stopped, and the process would
 * never end. It writes one part after the other, since a stream would join waiting parts.
 */
function pipeWriter(fd: number): Write {
  const socket = new Socket({ fd, readable: false, writable: true })
  socket.on('error', () => {}) // Each write reports it.
  socket.unref()
  return (bytes, done) => {
    const end = findPartEnd(bytes)
    socket.write(bytes.subarray(0, end), (error) => done(error ?? null, end))
  }
}

/** The end of the whole lines that a pipe takes at once. */
function findPartEnd(bytes: Buffer): number {
  if (bytes.length <= MAX_ATOMIC) return bytes.length
  const end = bytes.lastIndexOf(LINE_FEED, MAX_ATOMIC - 1)
  return (end >= 0 ? end : bytes.indexOf(LINE_FEED, MAX_ATOMIC)) + 1
}
