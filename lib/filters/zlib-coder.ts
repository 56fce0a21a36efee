/** Compresses bodies in the thread that serves requests, piece by piece. HOT */
import { ZlibEngine, type ZlibStream } from '../platform/zlib-engine.ts'
import type { BodyCoder } from './spec.ts'

export type CoderOptions = Readonly<{
  createStream: () => ZlibStream
  /** Constants of node:zlib: work on, pass on what is held back, end. */
  operations: Readonly<{ work: number; flush: number; end: number }>
  /** An engine can be used again: it keeps its parameters where it is reset. Those of Brotli and zstd do not. */
  isReset: boolean
}>

/** Engines that wait for the next body; each takes some hundred kilobytes. */
const MOST_IDLE = 16

const NOTHING = Buffer.alloc(0)

/** All coders of one coding. */
export class ZlibCoders {
  readonly #options: CoderOptions
  readonly #idle: ZlibEngine[] = []

  private constructor(options: CoderOptions, first: ZlibEngine) {
    this.#options = options
    this.#idle.push(first)
  }

  /** Undefined: this Node has no engines. */
  static create(options: CoderOptions): ZlibCoders | undefined {
    const first = ZlibEngine.open(options.createStream())
    return first && new ZlibCoders(options, first)
  }

  open(onClose: () => void): BodyCoder {
    const engine = this.#idle.pop() ?? ZlibEngine.open(this.#options.createStream())!
    const { operations } = this.#options
    return new ZlibCoder(engine, operations, (isWhole) => {
      this.#leave(engine, isWhole)
      onClose()
    })
  }

  /** An engine in the middle of a body is not used again: Node 26 refuses to reset it. */
  #leave(engine: ZlibEngine, isWhole: boolean): void {
    if (!isWhole || !this.#options.isReset || this.#idle.length >= MOST_IDLE) engine.close()
    else {
      engine.reset()
      this.#idle.push(engine)
    }
  }
}

class ZlibCoder implements BodyCoder {
  readonly #engine: ZlibEngine
  readonly #operations: CoderOptions['operations']
  readonly #onClose: (isWhole: boolean) => void
  #isWhole = false

  constructor(engine: ZlibEngine, operations: CoderOptions['operations'], onClose: (isWhole: boolean) => void) {
    this.#engine = engine
    this.#operations = operations
    this.#onClose = onClose
  }

  write(chunk: Buffer, give: (lent: Buffer) => void): void {
    this.#engine.process(chunk, this.#operations.work, give)
  }

  flush(give: (lent: Buffer) => void): void {
    this.#engine.process(NOTHING, this.#operations.flush, give)
  }

  end(chunk: Buffer | undefined, give: (lent: Buffer) => void): void {
    this.#engine.process(chunk ?? NOTHING, this.#operations.end, give)
    this.#isWhole = true
  }

  close(): void {
    this.#onClose(this.#isWhole)
  }
}
