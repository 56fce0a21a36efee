/** Certificates for tests, made on the spot with selfsigned: an authority, leaves it signs, any names and dates. */
import { createHash, generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto'
import type { CertificateField, SelfsignedOptions } from 'selfsigned'
import type { Certificate } from '../../lib/model/certificate.ts'

export type Pem = Readonly<{ certificate: string; key: string }>

export type KeyType = 'ec' | 'rsa' | 'ed25519'

export type CertificateRequest = {
  /** DNS names and IP addresses; the first is the common name. */
  names: readonly string[]
  notBefore?: Date
  notAfter?: Date
  /** Signs the certificate; self-signed when left out. */
  issuer?: Pem
  isAuthority?: boolean
  /** EC is on P-256, the default; RSA has 2048 bits; an Ed25519 certificate is self-signed, with DNS names alone, valid now. */
  keyType?: KeyType
}

/** A certificate and its key, as PEM. */
export async function makeCertificate(request: CertificateRequest): Promise<Pem> {
  const { names, issuer, isAuthority = false, keyType = 'ec' } = request
  if (keyType === 'ed25519') return makeEd25519Certificate(names)
  const attributes: CertificateField[] = [{ name: 'commonName', value: names[0] ?? 'test' }]
  const notBefore = request.notBefore ?? new Date(Date.now() - 3_600_000)
  const options: SelfsignedOptions = {
    keyType,
    keySize: 2048,
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
  // Most files that lead here make none, and this package is large.
  const { generate } = await import('selfsigned')
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

/** RFC 8410 in the DER of RFC 5280 §4.1: selfsigned does not make these. */
function makeEd25519Certificate(names: readonly string[]): Pem {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const algorithm = encode(0x30, Buffer.from('06032b6570', 'hex'))
  const commonName = encode(0x30, Buffer.from('0603550403', 'hex'), encode(0x0c, Buffer.from(names[0] ?? 'test')))
  const name = encode(0x30, encode(0x31, commonName))
  const dates = [-1, 90].map((days) => new Date(Date.now() + days * 86_400_000).toISOString())
  const times = dates.map((date) => encode(0x17, Buffer.from(`${date.slice(2, 19).replace(/[-:T]/g, '')}Z`)))
  const altNames = encode(0x30, ...names.map((each) => encode(0x82, Buffer.from(each))))
  const extension = encode(0x30, Buffer.from('0603551d11', 'hex'), encode(0x04, altNames))
  const body = encode(
    0x30,
    encode(0xa0, encode(0x02, Buffer.from([2]))),
    encode(0x02, Buffer.from([1]), randomBytes(8)),
    algorithm,
    name,
    encode(0x30, ...times),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    encode(0xa3, encode(0x30, extension)),
  )
  const signature = encode(0x03, Buffer.from([0]), sign(null, body, privateKey))
  const certificate = encode(0x30, body, algorithm, signature)
  return {
    certificate: new X509Certificate(certificate).toString(),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

function encode(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}
