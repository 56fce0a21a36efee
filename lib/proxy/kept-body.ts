/** The beginning of a request body, kept until there is an endpoint for it, and so that it can be sent once more. */

/** Bytes that are set aside for a body of which little came so far. */
const FIRST = 1024

export class KeptBody {
  // In one piece: a client may send it in very many small ones.
  #buffer: Buffer = Buffer.alloc(0)
  #length = 0

  get length(): number {
    return this.#length
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  /** Keeps a copy. */
  add(chunk: Buffer): void {
    const length = this.#length + chunk.length
    if (length > this.#buffer.length) this.#grow(length)
    chunk.copy(this.#buffer, this.#length)
    this.#length = length
  }

  #grow(length: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(length, this.#buffer.length * 2, FIRST))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }
}
