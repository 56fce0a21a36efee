/** node:zlib as the stream that a body passes. HOT */
import { Duplex } from 'node:stream'
import { constants, type Gunzip, type Gzip } from 'node:zlib'

/** Bytes that wait at each of its ends. */
const WAITING_BYTES = 16_384

export type ZlibStreamOptions = Readonly<{
  /** After so many milliseconds without input, what came before is passed on; undefined: the engine holds nothing back. */
  flushAfter?: number
  /** Sees all that comes out; an error ends the stream. */
  check?: (chunk: Buffer) => Error | undefined
  /** What an error of the engine means. */
  explain?: (error: Error) => Error
}>

/** The engine belongs to the stream, and ends with it. */
export function createZlibStream(engine: Gzip | Gunzip, options: ZlibStreamOptions): Duplex {
  const { flushAfter, check, explain = (error) => error } = options
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
      if (flushAfter === undefined) return
      if (idle === undefined) idle = setTimeout(() => engine.flush(constants.Z_SYNC_FLUSH), flushAfter)
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
