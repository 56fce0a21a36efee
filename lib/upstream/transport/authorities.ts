/** The certificate authorities that https endpoints are verified by: those of the system, and of a file besides. */
import { createHash } from 'node:crypto'
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls'
import { readAuthorityFile } from '../../base/authority-file.ts'
import { isExhaustion } from '../../base/exhaustion.ts'
import { examineFile, stampOf } from '../../base/small-file.ts'

const MIN_TLS_VERSION = 'TLSv1.2'

/** What became of a file: it was read anew, or it cannot be used for a reason that was not told yet. */
export type AuthorityNews = Readonly<{
  file: string
  fault: string | undefined
  /** Those that it had before go on being trusted. */
  isKept: boolean
}>

type Known = {
  /** As it was when it was read; `''` where it has to be read. */
  stamp: string
  digest: string
  /** The last good; undefined where there was none. Each costs a parse of all authorities. */
  context: SecureContext | undefined
  fault: string | undefined
}

export class Authorities {
  readonly #onNews: (news: AuthorityNews) => void
  readonly #files = new Map<string, Known>()
  #system: SecureContext | undefined

  constructor(onNews: (news: AuthorityNews) => void = () => {}) {
    this.#onNews = onNews
  }

  /**
   * As the file was when it was last looked at. An unusable one never makes verification laxer: where it was never good, only
   * the system's authorities are left. `''` is no file.
   */
  context(file: string): SecureContext {
    const own = file === '' ? undefined : this.#find(file).context
    if (own) return own
    this.#system ??= createSecureContext({ minVersion: MIN_TLS_VERSION })
    return this.#system
  }

  /** Looks at the files in use, or at this one: whether anybody else is trusted now. */
  look(only?: string): boolean {
    let isOther = false
    for (const [file, known] of this.#files) {
      if (only === undefined || only === file) isOther = this.#read(file, known) || isOther
    }
    return isOther
  }

  /** All others are forgotten. */
  retain(files: ReadonlySet<string>): void {
    for (const file of this.#files.keys()) if (!files.has(file)) this.#files.delete(file)
  }

  #find(file: string): Known {
    let known = this.#files.get(file)
    if (!known) {
      known = { stamp: '', digest: '', context: undefined, fault: undefined }
      this.#files.set(file, known)
      this.#read(file, known)
    }
    return known
  }

  #read(file: string, known: Known): boolean {
    const { stamp, digest, context, fault } = known
    known.stamp = ''
    try {
      const stats = examineFile(file)
      known.stamp = stampOf(stats)
      if (known.stamp === stamp) return false
      const certificates = readAuthorityFile(file, stats)
      const next = createHash('sha256').update(certificates.join()).digest('hex')
      if (next !== digest) {
        known.context = createSecureContext({
          minVersion: MIN_TLS_VERSION,
          ca: [...rootCertificates, ...certificates],
        })
      }
      known.digest = next
      known.fault = undefined
      const isOther = known.context !== context
      if ((isOther && context !== undefined) || fault !== undefined)
        this.#onNews({ file, fault: undefined, isKept: false })
      return isOther
    } catch (error) {
      const { cause, message } = error as Error
      // Without a free descriptor nothing is known about the file.
      if (isExhaustion(cause)) known.stamp = ''
      else if (message !== fault) {
        known.fault = message
        this.#onNews({ file, fault: message, isKept: context !== undefined })
      }
      return false
    }
  }
}
