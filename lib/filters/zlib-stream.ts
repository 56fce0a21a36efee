/** node:zlib as the stream that a body passes. HOT */
import { Duplex } from 'node:stream'
import type { BrotliCompress, BrotliDecompress, Gunzip, Gzip, Inflate } from 'node:zlib'

/** Bytes that wait at each of its ends. */
const WAITING_BYTES = 16_384

export type ZlibStreamOptions = Readonly<{
  /** A flush of this kind passes on what has come, so many milliseconds after the first byte of it; undefined: the engine holds nothing back. */
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
  let timer: NodeJS.Timeout | undefined
  const stream = new Duplex({
    readableHighWaterMark: WAITING_BYTES,
    writableHighWaterMark: WAITING_BYTES,
    write(chunk: Buffer, _encoding, done) {
      // After a fault `done` is not called: the event says it.
      engine.write(chunk, (error) => {
        if (!error) done()
      })
      if (flush === undefined) return
      timer ??= setTimeout(() => {
        timer = undefined
        engine.flush(flush.kind)
      }, flush.after)
    },
    final(done) {
      isInputEnded = true
      clearTimeout(timer)
      engine.end()
      done()
    },
    read() {
      engine.resume()
    },
    destroy(error, done) {
      clearTimeout(timer)
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
