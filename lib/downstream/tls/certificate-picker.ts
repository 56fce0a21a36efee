/** Which certificate a TLS handshake gets: exact name, one-label wildcard, then the default certificate, with the reason in the log (I-28, I-31, I-33). */
import type { Clock } from '../../base/clock.ts'
import { escapeText } from '../../base/terminal-text.ts'
import type { Certificate, CertificateBinding } from '../../model/certificate.ts'
import type { HostIndex } from '../../routing/host-index.ts'
import type { Log } from '../../telemetry/log.ts'
import { LogThrottle } from '../../telemetry/log-throttle.ts'

export type CertificatePickerOptions<S> = {
  /** Asked at each handshake, so that a reload is in force at once. */
  certificates: () => HostIndex<CertificateBinding> | undefined
  defaultCertificate: Certificate
  /** Refuse names that no binding covers. */
  strictSni: () => boolean
  /** Makes what serves a certificate, once for each; throws when the certificate cannot be used. */
  create: (certificate: Certificate) => S
  clock: Clock
  log: Log
}

export class CertificatePicker<S extends object> {
  readonly #options: CertificatePickerOptions<S>
  readonly #throttle: LogThrottle
  /** What serves the certificate that the gateway has made. */
  readonly #own: S
  /** By fingerprint, for the index in force and the one before: what two reloads in a row do not use is let go. */
  #servers = new Map<string, S>()
  #older = new Map<string, S>()
  #index: HostIndex<CertificateBinding> | undefined

  /** Throws when the default certificate cannot be used. */
  constructor(options: CertificatePickerOptions<S>) {
    this.#options = options
    this.#throttle = new LogThrottle(options.clock)
    this.#own = options.create(options.defaultCertificate)
  }

  /** What serves the default certificate: the certificate that the configuration names, or else the one that the gateway has made. */
  get default(): S {
    const certificate = this.#currentIndex()?.find('')?.certificate
    return (certificate && this.#findServer(certificate)) ?? this.#own
  }

  /** `name` in normal form, `''` when the client sent none. Undefined: the handshake is to be refused. */
  pick(name: string): S | undefined {
    const binding = name === '' ? undefined : this.#currentIndex()?.find(name)
    if (binding?.certificate) {
      const server = this.#findServer(binding.certificate)
      if (server) return server
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
    return this.default
  }

  #currentIndex(): HostIndex<CertificateBinding> | undefined {
    const index = this.#options.certificates()
    if (index !== this.#index) {
      this.#index = index
      this.#older = this.#servers
      this.#servers = new Map()
    }
    return index
  }

  #findServer(certificate: Certificate): S | undefined {
    const { fingerprint } = certificate
    let server = this.#servers.get(fingerprint)
    if (server) return server
    try {
      server = this.#older.get(fingerprint) ?? this.#options.create(certificate)
    } catch (error) {
      // Decoding has checked key and certificate; what OpenSSL refuses beyond that (a key too short for it) shows here.
      if (this.#throttle.admit(`certificate ${fingerprint}`)) {
        this.#options.log.error({ certificate: certificate.name, err: error }, 'certificate cannot be loaded')
      }
      return undefined
    }
    this.#servers.set(fingerprint, server)
    return server
  }

  #report(name: string, reason: string, message: string): void {
    if (this.#throttle.admit(`${name} ${reason}`)) this.#options.log.info({ servername: name, reason }, message)
  }
}

/** In the normal form of base/hostname; longer names than DNS allows (RFC 1035 §2.3.4) are cut, so they match nothing. */
export function normalizeServername(servername: string): string {
  const name = servername.slice(0, 256).toLowerCase()
  return escapeText(name.endsWith('.') ? name.slice(0, -1) : name)
}
