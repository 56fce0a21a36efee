/** The body of an endpoint's error, kept in case there is no page to take its place. */
import type { AnswerSink } from './exchange.ts'

/** A longer one is not kept: if there is no page, the error goes out without a body. */
const MAX_BYTES = 65_536

export class HeldError implements AnswerSink {
  readonly pendingBytes: number = 0
  readonly #onWhole: (body: Buffer | undefined) => void
  readonly #chunks: Buffer[] = []
  #bytes = 0

  /** `onWhole` is called when the body is whole, or without it as soon as it is too long: nothing more may come then. */
  constructor(onWhole: (body: Buffer | undefined) => void) {
    this.#onWhole = onWhole
  }

  write(chunk: Buffer): boolean {
    this.#bytes += chunk.length
    if (this.#bytes <= MAX_BYTES) this.#chunks.push(Buffer.from(chunk))
    else this.#onWhole(undefined)
    return true
  }

  end(): void {
    this.#onWhole(Buffer.concat(this.#chunks))
  }
}
