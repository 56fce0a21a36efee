/** The token that admin requests must carry: as it is set, or as its file says at the moment. */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Stats } from 'node:fs'
import type { Clock } from '../base/clock.ts'
import { examineFile, stampOf } from '../base/small-file.ts'
import { readTokenFile } from '../base/token-file.ts'
import { isExhaustion } from '../platform/descriptors.ts'
import type { Settings } from '../settings/table.ts'
import type { Log } from '../telemetry/log.ts'

/** How long a look at the file is good for, milliseconds. */
const LOOK_MS = 1_000
const OTHERS_MAY_READ = 0o004

export type TokenOptions = Readonly<{ admin: Settings['admin']; clock: Clock; log: Log }>

/** Whether admin requests must carry a token. */
export function wantsToken({ token, tokenFile }: Settings['admin']): boolean {
  return token !== '' || tokenFile !== ''
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
    else this.#read(admin.tokenFile, examineFile(admin.tokenFile))
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
      const stats = examineFile(admin.tokenFile)
      if (stampOf(stats) !== this.#stamp) this.#read(admin.tokenFile, stats)
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
    this.#expected = digest(readTokenFile(path, stats))
    this.#stamp = stampOf(stats)
    if ((stats.mode & OTHERS_MAY_READ) === 0) return
    this.#options.log.warn({ file: path, help: 'chmod o-r' }, 'admin.tokenFile: every user of this machine may read it')
  }
}

/** Equal lengths for a comparison whose time tells nothing. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
