/**
 * Checks the request line (RFC 9112 §3) before node:http reads it. llhttp takes several spaces for one, and other protocols for
 * HTTP (`SOURCE /x ICE/1.0`), and node:http does not show the line as it was written. HOT
 */
import { METHODS } from 'node:http'
import { CR, IS_TOKEN, LF, SPACE } from './bytes.ts'

/** `read`: the line is not a request line of HTTP. */
export const MALFORMED_LINE = -1
/** `read`: the method is longer than MAX_METHOD_BYTES. */
export const METHOD_TOO_LONG = -2

/** Any token is a method (RFC 9110 §9.1); the longest registered one has 17 bytes. */
export const MAX_METHOD_BYTES = 64

const KNOWN_METHODS = new Set(METHODS)

const METHOD = 0
const TARGET_START = 1
const TARGET = 2
/** The first of the states that follow, one for each byte of `VERSION`. */
const VERSION_START = 3
/** `0` stands for any digit: a later check says which versions are served. */
const VERSION = Buffer.from('HTTP/0.0\r\n')
const OVER = VERSION_START + VERSION.length
const ZERO = 0x30

export class RequestLine {
  /** The method, if node:http does not know it. */
  unknownMethod: string | undefined = undefined
  /** The index behind such a method in the bytes read last; -1 if none ended there. */
  unknownEnd: number = -1
  #state = METHOD

  /** Starts over with another line. */
  reset(): void {
    this.unknownMethod = undefined
    this.unknownEnd = -1
    this.#state = METHOD
  }

  get isOver(): boolean {
    return this.#state === OVER
  }

  /**
   * Reads on at `start`. Returns the index behind the part that is valid so far, or one of the negative codes. A method is read
   * only with the space behind it: until that has come, the caller passes the same bytes again, with those that follow.
   */
  read(bytes: Buffer, start: number): number {
    const size = bytes.length
    let at = start
    this.unknownEnd = -1
    if (this.#state === METHOD) {
      // Empty lines before a request are skipped (RFC 9112 §2.2).
      while (at < size && (bytes[at] === CR || bytes[at] === LF)) at++
      const method = at
      while (at < size && IS_TOKEN[bytes[at]!] === 1) at++
      if (at - method > MAX_METHOD_BYTES) return METHOD_TOO_LONG
      if (at === size) return method
      if (bytes[at] !== SPACE || at === method) return MALFORMED_LINE
      const name = bytes.toString('latin1', method, at)
      // The connection preface of HTTP/2 begins with this (RFC 9113 §3.4).
      if (name === 'PRI') return MALFORMED_LINE
      if (!KNOWN_METHODS.has(name)) {
        this.unknownMethod = name
        this.unknownEnd = at
      }
      at++
      this.#state = TARGET_START
    }
    if (this.#state === TARGET_START || this.#state === TARGET) {
      if (at === size) return at
      const target = at
      while (at < size && isVisible(bytes[at]!)) at++
      if (at > target) this.#state = TARGET
      if (at === size) return at
      if (bytes[at] !== SPACE || this.#state === TARGET_START) return MALFORMED_LINE
      at++
      this.#state = VERSION_START
    }
    for (; at < size && this.#state < OVER; at++, this.#state++) {
      const byte = bytes[at]!
      const wanted = VERSION[this.#state - VERSION_START]!
      if (wanted === ZERO ? byte < ZERO || byte > ZERO + 9 : byte !== wanted) return MALFORMED_LINE
    }
    return at
  }
}

function isVisible(byte: number): boolean {
  return byte > SPACE && byte < 0x7f
}
