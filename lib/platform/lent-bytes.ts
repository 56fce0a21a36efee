/**
 * Bytes that are lent: all plain connections read into one buffer, each read used up before the next, since a buffer for
 * every read costs more than a copy of the few bytes that are kept. HOT
 */
import type { Writable } from 'node:stream'

/** What one read brings at most. */
const SIZE = 65_536
/** For the option `onread` of node:net, and what does the same (platform/lent-read). */
export const READ_BUFFER: Buffer = Buffer.allocUnsafeSlow(SIZE)
/** The beginnings of that buffer that are asked for again and again, by their length. */
const beginnings: (Buffer | undefined)[] = new Array(4096).fill(undefined)

/** The bytes that a read of this size has brought. */
export function findLent(size: number): Buffer {
  if (size >= beginnings.length) return READ_BUFFER.subarray(0, size)
  beginnings[size] ??= READ_BUFFER.subarray(0, size)
  return beginnings[size]
}

/** From here on a copy is worth a buffer of full size that is used again: garbage outside the heap makes V8 collect all of it. */
const LARGE = SIZE / 2
const MAX_FREE = 64

const free: Buffer[] = []

/** A buffer that holds what one read brings at most; it is to be given back after its last use. */
export function borrowBuffer(): Buffer {
  return free.pop() ?? Buffer.allocUnsafeSlow(SIZE)
}

export function giveBack(buffer: Buffer): void {
  if (free.length < MAX_FREE) free.push(buffer)
}

/** True if this number of bytes is worth a borrowed buffer, and fits. */
export function fitsBorrowed(length: number): boolean {
  return length >= LARGE && length <= SIZE
}

/**
 * Writes bytes that are lent: copied first, since a stream may hold what it was given until the other side takes it. Returns
 * what `to.write` says. `onTaken` is called when the stream is done with the bytes, as its callback is.
 */
export function writeLent(to: Writable, bytes: Buffer, onTaken?: (error?: Error | null) => void): boolean {
  if (!fitsBorrowed(bytes.length)) return to.write(Buffer.from(bytes), onTaken)
  const buffer = borrowBuffer()
  bytes.copy(buffer)
  return to.write(bytes.length === SIZE ? buffer : buffer.subarray(0, bytes.length), (error) => {
    giveBack(buffer)
    onTaken?.(error)
  })
}
