/**
 * Engines of node:zlib without their streams: they work at once in the thread that asks. A stream hands each chunk to another thread,
 * which costs several times as much as a small chunk itself. HOT
 */
import type { BrotliCompress, Gzip } from 'node:zlib'

/** A compressing stream of node:zlib. */
export type ZlibStream = Gzip | BrotliCompress

type Handle = {
  /** Leaves in the state how many bytes of output and of input are left. */
  writeSync(
    flush: number,
    input: Buffer,
    inputAt: number,
    inputLength: number,
    output: Buffer,
    outputAt: number,
    outputLength: number,
  ): void
}

/** All engines write here: what comes out is lent. */
const output = Buffer.allocUnsafe(65_536)

export class ZlibEngine {
  readonly #stream: ZlibStream
  readonly #handle: Handle
  readonly #state: Uint32Array

  private constructor(stream: ZlibStream, handle: Handle, state: Uint32Array) {
    this.#stream = stream
    this.#handle = handle
    this.#state = state
  }

  /** Undefined if the streams of this Node are made of something else; the stream is closed then. */
  static open(stream: ZlibStream): ZlibEngine | undefined {
    const { _handle: handle, _writeState: state } = stream as unknown as {
      _handle?: Partial<Handle> | null
      _writeState?: unknown
    }
    if (typeof handle?.writeSync === 'function' && state instanceof Uint32Array && state.length >= 2) {
      return new ZlibEngine(stream, handle as Handle, state)
    }
    stream.close()
    return undefined
  }

  /** `flush` is a constant of node:zlib. What comes out is given piece by piece, each lent for the time of the call. */
  process(input: Buffer, flush: number, give: (lent: Buffer) => void): void {
    let at = 0
    for (;;) {
      this.#handle.writeSync(flush, input, at, input.length - at, output, 0, output.length)
      const room = this.#state[0]!
      at = input.length - this.#state[1]!
      if (room < output.length) give(output.subarray(0, output.length - room))
      // Room that is left says that nothing more comes of what went in.
      if (room > 0) return
    }
  }

  /** For another body. */
  reset(): void {
    // The types lack it.
    ;(this.#stream as unknown as { reset(): void }).reset()
  }

  close(): void {
    this.#stream.close()
  }
}
