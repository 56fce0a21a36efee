/** Sends the bodies of answers no faster than so many bytes a second. HOT */
import { Transform, type TransformCallback } from 'node:stream'
import type { Clock } from '../base/clock.ts'
import { printBytes } from '../base/measure.ts'
import { readSize, SIZE } from './size-annotation.ts'
import { defineFilter } from './spec.ts'

type Options = Readonly<{
  /** Bytes a second of one answer. */
  rate: number
  /** Bytes of an answer that are sent as fast as they come, before the others. */
  after: number
}>

/** Slower clients are taken for stalled: up to 64 KiB of an answer wait here, and `timeouts.writeStall` gives them a minute. */
const LOWEST_RATE = 4_096
const HIGHEST = 1_073_741_824
/** Milliseconds between two pieces. */
const PACE = 50

export const BANDWIDTH = defineFilter<Options>({
  name: 'bandwidth',
  // It acts on what compress has made.
  order: 401,
  isGuard: false,
  annotations: {
    bandwidth: {
      about:
        'how many bytes of the body of an answer a client gets in a second, as in `500Ki`; from 4Ki to 1Gi. Each answer counts for itself, and WebSockets are not slowed down',
      form: SIZE,
    },
    'bandwidth-after': {
      about: 'so much of each answer is sent as fast as it comes, and the rest at that rate (`0`)',
      form: SIZE,
      needs: 'bandwidth',
    },
  },
  read(annotations) {
    const rate = readSize(annotations, 'bandwidth', 0, HIGHEST, LOWEST_RATE)
    const after = readSize(annotations, 'bandwidth-after', 0, HIGHEST, 0)
    return rate === 0 ? undefined : { rate, after }
  },
  print: ({ rate, after }) => `${printBytes(rate)} a second${after === 0 ? '' : ` after ${printBytes(after)}`}`,
  create: ({ rate, after }, { clock }) => ({
    responseBody({ contentLength }) {
      if (contentLength !== undefined && contentLength <= after) return undefined
      return { stream: () => new Pacer(rate, after, clock), keepsLength: true }
    },
  }),
})

/** Lets bytes through evenly. What was not sent while none came may be sent for up to one piece more. */
class Pacer extends Transform {
  readonly #rate: number
  readonly #clock: Clock
  /** Bytes that may be sent at once. */
  #credit: number
  #countedAt: number
  #timer: NodeJS.Timeout | undefined = undefined

  constructor(rate: number, after: number, clock: Clock) {
    super({ highWaterMark: 16_384 })
    this.#rate = rate
    this.#clock = clock
    this.#credit = after + this.#piece
    this.#countedAt = clock.monotonic()
  }

  get #piece(): number {
    return (this.#rate * PACE) / 1000
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#send(chunk, done)
  }

  #send(chunk: Buffer, done: TransformCallback): void {
    this.#count()
    const bytes = Math.min(Math.floor(this.#credit), chunk.length)
    this.#credit -= bytes
    if (bytes > 0) this.push(chunk.subarray(0, bytes))
    if (bytes === chunk.length) {
      done()
      return
    }
    const rest = chunk.subarray(bytes)
    this.#timer = setTimeout(() => this.#send(rest, done), PACE)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#timer)
    done(error)
  }

  #count(): void {
    const now = this.#clock.monotonic()
    const earned = (this.#rate * (now - this.#countedAt)) / 1000
    // What is sent before the rate counts is not lost.
    const most = Math.max(this.#credit, 2 * this.#piece)
    this.#credit = Math.min(this.#credit + earned, most)
    this.#countedAt = now
  }
}
