/** Writing bytes that are lent: copied first, since a stream may hold what it was given until the other side takes it. HOT */
import type { Writable } from 'node:stream'

/** What one read brings at most. */
const SIZE = 65_536
/** From here on a copy is worth a buffer of full size that is used again: garbage outside the heap makes V8 collect all of it. */
const LARGE = SIZE / 2
const MAX_FREE = 64

const free: Buffer[] = []

/** What `to.write` says. `onTaken` is called when the stream is done with the bytes, as its callback is. */
export function writeLent(to: Writable, bytes: Buffer, onTaken?: (error?: Error | null) => void): boolean {
  if (bytes.length < LARGE || bytes.length > SIZE) return to.write(Buffer.from(bytes), onTaken)
  const buffer = free.pop() ?? Buffer.allocUnsafeSlow(SIZE)
  bytes.copy(buffer)
  return to.write(bytes.length === SIZE ? buffer : buffer.subarray(0, bytes.length), (error) => {
    if (free.length < MAX_FREE) free.push(buffer)
    onTaken?.(error)
  })
}
