/**
 * Decodes chunked transfer coding (RFC 9112 §7.1), strictly and piece by piece: only CRLF ends a line, no space stands where the
 * grammar has none, every size is exact. llhttp in strict mode accepts every message that this accepts, and reads the same. HOT
 */
import { COLON, CR, IS_TOKEN, IS_VALUE, LF } from './bytes.ts'
import { trimSpace } from './field-line.ts'

/** `decode`: all bytes were used, and the message goes on. */
export const MORE = -1
/** `decode`: the message is not chunked correctly, so no later byte can be trusted either. The same holds for the two codes below. */
export const INVALID = -2
/** `decode`: more than MAX_EXTENSION_BYTES of extensions. */
export const EXTENSIONS_TOO_LARGE = -3
/** `decode`: more than MAX_TRAILERS trailers, or MAX_TRAILER_BYTES of them. */
export const TRAILERS_TOO_LARGE = -4

/** More hexadecimal digits than these could lose exactness. */
const MAX_SIZE_DIGITS = 13
/** Most bytes of all extensions of one message (llhttp allows as many for each chunk). */
const MAX_EXTENSION_BYTES = 16_384
/** Most trailers of one message, and most bytes of their lines. */
export const MAX_TRAILERS = 100
export const MAX_TRAILER_BYTES = 16_384

const SIZE = 0
const SIZE_LF = 1
const EXTENSION_NAME = 2
const EXTENSION_VALUE = 3
const EXTENSION_QUOTED = 4
const EXTENSION_ESCAPED = 5
const EXTENSION_END = 6
const DATA = 7
const DATA_CR = 8
const DATA_LF = 9
const TRAILER_START = 10
const TRAILER_NAME = 11
const TRAILER_VALUE = 12
const TRAILER_LF = 13
const END_LF = 14

const SEMICOLON = 0x3b
const EQUALS = 0x3d
const QUOTE = 0x22
const BACKSLASH = 0x5c

const NO_TRAILERS: readonly string[] = Object.freeze([])

export class ChunkedDecoder {
  /**
   * The content found by the last `decode`, chunks joined; undefined if there was none. It shares its memory with `bytes`:
   * `decode` overwrites the part that it has read.
   */
  data: Buffer | undefined = undefined
  /** Names and values in turn; complete when `decode` has found the end. */
  trailers: readonly string[] = NO_TRAILERS
  #state = SIZE
  /** The chunk's digits read so far, and its bytes still missing. */
  #digits = 0
  #left = 0
  /** Bytes of the present name or value of an extension. */
  #length = 0
  #extensionBytes = 0
  #trailerBytes = 0
  #name = ''
  #value = ''
  #found: string[] | undefined = undefined

  /** Starts over with another message. */
  reset(): void {
    this.data = undefined
    this.trailers = NO_TRAILERS
    this.#state = SIZE
    this.#digits = 0
    this.#left = 0
    this.#length = 0
    this.#extensionBytes = 0
    this.#trailerBytes = 0
    this.#name = ''
    this.#value = ''
    this.#found = undefined
  }

  /** Reads on at `start`. Returns the index behind the message's end, or one of the negative codes above. */
  decode(bytes: Buffer, start: number): number {
    const stop = bytes.length
    // Content found so far, moved together: [from, to).
    let from = start
    let to = start
    let at = start
    this.data = undefined
    while (at < stop) {
      const byte = bytes[at]!
      switch (this.#state) {
        case SIZE: {
          const digit = hexDigit(byte)
          if (digit >= 0) {
            // Leading zeros do not count as digits.
            this.#digits = this.#left === 0 ? 1 : this.#digits + 1
            if (this.#digits > MAX_SIZE_DIGITS) return INVALID
            this.#left = this.#left * 16 + digit
          } else if (this.#digits === 0) return INVALID
          else if (byte === CR) this.#state = SIZE_LF
          else if (byte === SEMICOLON) this.#startExtension(EXTENSION_NAME)
          else return INVALID
          at++
          break
        }
        case SIZE_LF:
          if (byte !== LF) return INVALID
          this.#digits = 0
          this.#state = this.#left === 0 ? TRAILER_START : DATA
          at++
          break
        case DATA: {
          const end = Math.min(stop, at + this.#left)
          this.#left -= end - at
          if (to === from) from = to = at
          else if (to !== at) bytes.copyWithin(to, at, end)
          to += end - at
          at = end
          if (this.#left === 0) this.#state = DATA_CR
          break
        }
        case DATA_CR:
          if (byte !== CR) return INVALID
          this.#state = DATA_LF
          at++
          break
        case DATA_LF:
          if (byte !== LF) return INVALID
          this.#state = SIZE
          at++
          break
        case END_LF:
          if (byte !== LF) return INVALID
          if (this.#found) this.trailers = this.#found
          if (to > from) this.data = bytes.subarray(from, to)
          return at + 1
        case TRAILER_START:
        case TRAILER_NAME:
        case TRAILER_VALUE:
        case TRAILER_LF:
          at = this.#readTrailer(bytes, at)
          if (at < 0) return at
          break
        default:
          if (++this.#extensionBytes > MAX_EXTENSION_BYTES) return EXTENSIONS_TOO_LARGE
          if (!this.#readExtension(byte)) return INVALID
          at++
      }
    }
    if (to > from) this.data = bytes.subarray(from, to)
    return MORE
  }

  #startExtension(state: number): void {
    this.#state = state
    this.#length = 0
  }

  /** Reads one byte of the extensions: `;name`, `;name=token` or `;name="quoted"`, repeated. */
  #readExtension(byte: number): boolean {
    switch (this.#state) {
      case EXTENSION_NAME:
      case EXTENSION_VALUE:
        if (IS_TOKEN[byte] === 1) {
          this.#length++
          return true
        }
        if (this.#length === 0) {
          if (byte !== QUOTE || this.#state === EXTENSION_NAME) return false
          this.#state = EXTENSION_QUOTED
          return true
        }
        if (byte === EQUALS && this.#state === EXTENSION_NAME) {
          this.#startExtension(EXTENSION_VALUE)
          return true
        }
        return this.#endExtension(byte)
      case EXTENSION_QUOTED:
        if (byte === QUOTE) this.#state = EXTENSION_END
        else if (byte === BACKSLASH) this.#state = EXTENSION_ESCAPED
        else return isQuotable(byte)
        return true
      case EXTENSION_ESCAPED:
        this.#state = EXTENSION_QUOTED
        return isQuotable(byte)
      default:
        return this.#endExtension(byte)
    }
  }

  #endExtension(byte: number): boolean {
    if (byte === SEMICOLON) this.#startExtension(EXTENSION_NAME)
    else if (byte === CR) this.#state = SIZE_LF
    else return false
    return true
  }

  /** Reads on in a trailer line; returns the index of the first byte not used, or a negative code. */
  #readTrailer(bytes: Buffer, start: number): number {
    let at = start
    switch (this.#state) {
      case TRAILER_START:
        if (bytes[at] === CR) {
          this.#state = END_LF
          return at + 1
        }
        this.#found ??= []
        if (this.#found.length >= 2 * MAX_TRAILERS) return TRAILERS_TOO_LARGE
        this.#state = TRAILER_NAME
        return at
      case TRAILER_NAME:
        while (at < bytes.length && IS_TOKEN[bytes[at]!] === 1) at++
        this.#name += bytes.toString('latin1', start, at)
        if (at < bytes.length) {
          if (bytes[at] !== COLON || this.#name === '' || isFraming(this.#name)) return INVALID
          this.#state = TRAILER_VALUE
          at++
        }
        break
      case TRAILER_VALUE:
        while (at < bytes.length && IS_VALUE[bytes[at]!] === 1) at++
        this.#value += bytes.toString('latin1', start, at)
        if (at < bytes.length) {
          if (bytes[at] !== CR) return INVALID
          this.#state = TRAILER_LF
          at++
        }
        break
      default:
        if (bytes[at] !== LF) return INVALID
        this.#found!.push(this.#name, trimSpace(this.#value))
        this.#name = ''
        this.#value = ''
        this.#state = TRAILER_START
        at++
    }
    this.#trailerBytes += at - start
    return this.#trailerBytes > MAX_TRAILER_BYTES ? TRAILERS_TOO_LARGE : at
  }
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}

/** True for a byte of a quoted string (RFC 9110 §5.6.4). obs-text is left out, since llhttp does not accept it there. */
function isQuotable(byte: number): boolean {
  return byte < 0x7f && IS_VALUE[byte] === 1
}

const FRAMING = new Set(['content-length', 'transfer-encoding', 'connection', 'proxy-connection'])

/**
 * True for a field that frames a body or rules its connection. Both are settled before trailers come, so such a trailer is an
 * attack (RFC 9110 §6.5.1).
 */
function isFraming(name: string): boolean {
  return FRAMING.has(name.toLowerCase())
}
