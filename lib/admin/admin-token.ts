/** The token that admin requests must carry: as it is set, or as its file says at the moment. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { readFileSync, type Stats, statSync } from 'node:fs'
import type { Clock } from '../base/clock.ts'
import { isExhaustion } from '../base/descriptors.ts'
import type { Settings } from '../settings-table.ts'
import type { Log } from '../telemetry/log.ts'

/** Longer ones are no tokens: somebody named another file. */
const MAX_BYTES = 4096
/** How long a look at the file is good for, milliseconds. */
const LOOK_MS = 1_000
const OTHERS_MAY_READ = 0o004

export type TokenOptions = Readonly<{ admin: Settings['admin']; clock: Clock; log: Log }>

/** Whether admin requests must carry a token. */
export function wantsToken({ token, tokenFile }: Settings['admin']): boolean {
  return token !== '' || tokenFile !== ''
}

/** What the file holds, without white space around it. Throws an Error that says why it is no token. */
export function readTokenFile(path: string): string {
  const stats = examine(path)
  if (stats.size > MAX_BYTES) throw new Error(`${path} is too large for a token`)
  const token = perform(path, () => readFileSync(path, 'utf8')).trim()
  if (token === '') throw new Error(`${path} holds no token`)
  if (/[\0-\x1f\x7f]/.test(token)) throw new Error(`${path} holds more than one line`)
  return token
}

export class AdminToken {
  readonly #options: TokenOptions
  /** Undefined: there is none that fits. */
  #expected: Buffer | undefined
  /** Of the file: what it was like when it was read. */
  #stamp = ''
  #lookedAt: number
  /** As the log was told last. */
  #fault = ''

  /** Throws an Error where the file holds none. */
  constructor(options: TokenOptions) {
    const { admin, clock } = options
    this.#options = options
    this.#lookedAt = clock.monotonic()
    if (admin.tokenFile === '') this.#expected = digest(admin.token)
    else this.#read(admin.tokenFile, examine(admin.tokenFile))
  }

  /** In a time that tells nothing of the token. Nothing fits while the file cannot be read. */
  fits(token: string): boolean {
    this.#look()
    return this.#expected !== undefined && timingSafeEqual(digest(token), this.#expected)
  }

  #look(): void {
    const { admin, clock, log } = this.#options
    const now = clock.monotonic()
    if (admin.tokenFile === '' || now - this.#lookedAt < LOOK_MS) return
    this.#lookedAt = now
    try {
      const stats = examine(admin.tokenFile)
      if (describe(stats) !== this.#stamp) this.#read(admin.tokenFile, stats)
      this.#fault = ''
    } catch (error) {
      // For want of a descriptor nothing can be told of the file.
      if (isExhaustion((error as Error).cause)) return
      const { message } = error as Error
      this.#expected = undefined
      this.#stamp = ''
      if (message !== this.#fault) log.error({ reason: message }, 'admin.tokenFile: admin requests are refused')
      this.#fault = message
    }
  }

  #read(path: string, stats: Stats): void {
    this.#expected = digest(readTokenFile(path))
    this.#stamp = describe(stats)
    if ((stats.mode & OTHERS_MAY_READ) === 0) return
    this.#options.log.warn({ file: path, help: 'chmod o-r' }, 'admin.tokenFile: every user of this machine may read it')
  }
}

function examine(path: string): Stats {
  const stats = perform(path, () => statSync(path))
  // Reading a pipe would keep this process waiting.
  if (!stats.isFile()) throw new Error(`${path} is no file`)
  return stats
}

function perform<T>(path: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    throw new Error(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`, { cause: error })
  }
}

function describe({ dev, ino, size, mtimeMs, ctimeMs, mode }: Stats): string {
  return [dev, ino, size, mtimeMs, ctimeMs, mode].join(' ')
}

/** Equal lengths for a comparison whose time tells nothing. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
