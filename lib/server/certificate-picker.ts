/** Which certificate a TLS handshake gets: exact name, one-label wildcard, then the default certificate, with the reason in the log (I-28, I-31, I-33). */
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'
import type { Clock } from '../base/clock.ts'
import { escapeText } from '../base/terminal-text.ts'
import type { Certificate, CertificateBinding } from '../model/certificate.ts'
import type { HostIndex } from '../routing/host-index.ts'
import type { Log } from '../telemetry/log.ts'
import { LogThrottle } from '../telemetry/log-throttle.ts'

export type CertificatePickerOptions = {
  /** Asked at each handshake, so that a reload is in force at once. */
  certificates: () => HostIndex<CertificateBinding> | undefined
  defaultCertificate: Certificate
  /** Refuse names that no binding covers. */
  strictSni: () => boolean
  /** What every context has beside key and certificate. */
  contextOptions: SecureContextOptions
  clock: Clock
  log: Log
}

export class CertificatePicker {
  readonly #options: CertificatePickerOptions
  readonly #throttle: LogThrottle
  readonly #default: SecureContext
  /** By fingerprint, for the index in force and the one before: what two reloads in a row do not use is let go. */
  #contexts = new Map<string, SecureContext>()
  #older = new Map<string, SecureContext>()
  #index: HostIndex<CertificateBinding> | undefined

  /** Throws when the default certificate cannot be used. */
  constructor(options: CertificatePickerOptions) {
    this.#options = options
    this.#throttle = new LogThrottle(options.clock)
    this.#default = this.#createContext(options.defaultCertificate)
  }

  /** `servername` as the client sent it, `''` when it sent none. Undefined: the handshake is to be refused. */
  pick(servername: string): SecureContext | undefined {
    const name = normalizeServername(servername)
    const binding = name === '' ? undefined : this.#currentIndex()?.find(name)
    if (binding?.certificate) {
      const context = this.#findContext(binding.certificate)
      if (context) return context
    }
    if (!binding && name !== '' && this.#options.strictSni()) {
      this.#report(name, 'no certificate covers this name', 'TLS handshake refused')
      return undefined
    }
    const reason = binding
      ? binding.certificate
        ? `certificate ${binding.certificate.name} cannot be loaded`
        : binding.reason
      : name === ''
        ? 'the client named no host'
        : 'no tls section covers this name'
    this.#report(name, reason, 'default certificate served')
    return this.#default
  }

  #currentIndex(): HostIndex<CertificateBinding> | undefined {
    const index = this.#options.certificates()
    if (index !== this.#index) {
      this.#index = index
      this.#older = this.#contexts
      this.#contexts = new Map()
    }
    return index
  }

  #findContext(certificate: Certificate): SecureContext | undefined {
    const { fingerprint } = certificate
    let context = this.#contexts.get(fingerprint)
    if (context) return context
    try {
      context = this.#older.get(fingerprint) ?? this.#createContext(certificate)
    } catch (error) {
      // Decoding has checked key and certificate; what OpenSSL refuses beyond that (a key too short for it) shows here.
      if (this.#throttle.admit(`context ${fingerprint}`)) {
        this.#options.log.error({ certificate: certificate.name, err: error }, 'certificate cannot be loaded')
      }
      return undefined
    }
    this.#contexts.set(fingerprint, context)
    return context
  }

  #createContext({ certificatePem, privateKeyPem }: Certificate): SecureContext {
    return createSecureContext({ ...this.#options.contextOptions, cert: certificatePem, key: privateKeyPem })
  }

  #report(name: string, reason: string, message: string): void {
    if (this.#throttle.admit(`${name} ${reason}`)) this.#options.log.info({ servername: name, reason }, message)
  }
}

/** In the normal form of base/hostname; longer names than DNS allows (RFC 1035 §2.3.4) are cut, so they match nothing. */
function normalizeServername(servername: string): string {
  const name = servername.slice(0, 256).toLowerCase()
  return escapeText(name.endsWith('.') ? name.slice(0, -1) : name)
}
