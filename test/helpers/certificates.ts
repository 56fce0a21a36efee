/** Certificates for tests, made on the spot with selfsigned: an authority, leaves it signs, any names and dates. */
import { createHash, X509Certificate } from 'node:crypto'
import { type CertificateField, generate, type SelfsignedOptions } from 'selfsigned'
import type { Certificate } from '../../lib/model/certificate.ts'

export type Pem = Readonly<{ certificate: string; key: string }>

export type CertificateRequest = {
  /** DNS names and IP addresses; the first is the common name. */
  names: readonly string[]
  notBefore?: Date
  notAfter?: Date
  /** Signs the certificate; self-signed when left out. */
  issuer?: Pem
  isAuthority?: boolean
}

/** An EC P-256 certificate and its key, as PEM. */
export async function makeCertificate(request: CertificateRequest): Promise<Pem> {
  const { names, issuer, isAuthority = false } = request
  const attributes: CertificateField[] = [{ name: 'commonName', value: names[0] ?? 'test' }]
  const notBefore = request.notBefore ?? new Date(Date.now() - 3_600_000)
  const options: SelfsignedOptions = {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notBeforeDate: notBefore,
    notAfterDate: request.notAfter ?? new Date(Date.now() + 90 * 86_400_000),
    extensions: [
      { name: 'basicConstraints', cA: isAuthority, critical: true },
      isAuthority
        ? { name: 'keyUsage', keyCertSign: true, cRLSign: true, digitalSignature: true, critical: true }
        : { name: 'keyUsage', digitalSignature: true, critical: true },
      {
        name: 'subjectAltName',
        altNames: names.map((name) => (isAddress(name) ? { type: 7, ip: name } : { type: 2, value: name })),
      },
    ],
  }
  if (issuer) options.ca = { key: issuer.key, cert: issuer.certificate }
  const made = await generate(attributes, options)
  return { certificate: made.cert, key: made.private }
}

/** A certificate as the model has it, named `default/<first name>` unless said otherwise. */
export async function makeModelCertificate(
  request: CertificateRequest,
  name: string = `default/${request.names[0]}`,
): Promise<Certificate> {
  return toModelCertificate(await makeCertificate(request), name)
}

export function toModelCertificate(pem: Pem, name: string): Certificate {
  const parsed = new X509Certificate(pem.certificate)
  return Object.freeze({
    name,
    certificatePem: pem.certificate,
    privateKeyPem: pem.key,
    fingerprint: createHash('sha256').update(pem.certificate).update(pem.key).digest('hex'),
    commonName: /CN=(.*)/.exec(parsed.subject)?.[1] ?? '',
    subjectAltNames: (parsed.subjectAltName ?? '').split(', ').map((entry) => entry.replace(/^(DNS|IP Address):/, '')),
    issuer: parsed.issuer,
    selfSigned: parsed.issuer === parsed.subject,
    notBefore: Date.parse(parsed.validFrom),
    notAfter: Date.parse(parsed.validTo),
  })
}

function isAddress(name: string): boolean {
  return /^[\d.]+$/.test(name) || name.includes(':')
}
