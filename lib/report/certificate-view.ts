/** The certificates, as the admin API and `portico get` show them: what each is for, and how long it is good. No keys. */

import { printIsoTime } from '../base/clock.ts'
import { compareText } from '../base/order.ts'
import type { SourcePosition } from '../base/position.ts'
import { printName } from '../base/resource-name.ts'
import { type CertificateBinding, judgeValidity, type Validity } from '../model/certificate.ts'
import type { Model } from '../model/model.ts'
import { type Locate, NAME_FIELD } from '../model/resource-ref.ts'
import { locateField, printPlace } from './place.ts'

export type CertificateRow = Readonly<{
  /** `namespace/secret`; `default` for the default certificate; `''` where TLS is passed through. */
  name: string
  commonName: string
  subjectAltNames: readonly string[]
  issuer: string
  selfSigned: boolean
  /** ISO 8601; `''` where unknown. */
  notBefore: string
  notAfter: string
  daysLeft: number
  /** `unknown`: the default certificate, which a gateway makes or reads when it starts. */
  state: Validity | 'unknown' | 'passed through'
  /** The hosts it is served for. */
  hosts: readonly string[]
  /** Why these hosts get it; for the default certificate, why they do not get their own. */
  reason: string
  ingress: string
  source: string | undefined
}>

const DAY = 86_400_000

/** What a certificate row needs of a certificate: everything but the key. */
type ShownCertificate = Omit<NonNullable<CertificateBinding['certificate']>, 'privateKeyPem'>

/**
 * Every certificate with the hosts it is served for, by name. Hosts whose Secret cannot be used stand with the default
 * certificate, one row for each reason. `now` in milliseconds since the epoch.
 */
export function certificatesView(
  model: Model,
  locate: Locate,
  now: number,
  defaultCertificate?: ShownCertificate,
): readonly CertificateRow[] {
  const groups = new Map<string, CertificateBinding[]>()
  for (const binding of model.certificates) {
    const key = JSON.stringify([
      binding.certificate?.fingerprint ?? '',
      binding.certificate?.name ?? '',
      binding.reason,
    ])
    const group = groups.get(key)
    if (group) group.push(binding)
    else groups.set(key, [binding])
  }
  const rows: CertificateRow[] = []
  for (const bindings of groups.values()) {
    const [first] = bindings
    if (!first) continue
    const isPassed = first.passthrough !== undefined
    const certificate = isPassed ? undefined : (first.certificate ?? defaultCertificate)
    rows.push(
      certificateRow(certificate, now, {
        hosts: bindings.map(({ host }) => printBoundHost(host)).sort(compareText),
        reason: first.reason,
        isPassed,
        ingress: [
          ...new Set(bindings.flatMap(({ owner }) => (owner.kind === 'Ingress' ? [printName(owner)] : []))),
        ].join(', '),
        position: first.certificate?.owner ? locate(first.certificate.owner, NAME_FIELD) : locateField(first, locate),
      }),
    )
  }
  rows.sort((a, b) => compareText(a.name, b.name) || compareText(a.hosts[0] ?? '', b.hosts[0] ?? ''))
  const hasRest = model.certificates.some(({ host }) => host === '')
  if (defaultCertificate && !hasRest) {
    rows.push(
      certificateRow(defaultCertificate, now, {
        hosts: [printBoundHost('')],
        reason: 'for all other names',
        isPassed: false,
        ingress: '',
        position: undefined,
      }),
    )
  }
  return rows
}

/** The host of a binding, for people. */
export function printBoundHost(host: string): string {
  return host === '' ? '*' : host
}

function certificateRow(
  certificate: ShownCertificate | undefined,
  now: number,
  use: {
    hosts: readonly string[]
    reason: string
    isPassed: boolean
    ingress: string
    position: SourcePosition | undefined
  },
): CertificateRow {
  const notBefore = certificate?.notBefore ?? Number.NaN
  const notAfter = certificate?.notAfter ?? Number.NaN
  return {
    name: certificate?.name ?? (use.isPassed ? '' : 'default'),
    commonName: certificate?.commonName ?? '',
    subjectAltNames: certificate?.subjectAltNames ?? [],
    issuer: certificate?.issuer ?? '',
    selfSigned: certificate?.selfSigned ?? !use.isPassed,
    notBefore: printIsoTime(notBefore),
    notAfter: printIsoTime(notAfter),
    daysLeft: Number.isNaN(notAfter) ? 0 : Math.trunc((notAfter - now) / DAY),
    state: certificate ? judgeValidity(certificate, now) : use.isPassed ? 'passed through' : 'unknown',
    hosts: use.hosts,
    reason: use.reason,
    ingress: use.ingress,
    source: use.position && printPlace(use.position),
  }
}
