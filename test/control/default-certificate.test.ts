/** The default certificate on real files: made once, kept safely, remade when it cannot serve. */
import { X509Certificate } from 'node:crypto'
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createSecureContext } from 'node:tls'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { type Clock, systemClock } from '../../lib/base/clock.ts'
import { loadDefaultCertificate } from '../../lib/control/default-certificate.ts'
import { makeCertificate } from '../helpers/certificates.ts'

const DAY = 86_400_000

function prepare(t: Test) {
  const folder = join(t.testdir(), 'data', 'portico')
  const lines: string[] = []
  const log = pino({}, { write: (line: string) => void lines.push(JSON.parse(line).msg) })
  const load = (clock: Clock = systemClock) => loadDefaultCertificate(folder, clock, log)
  return { folder, path: join(folder, 'default-certificate.pem'), lines, load }
}

/** A clock that is `days` ahead. */
function ahead(days: number): Clock {
  return { now: () => Date.now() + days * DAY, monotonic: systemClock.monotonic }
}

t.test('it is made at the first start, for its owner alone, and is the same at the next', async (t) => {
  const { folder, path, load, lines } = prepare(t)
  const first = await load()
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.equal(statSync(folder).mode & 0o777, 0o700)
  t.same(readdirSync(folder), ['default-certificate.pem'], 'no temporary file is left')
  t.same(lines, ['default certificate made'])
  const second = await load()
  t.equal(second.fingerprint, first.fingerprint)
  t.same(lines, ['default certificate made'])
})

t.test('it is what browsers accept, and can be served', async (t) => {
  const { load } = prepare(t)
  const { certificatePem, privateKeyPem, ...rest } = await load()
  const parsed = new X509Certificate(certificatePem)
  t.match(parsed.subject, 'CN=portico default certificate')
  t.ok(parsed.checkHost('localhost'))
  t.match(parsed.subjectAltName, 'DNS:*.localhost')
  t.ok(parsed.checkIP('127.0.0.1'))
  t.ok(parsed.checkIP('::1'))
  t.equal(parsed.publicKey.asymmetricKeyType, 'ec')
  t.ok(Date.parse(parsed.validTo) - Date.parse(parsed.validFrom) < 398 * DAY)
  t.match(rest, { name: 'default', selfSigned: true, commonName: 'portico default certificate' })
  t.doesNotThrow(() => createSecureContext({ cert: certificatePem, key: privateKeyPem }))
})

t.test('it is renewed from 30 days before its end', async (t) => {
  const { load, lines } = prepare(t)
  const first = await load()
  t.equal((await load(ahead(366))).fingerprint, first.fingerprint, '31 days are left')
  const renewed = await load(ahead(368))
  t.not(renewed.fingerprint, first.fingerprint)
  t.ok(renewed.notAfter > first.notAfter)
  t.ok(lines.includes('default certificate is renewed: it has expired or soon will'))
  t.equal((await load(ahead(368))).fingerprint, renewed.fingerprint, 'the new one is kept')
})

t.test('what is broken, cut short, or of two halves is made anew', async (t) => {
  const { path, load, lines } = prepare(t)
  const other = await makeCertificate({ names: ['other'] })
  const whole = `${(await load()).certificatePem}`
  const cases: Record<string, string> = {
    garbage: 'garbage',
    empty: '',
    'no key': whole,
    'a foreign key': `${whole}\n${other.key}`,
    'cut short': readFileSync(path, 'utf8').slice(0, -60),
  }
  for (const [name, text] of Object.entries(cases)) {
    writeFileSync(path, text)
    lines.length = 0
    const made = await load()
    t.same(lines, ['default certificate cannot be used and is made anew', 'default certificate made'], name)
    t.equal((await load()).fingerprint, made.fingerprint, name)
  }
})

t.test('TLS-23 a key that others could read is closed to them', async (t) => {
  const { path, load, lines } = prepare(t)
  const first = await load()
  chmodSync(path, 0o644)
  t.equal((await load()).fingerprint, first.fingerprint)
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.ok(lines.includes('private key of the default certificate was readable by others'))
})

t.test('where the folder cannot be written it lives in memory, and the log says so', async (t) => {
  const { folder, load, lines } = prepare(t)
  // A file where the folder should be: root, who may write anywhere, is refused too.
  mkdirSync(join(folder, '..'), { recursive: true })
  writeFileSync(folder, '')
  const made = await load()
  t.doesNotThrow(() => createSecureContext({ cert: made.certificatePem, key: made.privateKeyPem }))
  t.ok(lines.includes('default certificate cannot be kept: a new one is made at each start'))
})

t.test('a folder that takes no children is no reason to hang', { skip: process.platform !== 'linux' }, async (t) => {
  const lines: string[] = []
  const log = pino({}, { write: (line: string) => void lines.push(JSON.parse(line).msg) })
  for (const folder of ['/proc/nope', '/proc/nope/deeper', '/proc/self/fd/nope']) {
    lines.length = 0
    const made = await loadDefaultCertificate(folder, systemClock, log)
    t.doesNotThrow(() => createSecureContext({ cert: made.certificatePem, key: made.privateKeyPem }), folder)
    t.same(lines, ['default certificate cannot be kept: a new one is made at each start'], folder)
  }
})
