/** The certificate for names that have none of their own: self-signed, made once and kept on disk between starts. */
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import { chmod, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../base/clock.ts'
import { keepFile } from '../base/data-folder.ts'
import type { Certificate } from '../model/certificate.ts'
import type { Log } from '../telemetry/log.ts'

export type DefaultCertificate = Certificate

const DAY = 86_400_000
/** Browsers refuse longer ones (Apple: 398 days), also when the person has accepted them by hand. */
const LIFETIME = 397 * DAY
const RENEW_BEFORE = 30 * DAY
const COMMON_NAME = 'portico default certificate'
const DNS_NAMES = ['localhost', '*.localhost']
const ADDRESSES = ['127.0.0.1', '::1']
/** Certificate and key in one file, so that a crash between two renames cannot part them. */
const FILE = 'default-certificate.pem'

/**
 * Reads the certificate from `dataDir`, or makes one: when there is none, when it is unreadable or its key is another's,
 * and from 30 days before it expires. Where the folder cannot be written it lives in memory, and the log says so.
 */
export async function loadDefaultCertificate(dataDir: string, clock: Clock, log: Log): Promise<DefaultCertificate> {
  const path = join(dataDir, FILE)
  const kept = await readKept(path, clock, log)
  if (kept) return kept
  const made = await makePem(clock)
  try {
    await keepFile(dataDir, FILE, made)
    log.info({ path }, 'default certificate made')
  } catch (error) {
    log.warn({ err: error, path }, 'default certificate cannot be kept: a new one is made at each start')
  }
  return decode(made)
}

async function readKept(path: string, clock: Clock, log: Log): Promise<DefaultCertificate | undefined> {
  try {
    const certificate = decode(await readFile(path, 'utf8'))
    if ((await stat(path)).mode & 0o077) {
      await chmod(path, 0o600)
      log.warn({ path }, 'private key of the default certificate was readable by others')
    }
    const now = clock.now()
    if (certificate.notBefore <= now && certificate.notAfter - now > RENEW_BEFORE) return certificate
    log.info({ path }, 'default certificate is renewed: it has expired or soon will')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      log.warn({ err: error, path }, 'default certificate cannot be used and is made anew')
    }
  }
  return undefined
}

/** Throws where certificate and key are not a pair. */
function decode(pem: string): DefaultCertificate {
  const certificate = new X509Certificate(pem)
  if (!certificate.checkPrivateKey(createPrivateKey(pem))) throw new Error('the key belongs to another certificate')
  return Object.freeze({
    name: 'default',
    certificatePem: certificate.toString(),
    privateKeyPem: pem.slice(pem.indexOf('-----BEGIN PRIVATE KEY-----')),
    fingerprint: createHash('sha256').update(pem).digest('hex'),
    commonName: COMMON_NAME,
    subjectAltNames: Object.freeze([...DNS_NAMES, ...ADDRESSES]),
    issuer: COMMON_NAME,
    selfSigned: true,
    notBefore: Date.parse(certificate.validFrom),
    notAfter: Date.parse(certificate.validTo),
  })
}

async function makePem(clock: Clock): Promise<string> {
  // Most starts find the certificate of an earlier one, and this package has two hundred files to load.
  const { generate } = await import('selfsigned')
  const now = clock.now()
  const { cert, private: key } = await generate([{ name: 'commonName', value: COMMON_NAME }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    // A client whose clock is a little behind still accepts it.
    notBeforeDate: new Date(now - 3_600_000),
    notAfterDate: new Date(now + LIFETIME),
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          ...DNS_NAMES.map((value) => ({ type: 2 as const, value })),
          ...ADDRESSES.map((ip) => ({ type: 7 as const, ip })),
        ],
      },
    ],
  })
  return `${cert.trimEnd()}\n${key.trimEnd()}\n`
}
