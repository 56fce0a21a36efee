/** The beginning of a request body, kept so that it can be sent once more. */

export class KeptBody {
  /** In their order. */
  readonly chunks: Buffer[] = []
  readonly #limit: number
  #bytes = 0

  /** `limit` in bytes. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** Keeps a copy; false: it would be more than the limit. */
  add(chunk: Buffer): boolean {
    this.#bytes += chunk.length
    if (this.#bytes > this.#limit) return false
    this.chunks.push(Buffer.from(chunk))
    return true
  }
}
