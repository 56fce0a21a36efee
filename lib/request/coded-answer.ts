/** The body of an answer that one filter converts as it comes, in this thread. HOT */
import { containing } from '../base/contain.ts'
import { type BodyCoder, FLUSH_AFTER } from '../filters/spec.ts'
import { AnswerPipe } from './answer-pipe.ts'
import type { RequestContext } from './context.ts'

export class CodedAnswer extends AnswerPipe {
  readonly #coder: BodyCoder
  /** Bytes of the body that have not come; undefined: not known. */
  #left: number | undefined
  #hasRoom = true
  #timer: NodeJS.Timeout | undefined = undefined
  #isOver = false

  /** `length` is that of the body as it comes; undefined: it is not known. */
  constructor(context: RequestContext, coder: BodyCoder, length: number | undefined) {
    super(context)
    this.#coder = coder
    this.#left = length
    this.listen()
  }

  get pendingBytes(): number {
    return this.exchange.pendingBytes
  }

  write(chunk: Buffer): boolean {
    if (this.#isOver) return true
    this.#hasRoom = true
    if (this.#left !== undefined) this.#left -= chunk.length
    if (this.#left === 0) {
      this.#coder.end(chunk, this.#give)
      this.leave()
    } else {
      this.#coder.write(chunk, this.#give)
      this.#timer ??= setTimeout(this.#flush, FLUSH_AFTER)
    }
    return this.#hasRoom
  }

  end(trailers: readonly string[]): void {
    if (!this.#isOver) {
      this.#coder.end(undefined, this.#give)
      this.leave()
    }
    this.exchange.end(trailers)
  }

  onClientDrain(): void {
    this.events.onClientDrain()
  }

  #give = (lent: Buffer): void => {
    this.context.bytesOut += lent.length
    if (!this.exchange.write(lent)) this.#hasRoom = false
  }

  #flush = containing('filter', this, () => {
    this.#timer = undefined
    if (!this.#isOver) this.#coder.flush(this.#give)
  })

  protected leave(): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#timer)
    this.#coder.close()
  }
}
