/**
 * Reads texts beside each other, in threads: many or large files, and such as would keep a thread busy for ever. For a
 * few small ones a thread is slower to start than they are to read.
 */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { type ParsedPart, refuse } from './document.ts'
import type { ThreadAnswer, ThreadRequest } from './parse-thread.ts'
import type { SourceText } from './text.ts'

/** Text that makes another thread worth its start, UTF-16 units or bytes. */
const THREAD_SHARE = 524_288
const MAX_THREADS = 8
/** A machine many times slower than ours reads a well-meant text in this time, milliseconds: at least, and by length. */
const LIMIT_MS = 10_000
const LIMIT_MS_PER_MIB = 3_000

/** What reading takes at the same time, at most or for a single text, bytes; and for a sign that may stand between values. */
const MEMORY = 234_881_024
const MEMORY_PER_SIGN = 1_000
/** Of a thread; more than a document may take by estimate (syntax.ts), for what the estimate does not know of. */
const RESOURCE_LIMITS = { maxOldGenerationSizeMb: 320, maxYoungGenerationSizeMb: 32 }

/** A text that waits for a thread. */
type Waiting = Readonly<{ memory: number; take: (thread: ParserThread) => void }>

export type ParserPoolOptions = Readonly<{
  /** How much there is to read in all: so many threads are started as that is worth. */
  size: number
  /** Milliseconds that a text of so many UTF-16 units may take; given by tests. */
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

  /** Never rejects: a text that takes more time or memory than it may is refused. All parts are to be taken. */
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

  /** Ends the threads; nothing may be waiting. */
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

/** Of the document of a text that takes most. */
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
  /** It has ended, or is about to. */
  isGone = false
  readonly #worker = new Worker(new URL('./parse-thread.js', import.meta.url), {
    execArgv: [],
    resourceLimits: RESOURCE_LIMITS,
  })
  #settle: ((answer: ThreadAnswer | string) => void) | undefined

  constructor() {
    this.#worker.on('message', (answer: ThreadAnswer) => this.#settle?.(answer))
    // Out of memory, most likely: the text is to blame, and another thread goes on with the others.
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

  /** The answer, or why there is none. */
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
