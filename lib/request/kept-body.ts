/** The beginning of a request body, kept until there is an endpoint for it, and so that it can be sent once more. */
import { borrowBuffer, fitsBorrowed, giveBack } from '../platform/lent-bytes.ts'

/** Bytes that are set aside for a body of which little came so far. */
const FIRST = 1024

export class KeptBody {
  readonly #declared: number
  // In one piece: a client may send it in very many small ones.
  #buffer: Buffer = Buffer.alloc(0)
  #length = 0
  #isBorrowed = false

  /** `declared`: bytes that the whole body has, as far as is known; else 0. */
  constructor(declared: number) {
    this.#declared = declared
  }

  get length(): number {
    return this.#length
  }

  /** Bytes of memory that it takes. */
  get size(): number {
    return this.#buffer.length
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

  /** Its bytes are not used any more. */
  drop(): void {
    if (this.#isBorrowed) giveBack(this.#buffer)
    this.#isBorrowed = false
    this.#buffer = Buffer.alloc(0)
    this.#length = 0
  }

  #grow(length: number): void {
    const before = this.bytes
    const wasBorrowed = this.#isBorrowed
    // Most of it is here, and the rest fits too.
    this.#isBorrowed = fitsBorrowed(length) && fitsBorrowed(this.#declared)
    const larger = this.#isBorrowed
      ? borrowBuffer()
      : Buffer.allocUnsafeSlow(Math.max(length, this.#buffer.length * 2, FIRST))
    before.copy(larger)
    if (wasBorrowed) giveBack(this.#buffer)
    this.#buffer = larger
  }
}
