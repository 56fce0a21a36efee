/**
 * Checks the request line (RFC 9112 §3) before node:http reads it. llhttp takes several spaces for one, and other protocols for
 * HTTP (`SOURCE /x ICE/1.0`), and node:http does not show afterwards how the line was written. HOT
 */
import { METHODS } from 'node:http'
import { CR, IS_TOKEN, LF, SPACE } from './bytes.ts'

/** `read`: no request line of HTTP. */
export const MALFORMED_LINE = -1
/** `read`: its method is longer than any needs to be. */
export const METHOD_TOO_LONG = -2

/** Any token is a method (RFC 9110 §9.1); of those that are registered the longest has 17 bytes. */
export const MAX_METHOD_BYTES = 64

const KNOWN_METHODS = new Set(METHODS)

const METHOD = 0
const TARGET_START = 1
const TARGET = 2
/** And so on, one for each byte of `VERSION`. */
const VERSION_START = 3
/** `0` is any digit: which versions are served is said later. */
const VERSION = Buffer.from('HTTP/0.0\r\n')
const OVER = VERSION_START + VERSION.length
const ZERO = 0x30

export class RequestLine {
  /** The method, where node:http has no name for it. */
  unknownMethod: string | undefined = undefined
  /** Where such a method ended in the bytes that were read last; -1: none ended there. */
  unknownEnd: number = -1
  #state = METHOD

  /** Begins another one. */
  reset(): void {
    this.unknownMethod = undefined
    this.unknownEnd = -1
    this.#state = METHOD
  }

  get isOver(): boolean {
    return this.#state === OVER
  }

  /**
   * Reads on at `start`. Returns the index behind what is good so far, or one of the negative codes. A method is nothing before
   * the space behind it has come: until then the same bytes are to be given again, with those that follow.
   */
  read(bytes: Buffer, start: number): number {
    const size = bytes.length
    let at = start
    this.unknownEnd = -1
    if (this.#state === METHOD) {
      // Empty lines before a request are nobody's (RFC 9112 §2.2).
      while (at < size && (bytes[at] === CR || bytes[at] === LF)) at++
      const method = at
      while (at < size && IS_TOKEN[bytes[at]!] === 1) at++
      if (at - method > MAX_METHOD_BYTES) return METHOD_TOO_LONG
      if (at === size) return method
      if (bytes[at] !== SPACE || at === method) return MALFORMED_LINE
      const name = bytes.toString('latin1', method, at)
      // What begins with this is HTTP/2 (RFC 9113 §3.4).
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
