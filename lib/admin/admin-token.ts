/** The token that admin requests must carry: from the setting, or from its file as it is now. */
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Stats } from 'node:fs'
import type { Clock } from '../base/clock.ts'
import { isExhaustion } from '../base/exhaustion.ts'
import { examineFile, stampOf } from '../base/small-file.ts'
import { readTokenFile } from '../base/token-file.ts'
import type { Settings } from '../settings/table.ts'
import type { Log } from '../telemetry/log.ts'

/** Milliseconds between two checks of the file. */
const LOOK_MS = 1_000
const OTHERS_MAY_READ = 0o004

export type TokenOptions = Readonly<{ admin: Settings['admin']; clock: Clock; log: Log }>

/** True if admin requests must carry a token. */
export function wantsToken({ token, tokenFile }: Settings['admin']): boolean {
  return token !== '' || tokenFile !== ''
}

export class AdminToken {
  readonly #options: TokenOptions
  /** Undefined while no token is valid. */
  #expected: Buffer | undefined
  /** The stamp of the file when it was read. */
  #stamp = ''
  #lookedAt: number
  /** The fault that was logged last. */
  #fault = ''

  /** Throws an Error if the file holds no token. */
  constructor(options: TokenOptions) {
    const { admin, clock } = options
    this.#options = options
    this.#lookedAt = clock.monotonic()
    if (admin.tokenFile === '') this.#expected = digest(admin.token)
    else this.#read(admin.tokenFile, examineFile(admin.tokenFile))
  }

  /** Compares in constant time. No token fits while the file cannot be read. */
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
      // Without a free descriptor nothing is known about the file.
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

/** Digests have equal lengths, which a comparison in constant time needs. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
