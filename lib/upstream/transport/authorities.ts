/** What https endpoints are verified by, and shown: the authorities of the system and of a file, or what a Secret has. */
import { createHash } from 'node:crypto'
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls'
import { readAuthorityFile } from '../../base/authority-file.ts'
import { isExhaustion } from '../../base/exhaustion.ts'
import { examineFile, stampOf } from '../../base/small-file.ts'
import type { EndpointTls } from '../../model/upstream.ts'

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
  /** The last good ones. */
  certificates: readonly string[]
  /** The last good; undefined where there was none. Each costs a parse of all authorities. */
  context: SecureContext | undefined
  fault: string | undefined
}

export class Authorities {
  readonly #onNews: (news: AuthorityNews) => void
  readonly #files = new Map<string, Known>()
  /** By the digests of the Secrets, and in them by those of the files that count beside them. */
  readonly #ofSecrets = new Map<string, Map<string, SecureContext>>()
  #system: SecureContext | undefined

  constructor(onNews: (news: AuthorityNews) => void = () => {}) {
    this.#onNews = onNews
  }

  /**
   * As the file was when it was last looked at. An unusable one never makes verification laxer: where it was never good, only
   * the system's authorities are left. `''` is no file. Equal Secrets have the same context.
   */
  context(file: string, tls?: EndpointTls): SecureContext {
    const known = file === '' ? undefined : this.#find(file)
    if (tls !== undefined) return this.#findOfSecret(tls, known)
    if (known?.context) return known.context
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

  /** All other files, and Secrets with other digests, are forgotten. */
  retain(files: ReadonlySet<string>, secrets: ReadonlySet<string>): void {
    for (const file of this.#files.keys()) if (!files.has(file)) this.#files.delete(file)
    for (const digest of this.#ofSecrets.keys()) if (!secrets.has(digest)) this.#ofSecrets.delete(digest)
  }

  #findOfSecret(tls: EndpointTls, known: Known | undefined): SecureContext {
    const { certificatePem, privateKeyPem, authorities, digest } = tls
    const contexts = this.#ofSecrets.get(digest) ?? new Map<string, SecureContext>()
    this.#ofSecrets.set(digest, contexts)
    const file = authorities === '' && known?.context ? known : undefined
    const found = contexts.get(file?.digest ?? '')
    if (found) return found
    // Of a file that has changed, the old authorities are not needed again.
    contexts.clear()
    const context = createSecureContext({
      minVersion: MIN_TLS_VERSION,
      ...(certificatePem !== '' && { cert: certificatePem, key: privateKeyPem }),
      ...(authorities !== '' && { ca: authorities }),
      ...(file && { ca: [...rootCertificates, ...file.certificates] }),
    })
    contexts.set(file?.digest ?? '', context)
    return context
  }

  #find(file: string): Known {
    let known = this.#files.get(file)
    if (!known) {
      known = { stamp: '', digest: '', certificates: [], context: undefined, fault: undefined }
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
      known.certificates = certificates
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
