/**
 * Reads texts beside each other, in threads: many or large files, and such as would keep a thread busy for ever. For a
 * few small ones a thread is slower to start than they are to read.
 */
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { DiagnosticList } from '../base/diagnostics.ts'
import type { ParsedText } from './document.ts'
import type { SourceText } from './files.ts'

/** Text that makes another thread worth its start, UTF-16 units or bytes. */
const THREAD_SHARE = 524_288
const MAX_THREADS = 8
/** A machine many times slower than ours reads a well-meant text in this time, milliseconds: at least, and by length. */
const LIMIT_MS = 10_000
const LIMIT_MS_PER_MIB = 3_000

/** A text that waits to be read, or is being read. */
type Job = Readonly<{ source: SourceText; resolve: (parsed: ParsedText) => void }>

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
  readonly #waiting: Job[] = []
  readonly #threads = new Set<ParserThread>()

  constructor({ size, limit = limitOf }: ParserPoolOptions) {
    this.#count = Math.min(availableParallelism(), MAX_THREADS, Math.max(1, Math.ceil(size / THREAD_SHARE)))
    this.#limit = limit
  }

  /** Never rejects: a text that takes more time or memory than it may is reported, and has no documents. */
  parse(source: SourceText): Promise<ParsedText> {
    return new Promise((resolve) => {
      this.#waiting.push({ source, resolve })
      this.#next()
    })
  }

  /** Ends the threads; nothing may be waiting. */
  async close(): Promise<void> {
    await Promise.all([...this.#threads].map((thread) => thread.end()))
    this.#threads.clear()
  }

  #next(): void {
    if (this.#waiting.length === 0) return
    const idle = [...this.#threads].find((thread) => !thread.isBusy)
    if (idle === undefined && this.#threads.size >= this.#count) return
    const thread = idle ?? this.#start()
    const job = this.#waiting.shift() as Job
    thread.run(job, this.#limit(job.source.text.length))
  }

  #start(): ParserThread {
    const thread = new ParserThread(
      () => this.#next(),
      () => {
        this.#threads.delete(thread)
        this.#next()
      },
    )
    this.#threads.add(thread)
    return thread
  }
}

function limitOf(length: number): number {
  return LIMIT_MS + Math.ceil(length / 1_048_576) * LIMIT_MS_PER_MIB
}

/** One thread and the text it is reading. */
class ParserThread {
  readonly #worker = new Worker(new URL('./parse-thread.js', import.meta.url), { execArgv: [] })
  #job: Job | undefined
  #timer: NodeJS.Timeout | undefined
  #isEnding = false

  constructor(onIdle: () => void, onGone: () => void) {
    this.#worker.on('message', (parsed: ParsedText) => {
      this.#settle(parsed)
      onIdle()
    })
    // Out of memory, most likely: the text is to blame, and another thread goes on with the others.
    this.#worker.on('error', (error) => {
      this.#isEnding = true
      this.#fail(error.message)
    })
    this.#worker.on('exit', () => {
      this.#fail('its reader ended')
      onGone()
    })
  }

  get isBusy(): boolean {
    return this.#isEnding || this.#job !== undefined
  }

  run(job: Job, limitMs: number): void {
    this.#job = job
    this.#timer = setTimeout(() => {
      this.#isEnding = true
      this.#fail(`it takes more than ${limitMs / 1000} s`)
      void this.#worker.terminate()
    }, limitMs)
    this.#worker.postMessage(job.source)
  }

  async end(): Promise<void> {
    this.#worker.removeAllListeners('exit')
    await this.#worker.terminate()
  }

  #fail(reason: string): void {
    if (this.#job === undefined) return
    const { name } = this.#job.source
    const problems = new DiagnosticList()
    problems.add('PORTICO_YAML_LIMIT', `${name} cannot be read: ${reason}`, {
      help: 'split it, and look for what is not meant to be there: long runs of commas, dashes or brackets',
    })
    this.#settle({ documents: [], diagnostics: problems.items, broken: true })
  }

  #settle(parsed: ParsedText): void {
    const job = this.#job
    clearTimeout(this.#timer)
    this.#job = undefined
    job?.resolve(parsed)
  }
}
