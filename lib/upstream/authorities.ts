/** Who is trusted to say who an https endpoint is: the authorities of the system, and those of a file besides. */
import { readFileSync, statSync } from 'node:fs'
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls'

const MIN_TLS_VERSION = 'TLSv1.2'
/** All authorities of a system are a few hundred kilobytes. */
const MAX_BYTES = 4_194_304

export class Authorities {
  /** By file. Each costs a parse of all authorities. */
  readonly #contexts = new Map<string, SecureContext>()
  #system: SecureContext | undefined

  /** An unreadable file never makes verification laxer: then only the system's authorities are left. `''` is no file. */
  context(file: string): SecureContext {
    const known = file === '' ? undefined : (this.#contexts.get(file) ?? readAuthorities(file))
    if (known) {
      this.#contexts.set(file, known)
      return known
    }
    this.#system ??= createSecureContext({ minVersion: MIN_TLS_VERSION })
    return this.#system
  }
}

function readAuthorities(file: string): SecureContext | undefined {
  try {
    const stats = statSync(file)
    // Whoever writes a Service names it: a pipe or a device would keep this process, and all that it serves.
    if (!stats.isFile() || stats.size === 0 || stats.size > MAX_BYTES) return undefined
    return createSecureContext({ minVersion: MIN_TLS_VERSION, ca: [...rootCertificates, readFileSync(file, 'utf8')] })
  } catch {
    return undefined
  }
}
