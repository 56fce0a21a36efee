/** Where access lines go. Nothing here blocks: what cannot be taken is dropped and counted. */
import type { LogDestination } from './log-destination.ts'

export type LineSink = {
  /** Lines that were dropped since the start. */
  readonly dropped: number
  /** Each ends with a line feed. */
  write(lines: readonly string[]): void
  /** Calls `done` when all lines so far are written or dropped; a stalled receiver delays it for ever. */
  flush(done: () => void): void
  /** Begins anew with what stands at the place now, as after a rotation. */
  reopen(): void
  close(): void
}

/** Standard output, which the log of the process has too: the destination counts what it drops of both. */
export function createLogSink(destination: LogDestination): LineSink {
  return {
    dropped: 0,
    write: (lines) => destination.write(lines.join(''), lines.length),
    flush: (done) => destination.flush(done),
    reopen: () => {},
    close: () => {},
  }
}
