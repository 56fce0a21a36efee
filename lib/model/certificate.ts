/** Certificates to serve, and which host gets which. */
import type { FieldPath } from '../base/position.ts'
import type { ResourceRef } from './resource-ref.ts'
import type { UpstreamKey } from './upstream.ts'

/** Checked: it parses, and the key belongs to it. */
export type Certificate = Readonly<{
  /** `namespace/secret`, or `default`. */
  name: string
  /** Leaf first, then intermediates (PEM). */
  certificatePem: string
  /** Never printed: `report/print` writes `[redacted]`. */
  privateKeyPem: string
  /** SHA-256 over certificate and key: the same content after a reload is the same certificate. */
  fingerprint: string
  commonName: string
  /** DNS names and IP addresses the certificate covers, lower case. */
  subjectAltNames: readonly string[]
  issuer: string
  selfSigned: boolean
  /** Milliseconds since the epoch. */
  notBefore: number
  notAfter: number
  /** The Secret; undefined of the default certificate. */
  owner?: ResourceRef
}>

/** Which certificate a host gets, and why. Routing never looks at SNI (I-29). */
export type CertificateBinding = Readonly<{
  /** Exact name or `*.wildcard`, lower case; `''` is every name that no other binding covers. */
  host: string
  /** Undefined: this host has a tls section whose Secret cannot be used, so the default certificate is served for `reason`. */
  certificate: Certificate | undefined
  /** TLS does not end here: the upstream that has the connections. Undefined: it does. */
  passthrough?: UpstreamKey
  reason: string
  /** The object that asks for it. */
  owner: ResourceRef
  /** Where it does. */
  field: FieldPath
}>

const DAY = 86_400_000
/** How long before its end a certificate is said to expire soon, in milliseconds. */
export const EXPIRES_SOON_MS: number = 14 * DAY

export type Validity = 'valid' | 'expired' | 'not yet valid' | 'expires soon'

/** `now` in milliseconds since the epoch. */
export function judgeValidity(
  { notBefore, notAfter }: Pick<Certificate, 'notBefore' | 'notAfter'>,
  now: number,
): Validity {
  if (notAfter <= now) return 'expired'
  if (notBefore > now) return 'not yet valid'
  return notAfter - now <= EXPIRES_SOON_MS ? 'expires soon' : 'valid'
}
