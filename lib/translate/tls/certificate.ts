/** Reads and checks certificates of TLS Secrets, and reports their problems. */
import { createHash, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import type { DiagnosticCode, DiagnosticList } from '../../base/diagnostics.ts'
import type { SourcePosition } from '../../base/position.ts'
import { printName } from '../../base/resource-name.ts'
import { printResource, type Secret } from '../../kubernetes/resource.ts'
import { type Certificate, EXPIRES_SOON_MS } from '../../model/certificate.ts'
import { createRef, type ResourceRef } from '../../model/resource-ref.ts'

/** A Secret that was read: its certificate, or the reason why it has none; and the data of its `tls.crt`, if readable. */
export type ReadSecret = Readonly<{ secret: Secret; problems: readonly CertificateProblem[]; leaf: Leaf | undefined }> &
  (Readonly<{ certificate: Certificate; failure: undefined }> | Readonly<{ certificate: undefined; failure: string }>)

type Leaf = Pick<Certificate, 'name' | 'commonName' | 'notBefore' | 'notAfter'>

export type CertificateProblem = Readonly<{ code: DiagnosticCode; message: string; help: string }>

const KEYS = ['tls.crt', 'tls.key'] as const
const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** Reads `tls.crt` (leaf first) and `tls.key` of a Secret of any type (E5). `outcome` is what is done without them. */
export function readSecret(secret: Secret, outcome: string = 'the default certificate is served'): ReadSecret {
  const faults: CertificateProblem[] = []
  const add = (code: DiagnosticCode, message: string, help: string): void => {
    faults.push({ code, message, help: `${help}; ${outcome}` })
  }
  const name = printName(secret.meta)
  const [chainPem, keyPem] = KEYS.map((key) => {
    const text = secret.data.get(key)?.toString('latin1') ?? ''
    return text.trim() === '' ? undefined : text
  })
  const missing = KEYS.filter((_, index) => (index === 0 ? chainPem : keyPem) === undefined)
  if (missing.length > 0) {
    const others = [...secret.data.keys()].filter((other) => !(KEYS as readonly string[]).includes(other))
    const has = others.length > 0 ? `, it has ${others.map((other) => `"${other}"`).join(', ')}` : ''
    const message = `secret "${name}" has no ${missing.join(' and no ')}${has}`
    add('PORTICO_TLS_CERTIFICATE_INVALID', message, 'a TLS Secret holds tls.crt and tls.key')
  }
  const chain = chainPem === undefined ? undefined : readChain(name, chainPem, add)
  const key = keyPem === undefined ? undefined : readKey(name, keyPem, add)
  const leaf = chain && describeLeaf(name, chain.leaf)
  if (chain && key && !chain.leaf.checkPrivateKey(key)) {
    const owner = chain.certificates.findIndex((other) => other.checkPrivateKey(key))
    add(
      'PORTICO_TLS_KEY_MISMATCH',
      `tls.key of secret "${name}" does not belong to its certificate "${commonName(chain.leaf.subject)}"`,
      owner > 0
        ? `it belongs to certificate ${owner + 1} of tls.crt: put that one first`
        : 'take both from the same issue of the certificate',
    )
  }
  const [fault] = faults
  if (fault) return { secret, leaf, certificate: undefined, failure: fault.message, problems: faults }
  const certificate = describeCertificate(leaf!, chain!, keyPem!, createRef(secret))
  return { secret, leaf, certificate, failure: undefined, problems: findWeakness(certificate, chain!.leaf) }
}

type Chain = Readonly<{ leaf: X509Certificate; certificates: readonly X509Certificate[]; blocks: readonly string[] }>
type AddFault = (code: DiagnosticCode, message: string, help: string) => void

/** The chain, leaf first; undefined, and reported, if the text is not a chain of certificates. */
function readChain(name: string, pem: string, add: AddFault): Chain | undefined {
  const blocks = pem.match(PEM_CERTIFICATE) ?? []
  const certificates = blocks.map(parseCertificate).filter((certificate) => certificate !== undefined)
  const [leaf] = certificates
  if (leaf && certificates.length === blocks.length) return { leaf, certificates, blocks }
  const message = `tls.crt of secret "${name}" is not a PEM certificate`
  add('PORTICO_TLS_CERTIFICATE_INVALID', message, describeBadPem(pem, blocks.length))
  return undefined
}

/** Undefined, and reported, if the text is not a private key. */
function readKey(name: string, keyPem: string, add: AddFault): KeyObject | undefined {
  if (/ENCRYPTED/.test(keyPem)) {
    const help = 'store it without a passphrase: openssl pkey -in tls.key -out plain.key'
    add('PORTICO_TLS_CERTIFICATE_INVALID', `tls.key of secret "${name}" is encrypted`, help)
    return undefined
  }
  try {
    return createPrivateKey(keyPem)
  } catch {
    const message = `tls.key of secret "${name}" is not a PEM private key`
    add('PORTICO_TLS_CERTIFICATE_INVALID', message, describeBadPem(keyPem, 0))
    return undefined
  }
}

/** Reports the problems of a Secret. They point at its name, since an excerpt of its data could show the key. */
export function reportSecret(
  { secret, leaf, certificate, problems }: ReadSecret,
  now: number,
  usedAt: () => SourcePosition | undefined,
  diagnostics: DiagnosticList,
): void {
  const all = leaf === undefined ? problems : [...findValidity(leaf, now, certificate !== undefined), ...problems]
  for (const { code, message, help } of all) {
    const position = usedAt()
    diagnostics.add(code, message, {
      position: secret.origin.locate(['metadata', 'name']),
      resource: printResource(secret),
      help,
      notes: position === undefined ? [] : [{ message: 'used here', position }],
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

function describeLeaf(name: string, leaf: X509Certificate): Leaf {
  return {
    name,
    commonName: commonName(leaf.subject),
    notBefore: Date.parse(leaf.validFrom),
    notAfter: Date.parse(leaf.validTo),
  }
}

function describeCertificate(
  facts: Leaf,
  { leaf, blocks }: Chain,
  privateKeyPem: string,
  owner: ResourceRef,
): Certificate {
  const certificatePem = `${blocks.join('\n')}\n`
  return Object.freeze({
    ...facts,
    certificatePem,
    privateKeyPem,
    fingerprint: createHash('sha256').update(certificatePem).update('\0').update(privateKeyPem).digest('hex'),
    subjectAltNames: Object.freeze(readNames(leaf)),
    issuer: commonName(leaf.issuer),
    selfSigned: leaf.subject === leaf.issuer && leaf.verify(leaf.publicKey),
    owner,
  })
}

/** Finds problems of the dates. An expired certificate is still served (E6). */
function findValidity(
  { commonName: subject, name, notBefore, notAfter }: Leaf,
  now: number,
  isServed: boolean,
): CertificateProblem[] {
  const what = `certificate "${subject}" (secret "${name}")`
  const date = (time: number): string => new Date(time).toISOString().slice(0, 10)
  const served = isServed ? 'it is used all the same; ' : ''
  const problems: CertificateProblem[] = []
  if (notAfter <= now) {
    const message = `${what} expired on ${date(notAfter)}`
    problems.push({ code: 'PORTICO_TLS_EXPIRED', message, help: `${served}renew it` })
  } else if (notAfter - now <= EXPIRES_SOON_MS) {
    const message = `${what} expires on ${date(notAfter)}`
    problems.push({ code: 'PORTICO_TLS_EXPIRES_SOON', message, help: 'renew it' })
  }
  if (notBefore > now) {
    problems.push({
      code: 'PORTICO_TLS_NOT_YET_VALID',
      message: `${what} is valid from ${date(notBefore)} on`,
      help: `${served}check the clock of this machine and of the issuer`,
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

/** Explains the usual accidents: base64 twice, DER, or a file of another kind. */
function describeBadPem(text: string, blocks: number): string {
  if (/^LS0tLS1CRUdJTi/.test(text.trim()))
    return 'it is encoded in base64 twice: once is enough in data, none in stringData'
  if (blocks > 0) return 'one of its PEM blocks is damaged'
  const label =
    /-----BEGIN ((?:[A-Z0-9]+ )?(?:PRIVATE KEY|PUBLIC KEY|CERTIFICATE|CERTIFICATE REQUEST|PARAMETERS))-----/.exec(
      text,
    )?.[1]
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

/** The CN; without it the O; without both the whole name on one line. */
function commonName(subject: string): string {
  const fields = (subject ?? '').split('\n')
  const find = (key: string): string | undefined =>
    fields.find((field) => field.startsWith(`${key}=`))?.slice(key.length + 1)
  return find('CN') ?? find('O') ?? fields.join(', ')
}
