/** node:zlib as the stream that a body passes. HOT */
import { Duplex } from 'node:stream'
import type { BrotliCompress, BrotliDecompress, Gunzip, Gzip, Inflate } from 'node:zlib'

/** Bytes that wait at each of its ends. */
const WAITING_BYTES = 16_384

export type ZlibStreamOptions = Readonly<{
  /** After so many milliseconds without input, what came before is passed on, by a flush of this kind; undefined: the engine holds nothing back. */
  flush?: Readonly<{ after: number; kind: number }>
  /** Sees all that comes out; an error ends the stream. */
  check?: (chunk: Buffer) => Error | undefined
  /** What an error of the engine means. */
  explain?: (error: Error) => Error
}>

/** The engine belongs to the stream, and ends with it. */
export function createZlibStream(
  engine: Gzip | BrotliCompress | Gunzip | Inflate | BrotliDecompress,
  options: ZlibStreamOptions,
): Duplex {
  const { flush, check, explain = (error) => error } = options
  let isInputEnded = false
  let idle: NodeJS.Timeout | undefined
  const stream = new Duplex({
    readableHighWaterMark: WAITING_BYTES,
    writableHighWaterMark: WAITING_BYTES,
    write(chunk: Buffer, _encoding, done) {
      // After a fault `done` is not called: the event says it.
      engine.write(chunk, (error) => {
        if (!error) done()
      })
      if (flush === undefined) return
      if (idle === undefined) idle = setTimeout(() => engine.flush(flush.kind), flush.after)
      else idle.refresh()
    },
    final(done) {
      isInputEnded = true
      clearTimeout(idle)
      engine.end()
      done()
    },
    read() {
      engine.resume()
    },
    destroy(error, done) {
      clearTimeout(idle)
      engine.destroy()
      done(error)
    },
  })
  engine.on('data', (chunk: Buffer) => {
    const fault = check?.(chunk)
    if (fault !== undefined) stream.destroy(fault)
    else if (!stream.push(chunk)) engine.pause()
  })
  engine.on('end', () => {
    if (isInputEnded) stream.push(null)
    else stream.destroy(explain(new Error('bytes follow the end')))
  })
  engine.on('error', (error) => stream.destroy(explain(error)))
  return stream
}
