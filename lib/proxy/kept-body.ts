/** The beginning of a request body, kept so that it can be sent once more. */

/** Bytes that are set aside for a body of which little came so far. */
const FIRST = 1024

export class KeptBody {
  readonly #limit: number
  // In one piece: a client may send it in very many small ones.
  #buffer: Buffer = Buffer.alloc(0)
  #length = 0

  /** `limit` in bytes. */
  constructor(limit: number) {
    this.#limit = limit
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  /** Keeps a copy; false: it would be more than the limit. */
  add(chunk: Buffer): boolean {
    const length = this.#length + chunk.length
    if (length > this.#limit) return false
    if (length > this.#buffer.length) this.#grow(length)
    chunk.copy(this.#buffer, this.#length)
    this.#length = length
    return true
  }

  #grow(length: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.min(Math.max(length, this.#buffer.length * 2, FIRST), this.#limit))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }
}
