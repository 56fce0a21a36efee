/**
 * Reads texts in parallel threads: many or large files, and files that would keep a thread busy for ever. For a few small files
 * starting a thread takes longer than reading them.
 */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { type ParsedPart, refuse } from './document.ts'
import type { ThreadAnswer, ThreadRequest } from './parse-thread.ts'
import type { SourceText } from './text.ts'

/** The amount of text that makes another thread worth its start, in UTF-16 units or bytes. */
const THREAD_SHARE = 524_288
const MAX_THREADS = 8
/** Time limits, in milliseconds, that a well-meant text keeps even on a machine many times slower than usual: a minimum, and more by length. */
const LIMIT_MS = 10_000
const LIMIT_MS_PER_MIB = 3_000

/** Most memory, in bytes, of all texts read at the same time; and the estimate for each sign that may separate values. */
const MEMORY = 234_881_024
const MEMORY_PER_SIGN = 1_000
/** The limits of a thread: more than the estimate (syntax.ts) allows a document, as a margin for its errors. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 320, maxYoungGenerationSizeMb: 32 }

/** A text waiting for a thread. */
type Waiting = Readonly<{ memory: number; take: (thread: ParserThread) => void }>

export type ParserPoolOptions = Readonly<{
  /** The amount of text to read in all, which decides how many threads are started. */
  size: number
  /** The time limit, in milliseconds, for a text of so many UTF-16 units; given by tests. */
  limit?: (length: number) => number
}>

/** Started with the first text, ended by `close`. */
export class ParserPool {
  readonly #count: number
  readonly #limit: (length: number) => number
  readonly #waiting: Waiting[] = []
  readonly #threads = new Set<ParserThread>()
  #memory = 0

  constructor({ size, limit = limitOf }: ParserPoolOptions) {
    this.#count = Math.min(availableParallelism(), MAX_THREADS, Math.max(1, Math.ceil(size / THREAD_SHARE)))
    this.#limit = limit
  }

  /** Never rejects: a text that exceeds its time or memory is refused. The caller must take all parts. */
  async *parse(source: SourceText): AsyncGenerator<ParsedPart> {
    const memory = Math.min(MEMORY, estimateMemory(source.text))
    const thread = await new Promise<ParserThread>((take) => {
      this.#waiting.push({ memory, take })
      this.#next()
    })
    try {
      yield* thread.read(source, this.#limit(source.text.length))
    } finally {
      if (thread.isGone) this.#threads.delete(thread)
      thread.isBusy = false
      this.#memory -= memory
      this.#next()
    }
  }

  /** Ends the threads; no text may be waiting. */
  async close(): Promise<void> {
    await Promise.all([...this.#threads].map((thread) => thread.end()))
    this.#threads.clear()
  }

  #next(): void {
    const [first] = this.#waiting
    if (first === undefined || (this.#memory > 0 && this.#memory + first.memory > MEMORY)) return
    const idle = [...this.#threads].find(({ isBusy }) => !isBusy)
    if (idle === undefined && this.#threads.size >= this.#count) return
    const thread = idle ?? new ParserThread()
    this.#threads.add(thread)
    thread.isBusy = true
    this.#memory += first.memory
    this.#waiting.shift()
    first.take(thread)
    this.#next()
  }
}

function limitOf(length: number): number {
  return LIMIT_MS + Math.ceil(length / 1_048_576) * LIMIT_MS_PER_MIB
}

/** Estimates the memory of the largest document of a text. */
function estimateMemory(text: string): number {
  let signs = 0
  let most = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === 10) {
      if (text.startsWith('---', at + 1)) {
        most = Math.max(most, signs)
        signs = 0
      }
    } else if (code !== 44 /* , */ && code !== 45 /* - */ && code !== 58 /* : */ && code !== 63 /* ? */) {
      if (code !== 91 /* [ */ && code !== 123 /* { */) continue
    }
    signs++
  }
  return Math.max(most, signs) * MEMORY_PER_SIGN
}

/** One thread and the text it is reading. */
class ParserThread {
  isBusy = false
  /** True once the thread has ended or is about to. */
  isGone = false
  readonly #worker = new Worker(new URL('./parse-thread.js', import.meta.url), {
    execArgv: [],
    resourceLimits: RESOURCE_LIMITS,
  })
  #settle: ((answer: ThreadAnswer | string) => void) | undefined

  constructor() {
    this.#worker.on('message', (answer: ThreadAnswer) => this.#settle?.(answer))
    // Most likely the text took too much memory; another thread goes on with the other texts.
    this.#worker.on('error', (error: NodeJS.ErrnoException) => {
      this.isGone = true
      this.#settle?.(error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'it takes too much memory' : error.message)
    })
    this.#worker.on('exit', () => {
      this.isGone = true
      this.#settle?.('its reader ended')
    })
  }

  async *read(source: SourceText, limitMs: number): AsyncGenerator<ParsedPart> {
    let leftMs = limitMs
    for (let request: ThreadRequest = source; ; request = 'next') {
      const began = performance.now()
      const answer = await this.#ask(request, leftMs, limitMs)
      if (typeof answer === 'string') {
        yield refuse(source, answer)
        return
      }
      leftMs -= performance.now() - began
      if (answer.part) yield answer.part
      if (answer.isLast) return
    }
  }

  async end(): Promise<void> {
    this.isGone = true
    await this.#worker.terminate()
  }

  /** The thread's answer, or the reason why there is none. */
  #ask(request: ThreadRequest, leftMs: number, limitMs: number): Promise<ThreadAnswer | string> {
    return new Promise((resolve) => {
      if (this.isGone) {
        resolve('its reader ended')
        return
      }
      const timer = setTimeout(() => {
        this.#settle?.(`it takes more than ${limitMs / 1000} s`)
        void this.end()
      }, leftMs)
      this.#settle = (answer) => {
        clearTimeout(timer)
        this.#settle = undefined
        resolve(answer)
      }
      this.#worker.postMessage(request)
    })
  }
}
