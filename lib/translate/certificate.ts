/** Certificates from TLS Secrets: read, checked, and reported where something is wrong with them. */
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import type { DiagnosticCode, DiagnosticList } from '../base/diagnostics.ts'
import type { SourcePosition } from '../base/position.ts'
import { printName, printResource, type Secret } from '../kubernetes/resource.ts'
import type { Certificate } from '../model/certificate.ts'

/** A Secret read: a certificate, or why there is none. */
export type ReadSecret = Readonly<{ secret: Secret; problems: readonly CertificateProblem[] }> &
  (Readonly<{ certificate: Certificate; failure: undefined }> | Readonly<{ certificate: undefined; failure: string }>)

export type CertificateProblem = Readonly<{ code: DiagnosticCode; message: string; help: string }>

const DAY = 86_400_000
const SOON_DAYS = 14
const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** Reads `tls.crt` (leaf first) and `tls.key` of a Secret of any type (E5). */
export function readSecret(secret: Secret): ReadSecret {
  const fail = (code: DiagnosticCode, reason: string, help: string): ReadSecret => {
    const problem = { code, message: reason, help: `${help}; the default certificate is served` }
    return { secret, certificate: undefined, failure: reason, problems: [problem] }
  }
  const invalid = (reason: string, help: string): ReadSecret => fail('PORTICO_TLS_CERTIFICATE_INVALID', reason, help)

  const name = printName(secret.meta)
  const chain = secret.data.get('tls.crt')?.toString('latin1') ?? ''
  const keyPem = secret.data.get('tls.key')?.toString('latin1') ?? ''
  for (const [key, text] of Object.entries({ 'tls.crt': chain, 'tls.key': keyPem })) {
    if (text.trim() !== '') continue
    const others = [...secret.data.keys()].filter((other) => other !== 'tls.crt' && other !== 'tls.key')
    const has = others.length > 0 ? `, it has ${others.map((other) => `"${other}"`).join(', ')}` : ''
    return invalid(`secret "${name}" has no ${key}${has}`, 'a TLS Secret holds tls.crt and tls.key')
  }
  const blocks = chain.match(PEM_CERTIFICATE) ?? []
  const parsed = blocks.map(parseCertificate)
  const leaf = parsed[0]
  if (leaf === undefined || parsed.includes(undefined)) {
    return invalid(`tls.crt of secret "${name}" is not a PEM certificate`, describeBadPem(chain, blocks.length))
  }
  if (/ENCRYPTED/.test(keyPem)) {
    return invalid(
      `tls.key of secret "${name}" is encrypted`,
      'store it without a passphrase: openssl pkey -in tls.key -out plain.key',
    )
  }
  let key: ReturnType<typeof createPrivateKey>
  try {
    key = createPrivateKey(keyPem)
  } catch {
    return invalid(`tls.key of secret "${name}" is not a PEM private key`, describeBadPem(keyPem, 0))
  }
  if (!leaf.checkPrivateKey(key)) {
    const owner = parsed.findIndex((other) => other?.checkPrivateKey(key))
    return fail(
      'PORTICO_TLS_KEY_MISMATCH',
      `tls.key of secret "${name}" does not belong to its certificate "${commonName(leaf.subject)}"`,
      owner > 0
        ? `it belongs to certificate ${owner + 1} of tls.crt: put that one first`
        : 'take both from the same issue of the certificate',
    )
  }
  const certificate = describeCertificate(name, leaf, blocks, keyPem, secret.origin.locate(['metadata', 'name']))
  return { secret, certificate, failure: undefined, problems: findWeakness(certificate, leaf) }
}

/** Reports what is wrong with a Secret. Diagnostics point at its name: an excerpt of its data could show the key. */
export function reportSecret(
  { secret, certificate, problems }: ReadSecret,
  now: number,
  usedAt: () => SourcePosition,
  diagnostics: DiagnosticList,
): void {
  const all = certificate === undefined ? problems : [...findValidity(certificate, now), ...problems]
  for (const { code, message, help } of all) {
    diagnostics.add(code, message, {
      position: secret.origin.locate(['metadata', 'name']),
      resource: printResource(secret),
      help,
      notes: [{ message: 'used here', position: usedAt() }],
    })
  }
}

function findWeakness({ commonName: subject, name }: Certificate, leaf: X509Certificate): CertificateProblem[] {
  const bits = leaf.publicKey.asymmetricKeyDetails?.modulusLength
  if (leaf.publicKey.asymmetricKeyType !== 'rsa' || bits === undefined || bits >= 2048) return []
  const message = `the RSA key of certificate "${subject}" (secret "${name}") has ${bits} bits`
  const help = 'clients and newer OpenSSL versions refuse fewer than 2048: issue a new certificate'
  return [{ code: 'PORTICO_TLS_WEAK_KEY', message, help }]
}

function describeCertificate(
  name: string,
  leaf: X509Certificate,
  blocks: readonly string[],
  privateKeyPem: string,
  position: SourcePosition,
): Certificate {
  const certificatePem = `${blocks.join('\n')}\n`
  return Object.freeze({
    name,
    certificatePem,
    privateKeyPem,
    fingerprint: createHash('sha256').update(certificatePem).update('\0').update(privateKeyPem).digest('hex'),
    commonName: commonName(leaf.subject),
    subjectAltNames: Object.freeze(readNames(leaf)),
    issuer: commonName(leaf.issuer),
    selfSigned: leaf.subject === leaf.issuer && leaf.verify(leaf.publicKey),
    notBefore: Date.parse(leaf.validFrom),
    notAfter: Date.parse(leaf.validTo),
    position,
  })
}

/** An expired certificate is served all the same (E6). */
function findValidity(
  { commonName: subject, name, notBefore, notAfter }: Certificate,
  now: number,
): CertificateProblem[] {
  const what = `certificate "${subject}" (secret "${name}")`
  const date = (time: number): string => new Date(time).toISOString().slice(0, 10)
  const problems: CertificateProblem[] = []
  if (notAfter <= now) {
    const message = `${what} expired on ${date(notAfter)}`
    problems.push({ code: 'PORTICO_TLS_EXPIRED', message, help: 'it is served all the same; renew it' })
  } else if (notAfter - now <= SOON_DAYS * DAY) {
    const message = `${what} expires on ${date(notAfter)}`
    problems.push({ code: 'PORTICO_TLS_EXPIRES_SOON', message, help: 'renew it' })
  }
  if (notBefore > now) {
    problems.push({
      code: 'PORTICO_TLS_NOT_YET_VALID',
      message: `${what} is valid from ${date(notBefore)} on`,
      help: 'it is served all the same; check the clock of this machine and of the issuer',
    })
  }
  return problems
}

function parseCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem)
  } catch {
    return undefined
  }
}

/** The usual accidents: base64 twice, DER, and a file of another kind. */
function describeBadPem(text: string, blocks: number): string {
  if (/^LS0tLS1CRUdJTi/.test(text.trim()))
    return 'it is encoded in base64 twice: once is enough in data, none in stringData'
  if (blocks > 0) return 'one of its PEM blocks is damaged'
  const label = /-----BEGIN ([A-Z0-9 ]+)-----/.exec(text)?.[1]
  return label === undefined ? 'it must be PEM text that begins with -----BEGIN' : `its PEM block is "${label}"`
}

function readNames(leaf: X509Certificate): string[] {
  const names: string[] = []
  for (const part of (leaf.subjectAltName ?? '').split(', ')) {
    const match = /^(?:DNS|IP Address):(.+)$/.exec(part)
    if (match !== null) names.push(match[1]!.toLowerCase())
  }
  return names
}

/** CN, else O, else the whole name on one line. */
function commonName(subject: string): string {
  const fields = (subject ?? '').split('\n')
  const find = (key: string): string | undefined =>
    fields.find((field) => field.startsWith(`${key}=`))?.slice(key.length + 1)
  return find('CN') ?? find('O') ?? fields.join(', ')
}
