import { createPrivateKey } from 'node:crypto'
import { generate } from 'selfsigned'
import t from 'tap'
import type { Diagnostic } from '../../../lib/base/diagnostics.ts'
import type { Model } from '../../../lib/model/model.ts'
import { findIngressTable } from '../../../lib/model/route-table.ts'
import { makeCertificate, type Pem } from '../../helpers/certificates.ts'
import { fixedClock, translateText } from '../manifests.ts'

const DAY = 86_400_000
const NOW = fixedClock.now()
const valid = { notBefore: new Date(NOW - DAY), notAfter: new Date(NOW + 90 * DAY) }

/** A Secret whose data are given as text. */
function secret(name: string, data: Readonly<Record<string, string>>, type: string = 'kubernetes.io/tls'): string {
  const lines = Object.entries(data).map(([key, text]) => `  ${key}: ${Buffer.from(text).toString('base64')}`)
  return `apiVersion: v1\nkind: Secret\nmetadata: {name: ${name}}\ntype: ${type}\ndata:\n${lines.join('\n')}\n`
}

function tlsSecret(name: string, pem: Pem): string {
  return secret(name, { 'tls.crt': pem.certificate, 'tls.key': pem.key })
}

/** An Ingress with one tls section and a rule for each host. */
function ingress(name: string, section: string, hosts: readonly string[], meta: string = ''): string {
  const rules = hosts.map((host) => (host === '' ? '{}' : `{host: "${host}"}`))
  const spec = `{tls: [${section}], rules: [${rules.join(', ')}]}`
  return `apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: ${name}${meta}}\nspec: ${spec}\n`
}

type Result = { model: Model; diagnostics: readonly Diagnostic[] }

function translateAll(...documents: readonly string[]): Result {
  return translateText(documents.join('---\n'))
}

/** `host → certificate` for each binding. */
function bindings({ model }: Result): string[] {
  return model.certificates.map(({ host, certificate }) => `${host} → ${certificate?.name ?? 'default'}`)
}

function codes({ diagnostics }: Result): string[] {
  return diagnostics.map(({ code }) => code)
}

t.test('I-27 a host of a tls section is served with the certificate of its Secret', async (t) => {
  const pem = await makeCertificate({ names: ['a.com', '*.a.com'], ...valid })
  const result = translateAll(
    ingress('web', '{hosts: [a.com, "*.a.com", b.a.com], secretName: tls}', ['a.com']),
    tlsSecret('tls', pem),
  )
  t.same(bindings(result), ['a.com → default/tls', 'b.a.com → default/tls', '*.a.com → default/tls'])
  t.same(codes(result), [])
  const certificate = result.model.certificates[0]?.certificate
  t.match(certificate, {
    commonName: 'a.com',
    subjectAltNames: ['a.com', '*.a.com'],
    selfSigned: true,
    notAfter: NOW + 90 * DAY,
    fingerprint: /^[0-9a-f]{64}$/,
  })
  t.equal(certificate?.privateKeyPem, pem.key)
})

t.test('E5 an Opaque Secret with the two keys does too', async (t) => {
  const pem = await makeCertificate({ names: ['a.com'], ...valid })
  const opaque = secret('tls', { 'tls.crt': pem.certificate, 'tls.key': pem.key, 'ca.crt': 'x' }, 'Opaque')
  const result = translateAll(ingress('web', '{hosts: [a.com], secretName: tls}', ['a.com']), opaque)
  t.same(bindings(result), ['a.com → default/tls'])
})

t.test('E6 a chain is served leaf first, and an authority signs', async (t) => {
  const authority = await makeCertificate({ names: ['Test Authority'], isAuthority: true, ...valid })
  const leaf = await makeCertificate({ names: ['a.com'], issuer: authority, ...valid })
  const section = '{hosts: [a.com], secretName: tls}'
  const right = translateAll(
    ingress('web', section, ['a.com']),
    tlsSecret('tls', { certificate: `${leaf.certificate}\n${authority.certificate}`, key: leaf.key }),
  )
  t.same(codes(right), [])
  t.match(right.model.certificates[0]?.certificate, { issuer: 'Test Authority', selfSigned: false })
  t.equal(right.model.certificates[0]?.certificate?.certificatePem.match(/BEGIN/g)?.length, 2)
  const wrong = translateAll(
    ingress('web', section, ['a.com']),
    tlsSecret('tls', { certificate: `${authority.certificate}\n${leaf.certificate}`, key: leaf.key }),
  )
  t.same(codes(wrong), ['PORTICO_TLS_KEY_MISMATCH'])
  t.match(wrong.diagnostics[0]?.help, /it belongs to certificate 2 of tls.crt: put that one first/)
})

t.test('TLS-06, I-31 a Secret that cannot be used is reported, and the default certificate is served', async (t) => {
  const pem = await makeCertificate({ names: ['a.com'], ...valid })
  const other = await makeCertificate({ names: ['a.com'], ...valid })
  const encrypted = createPrivateKey(pem.key).export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'x',
  })
  const half = pem.certificate.replace(/\n.{20}/, '\n')
  const cases: readonly (readonly [string, Readonly<Record<string, string>>, string, RegExp])[] = [
    ['wrong key names', { 'cert.pem': pem.certificate }, 'INVALID', /has no tls.crt and no tls.key, it has "cert.pem"/],
    ['certificate without key', { 'tls.crt': pem.certificate }, 'INVALID', /has no tls.key/],
    ['empty', { 'tls.crt': '', 'tls.key': '' }, 'INVALID', /has no tls.crt and no tls.key/],
    ['garbage', { 'tls.crt': 'garbage', 'tls.key': pem.key }, 'INVALID', /tls.crt of .* is not a PEM certificate/],
    ['damaged', { 'tls.crt': half, 'tls.key': pem.key }, 'INVALID', /tls.crt of .* is not a PEM certificate/],
    [
      'garbage key',
      { 'tls.crt': pem.certificate, 'tls.key': 'x' },
      'INVALID',
      /tls.key of .* is not a PEM private key/,
    ],
    [
      'encrypted key',
      { 'tls.crt': pem.certificate, 'tls.key': encrypted.toString() },
      'INVALID',
      /tls.key of .* is encrypted/,
    ],
    [
      'swapped',
      { 'tls.crt': pem.key, 'tls.key': pem.certificate },
      'INVALID',
      /tls.crt of .* is not a PEM certificate/,
    ],
    [
      'key of another',
      { 'tls.crt': pem.certificate, 'tls.key': other.key },
      'KEY_MISMATCH',
      /does not belong to its certificate "a.com"/,
    ],
  ]
  for (const [name, data, kind, message] of cases) {
    const result = translateAll(
      ingress('web', '{hosts: [a.com], secretName: tls}', ['a.com']),
      secret('tls', data, 'Opaque'),
    )
    t.same(bindings(result), ['a.com → default'], name)
    const [diagnostic] = result.diagnostics
    t.equal(result.diagnostics.length, name === 'swapped' ? 2 : 1, name)
    t.match(diagnostic, { message, severity: 'error', notes: [{ message: 'used here' }] }, name)
    t.ok(diagnostic?.code.endsWith(kind), `${name}: ${diagnostic?.code}`)
    t.match(result.model.certificates[0]?.reason, message, `${name}: the reason is kept`)
    t.notMatch(JSON.stringify(result.diagnostics), /BEGIN PRIVATE|LS0t|MIG/, `${name}: nothing of the key is shown`)
  }
})

t.test('TLS-07 dates and weak keys are reported, and the certificate is served', async (t) => {
  const weak = await generate([{ name: 'commonName', value: 'a.com' }], {
    keySize: 1024,
    algorithm: 'sha256',
    notBeforeDate: valid.notBefore,
    notAfterDate: valid.notAfter,
  })
  const day = (days: number): Date => new Date(NOW + days * DAY)
  const cases: readonly (readonly [string, Pem, string, RegExp])[] = [
    [
      'expired',
      await makeCertificate({ names: ['a.com'], notBefore: day(-20), notAfter: day(-1) }),
      'PORTICO_TLS_EXPIRED',
      /expired on 2025-12-31/,
    ],
    [
      'soon',
      await makeCertificate({ names: ['a.com'], notBefore: day(-20), notAfter: day(13) }),
      'PORTICO_TLS_EXPIRES_SOON',
      /expires on 2026-01-14/,
    ],
    [
      'early',
      await makeCertificate({ names: ['a.com'], notBefore: day(1), notAfter: day(90) }),
      'PORTICO_TLS_NOT_YET_VALID',
      /valid from 2026-01-02 on/,
    ],
    ['weak', { certificate: weak.cert, key: weak.private }, 'PORTICO_TLS_WEAK_KEY', /has 1024 bits/],
  ]
  for (const [name, pem, code, message] of cases) {
    const result = translateAll(ingress('web', '{hosts: [a.com], secretName: tls}', ['a.com']), tlsSecret('tls', pem))
    t.same(codes(result), [code], name)
    t.match(result.diagnostics[0]?.message, message, name)
    t.same(bindings(result), ['a.com → default/tls'], name)
  }
})

t.test('I-31 a host the certificate does not cover gets the default one', async (t) => {
  const pem = await makeCertificate({ names: ['a.com'], ...valid })
  const result = translateAll(
    ingress('web', '{hosts: [a.com, b.com], secretName: tls}', ['a.com', 'b.com']),
    tlsSecret('tls', pem),
  )
  t.same(bindings(result), ['a.com → default/tls', 'b.com → default'])
  t.same(codes(result), ['PORTICO_TLS_HOST_NOT_COVERED'])
  t.equal(result.model.certificates[1]?.reason, 'certificate default/tls does not cover b.com')
})

t.test('I-30 a section without hosts offers its certificate to the hosts it covers', async (t) => {
  const pem = await makeCertificate({ names: ['a.com', '*.b.com', '10.0.0.1'], ...valid })
  const named = translateAll(ingress('web', '{secretName: tls}', ['a.com', 'x.b.com', 'c.com']), tlsSecret('tls', pem))
  t.same(bindings(named), ['a.com → default/tls', 'c.com → default', 'x.b.com → default/tls'])
  t.same(codes(named), [])
  const open = translateAll(ingress('web', '{secretName: tls}', ['']), tlsSecret('tls', pem))
  t.same(bindings(open), ['a.com → default/tls', '*.b.com → default/tls'], 'a rule for every host: all names it covers')
  const none = translateAll(ingress('web', '{secretName: tls}', ['z.com']), tlsSecret('tls', pem))
  t.same(codes(none), ['PORTICO_TLS_HOST_NOT_COVERED'])
})

t.test('I-32 the older Ingress brings the certificate; a later one where the first had none', async (t) => {
  const first = await makeCertificate({ names: ['a.com'], ...valid })
  const second = await makeCertificate({ names: ['a.com'], ...valid })
  const old = ', creationTimestamp: "2024-01-01T00:00:00Z"'
  const young = ', creationTimestamp: "2025-01-01T00:00:00Z"'
  const secrets = [tlsSecret('first', first), tlsSecret('second', second), tlsSecret('copy', first)]
  const both = translateAll(
    ingress('a', '{hosts: [a.com], secretName: second}', ['a.com'], young),
    ingress('b', '{hosts: [a.com], secretName: first}', ['a.com'], old),
    ...secrets,
  )
  t.same(bindings(both), ['a.com → default/first'])
  t.same(codes(both), ['PORTICO_TLS_CONFLICT'])
  t.match(both.diagnostics[0]?.notes, [{ message: 'Ingress default/b wins' }])
  const later = translateAll(
    ingress('a', '{hosts: [a.com], secretName: second}', ['a.com'], young),
    ingress('b', '{hosts: [a.com]}', ['a.com'], old),
    ...secrets,
  )
  t.same(bindings(later), ['a.com → default/second'])
  const same = translateAll(
    ingress('a', '{hosts: [a.com], secretName: copy}', ['a.com'], young),
    ingress('b', '{hosts: [a.com], secretName: first}', ['a.com'], old),
    ...secrets,
  )
  t.same(codes(same), [], 'the same certificate twice is no conflict')
})

t.test('I-32 a host of a tls section without a rule routes nothing', async (t) => {
  const pem = await makeCertificate({ names: ['a.com'], ...valid })
  const result = translateAll(ingress('web', '{hosts: [a.com], secretName: tls}', ['b.com']), tlsSecret('tls', pem))
  t.same(bindings(result), ['a.com → default/tls'])
  t.same(
    findIngressTable(result.model).hosts.map(({ host, filters }) => ({ host, filters })),
    [{ host: 'b.com', filters: undefined }],
  )
})

t.test('a Secret of an Ingress that has none of it is reported once for each section', async (t) => {
  const result = translateAll(
    ingress('web', '{hosts: [a.com, b.com], secretName: shop-tsl}', ['a.com']),
    secret('shop-tls', { 'tls.crt': 'x', 'tls.key': 'x' }),
  )
  t.same(codes(result), ['PORTICO_REF_SECRET_NOT_FOUND'])
  t.match(result.diagnostics[0], {
    message: 'secret "shop-tsl" not found in namespace "default"',
    help: 'did you mean "shop-tls"? the default certificate is served',
    notes: [{ message: 'secret "shop-tls" is here' }],
  })
})
