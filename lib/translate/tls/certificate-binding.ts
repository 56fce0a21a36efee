/** Binds each host to its certificate, from the tls sections of all Ingresses (I-27 to I-33). */
import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../../base/clock.ts'
import { type Diagnostic, DiagnosticList, type DiagnosticNote } from '../../base/diagnostics.ts'
import { matchesHostPattern } from '../../base/hostname.ts'
import { compareText } from '../../base/order.ts'
import type { FieldPath, SourcePosition } from '../../base/position.ts'
import { printName, splitName } from '../../base/resource-name.ts'
import { type Ingress, type IngressTls, printResource, type Secret } from '../../kubernetes/resource.ts'
import type { ResourceSet } from '../../kubernetes/store.ts'
import type { Certificate, CertificateBinding } from '../../model/certificate.ts'
import { createRef, NAME_FIELD, type ResourceRef } from '../../model/resource-ref.ts'
import { KeyOrder, Memo, Sieve } from '../reuse.ts'
import { NameIndex, Suggestions } from '../suggestion.ts'
import { type ReadSecret, readSecret, reportSecret } from './certificate.ts'

/** A Secret that a tls section names and that is missing or cannot be used. */
type MissingSecret = Readonly<{
  secret: undefined
  certificate: undefined
  failure: string
  help: string
  notes: readonly DiagnosticNote[]
}>

/** The claims of one Ingress: bindings of the hosts in its tls sections, and of hosts that it offers a certificate to. */
type TlsClaims = Readonly<{
  named: readonly CertificateBinding[]
  offered: readonly CertificateBinding[]
  diagnostics: readonly Diagnostic[]
}>

/** What is said of TLS beside tls sections. */
type TlsTerms = Readonly<{
  /** Of hosts whose TLS does not end here. */
  passthroughs: readonly CertificateBinding[]
  /** The Secret for all names that no other certificate covers, `namespace/name`; empty: none. */
  rest: string
}>

/** True if a certificate covers a host. Its common name counts only if it has no alternative names. */
function coversHost(certificate: Certificate, host: string): boolean {
  const { subjectAltNames, commonName } = certificate
  const names = subjectAltNames.length > 0 ? subjectAltNames : [commonName.toLowerCase()]
  return names.some((name) => matchesHostPattern(name, host))
}

/** Binds hosts to certificates. */
export class CertificateBinder {
  readonly #secrets = new Memo<Secret, ReadSecret>()
  readonly #missing = new Memo<string, MissingSecret>(isDeepStrictEqual)
  readonly #claims = new Memo<Ingress, TlsClaims>()
  readonly #rest = new Memo<'rest', CertificateBinding>()
  readonly #secured = new Sieve<Ingress>(({ tls }) => tls.length > 0)
  readonly #order = new KeyOrder(compareBoundHosts)
  #resources!: ResourceSet
  #now = 0
  #names: NameIndex | undefined
  #suggestions = new Suggestions()

  /** Begins a translation with the Secrets of `resources`. */
  begin(resources: ResourceSet, clock: Clock): void {
    this.#resources = resources
    this.#now = clock.now()
    this.#names = undefined
    this.#suggestions = new Suggestions()
  }

  end(): void {
    for (const memo of [this.#secrets, this.#missing, this.#claims]) memo.sweep()
  }

  /**
   * Binds hosts. Ingresses come in order of rank: the first with a usable certificate for a host wins (I-32). A host whose tls
   * section has no usable certificate is bound to the default certificate, with the reason (I-30, I-31). A section without hosts
   * offers its certificate to those hosts of the Ingress's rules that it covers; if a rule has no host, to all names that it covers.
   * Hosts that a section names go before such offers, and those whose TLS is passed through before all.
   */
  bind(
    ingresses: readonly Ingress[],
    { passthroughs, rest: fallback }: TlsTerms,
    diagnostics: DiagnosticList,
  ): readonly CertificateBinding[] {
    const claimed = this.#secured.filter(ingresses).map((ingress) => {
      const reads = ingress.tls.map((section) => this.#read(ingress, section))
      const claims = this.#claims.get(ingress, reads, () => claimHosts(ingress, reads))
      diagnostics.addAll(claims.diagnostics)
      return { ingress, reads, claims }
    })
    const reported = new Set<ReadSecret>()
    const bindings = new Map<string, Claim>()
    for (const { ingress, reads, claims } of claimed) {
      this.#report(ingress, reads, (section) => section.hosts.length > 0, reported, diagnostics)
      for (const binding of claims.named) {
        const claim = { ingress, binding }
        const holder = bindings.get(binding.host)
        const isBetter = holder?.binding.certificate === undefined && binding.certificate !== undefined
        if (holder === undefined || isBetter) bindings.set(binding.host, claim)
        else if (binding.certificate !== undefined) reportConflict(claim, holder, diagnostics)
      }
    }
    for (const { ingress, reads, claims } of claimed) {
      this.#report(ingress, reads, (section) => section.hosts.length === 0, reported, diagnostics)
      for (const binding of claims.offered) {
        if (!bindings.has(binding.host)) bindings.set(binding.host, { ingress, binding })
      }
    }
    const passed = new Set(passthroughs.map(({ host }) => host))
    const bound = [...bindings.values()].flatMap(({ binding }) => (passed.has(binding.host) ? [] : [binding]))
    bound.push(...passthroughs)
    const rest = fallback === '' ? undefined : this.#bindRest(fallback, reported, diagnostics)
    if (rest !== undefined) bound.push(rest)
    return Object.freeze(this.#order.sort(bound, ({ host }) => host))
  }

  /** The binding of all names that no other certificate covers; undefined, and reported, if the Secret cannot be used. */
  #bindRest(name: string, reported: Set<ReadSecret>, diagnostics: DiagnosticList): CertificateBinding | undefined {
    const { namespace, name: own } = splitName(name)
    const secret = this.#resources.get('Secret', namespace, own)
    if (secret === undefined) {
      const { failure, help, notes } = this.#describeLost(namespace, own)
      const message = `defaultSslCertificate: ${failure}`
      diagnostics.add('PORTICO_REF_SECRET_NOT_FOUND', message, { help, notes })
      return undefined
    }
    const read = this.#secrets.get(secret, [], () => readSecret(secret))
    if (!reported.has(read)) reportSecret(read, this.#now, () => undefined, diagnostics)
    if (read.certificate === undefined) return undefined
    return this.#rest.get('rest', [read], () =>
      Object.freeze({
        host: '',
        certificate: read.certificate,
        reason: 'defaultSslCertificate, for all other names',
        owner: createRef(secret),
        field: NAME_FIELD,
      }),
    )
  }

  /** Checks the Secrets of Ingresses that are not served, and binds nothing. */
  check(ingresses: readonly Ingress[], diagnostics: DiagnosticList): void {
    const reported = new Set<ReadSecret>()
    for (const ingress of ingresses) {
      const reads = ingress.tls.map((section) => this.#read(ingress, section))
      reportMissing(ingress, reads, diagnostics)
      this.#report(ingress, reads, () => true, reported, diagnostics)
    }
  }

  /** Undefined if the section names no Secret. */
  #read({ meta }: Ingress, { secretName: name }: IngressTls): ReadSecret | MissingSecret | undefined {
    if (!name) return undefined
    const { namespace } = meta
    const secret = this.#resources.get('Secret', namespace, name)
    if (secret !== undefined) return this.#secrets.get(secret, [], () => readSecret(secret))
    return this.#describeLost(namespace, name)
  }

  #describeLost(namespace: string, name: string): MissingSecret {
    const refused = this.#resources.getRefused('Secret', namespace, name)
    // The suggestion depends on all Secrets.
    return this.#missing.get(`${namespace}/${name}`, [refused, this.#resources.all('Secret')], () =>
      refused ? describeRefused(refused, name) : this.#describeMissing(namespace, name),
    )
  }

  #describeMissing(namespace: string, name: string): MissingSecret {
    // Only a Secret with a certificate is worth suggesting.
    this.#names ??= new NameIndex(this.#resources.all('Secret').filter(({ data }) => data.has('tls.crt')))
    const nearest = this.#suggestions.find(name, this.#names.in(namespace))
    const elsewhere = this.#names.namespaceOf(name)
    const near =
      this.#resources.get('Secret', namespace, nearest ?? '') ?? this.#resources.get('Secret', elsewhere ?? '', name)
    return {
      secret: undefined,
      certificate: undefined,
      failure: `secret "${name}" not found in namespace "${namespace}"`,
      help: nearest
        ? `did you mean "${nearest}"? the default certificate is served`
        : elsewhere
          ? `it is in namespace "${elsewhere}", but an Ingress reaches its own namespace only; the default certificate is served`
          : 'the default certificate is served until it exists',
      notes: near
        ? [{ message: `secret "${near.meta.name}" is here`, position: near.origin.locate(['metadata', 'name']) }]
        : [],
    }
  }

  /** Reports each Secret once, at its first use. */
  #report(
    ingress: Ingress,
    reads: readonly (ReadSecret | MissingSecret | undefined)[],
    concerns: (section: IngressTls) => boolean,
    reported: Set<ReadSecret>,
    diagnostics: DiagnosticList,
  ): void {
    for (const [index, section] of ingress.tls.entries()) {
      const read = reads[index]
      if (read?.secret === undefined || reported.has(read) || !concerns(section)) continue
      reported.add(read)
      const usedAt = () => ingress.origin.locate(['spec', 'tls', section.index, 'secretName'])
      reportSecret(read, this.#now, usedAt, diagnostics)
    }
  }
}

function describeRefused(refused: Secret, name: string): MissingSecret {
  return {
    secret: undefined,
    certificate: undefined,
    failure: `secret "${name}" has errors`,
    help: 'mend the Secret; the default certificate is served until then',
    notes: [{ message: 'it is here', position: refused.origin.locate(['metadata', 'name']) }],
  }
}

function claimHosts(ingress: Ingress, reads: readonly (ReadSecret | MissingSecret | undefined)[]): TlsClaims {
  const diagnostics = new DiagnosticList()
  const claimer = new HostClaimer(ingress, diagnostics)
  reportMissing(ingress, reads, diagnostics)
  for (const [index, section] of ingress.tls.entries()) {
    const read = reads[index]
    const failure = read === undefined ? `tls of Ingress ${printName(ingress.meta)} names no Secret` : read.failure
    if (section.hosts.length > 0) claimer.name(section, read?.certificate, failure)
    else claimer.offer(section, read?.certificate, failure)
  }
  return { named: claimer.named, offered: claimer.offered, diagnostics: diagnostics.items }
}

function reportMissing(
  ingress: Ingress,
  reads: readonly (ReadSecret | MissingSecret | undefined)[],
  diagnostics: DiagnosticList,
): void {
  for (const [index, section] of ingress.tls.entries()) {
    const read = reads[index]
    if (read === undefined || read.secret !== undefined) continue
    diagnostics.add('PORTICO_REF_SECRET_NOT_FOUND', read.failure, {
      position: ingress.origin.locate(['spec', 'tls', section.index, 'secretName']),
      resource: printResource(ingress),
      help: read.help,
      notes: read.notes,
    })
  }
}

/** A binding with the Ingress that brings it. */
type Claim = Readonly<{ ingress: Ingress; binding: CertificateBinding }>

function reportConflict(loser: Claim, winner: Claim, diagnostics: DiagnosticList): void {
  const { host, certificate } = loser.binding
  const other = winner.binding.certificate!
  if (other.fingerprint === certificate!.fingerprint) return
  diagnostics.add(
    'PORTICO_TLS_CONFLICT',
    `host "${host}" already has certificate "${other.name}": "${certificate!.name}" is not served for it`,
    {
      position: locateClaim(loser),
      resource: printResource(loser.ingress),
      help: 'leave the host out of one of the tls sections; the older Ingress wins, then the first by namespace/name',
      notes: [{ message: `${printResource(winner.ingress)} wins`, position: locateClaim(winner) }],
    },
  )
}

function locateClaim({ ingress, binding }: Claim): SourcePosition {
  return ingress.origin.locate(binding.field)
}

/** Collects the claims of one Ingress's tls sections. */
class HostClaimer {
  readonly named: CertificateBinding[] = []
  readonly offered: CertificateBinding[] = []
  readonly #ingress: Ingress
  readonly #owner: ResourceRef
  readonly #diagnostics: DiagnosticList

  constructor(ingress: Ingress, diagnostics: DiagnosticList) {
    this.#ingress = ingress
    this.#owner = createRef(ingress)
    this.#diagnostics = diagnostics
  }

  name(section: IngressTls, certificate: Certificate | undefined, failure: string | undefined): void {
    for (const [index, host] of section.hosts.entries()) {
      const covered = certificate !== undefined && coversHost(certificate, host)
      const at = Object.freeze(['spec', 'tls', section.index, 'hosts', index])
      if (certificate !== undefined && !covered) {
        this.#reportUncovered(`does not cover host "${host}"`, certificate, at)
      }
      const reason = covered
        ? `named in tls of Ingress ${printName(this.#ingress.meta)}`
        : (failure ?? `certificate ${certificate!.name} does not cover ${host}`)
      this.named.push(this.#bind(host, covered ? certificate : undefined, reason, at))
    }
  }

  offer(section: IngressTls, certificate: Certificate | undefined, failure: string | undefined): void {
    const ingress = this.#ingress
    const hosts = ingress.rules.map((rule) => rule.host)
    const open = hosts.length === 0 || hosts.includes('')
    const at = Object.freeze([
      'spec',
      'tls',
      section.index,
      ...(section.secretName === undefined ? [] : ['secretName']),
    ])
    const reason = `tls of Ingress ${printName(ingress.meta)} names no hosts, and the certificate covers this one`
    let coversAny = false
    for (const host of hosts) {
      if (host === '') continue
      const covered = certificate !== undefined && coversHost(certificate, host)
      coversAny ||= covered
      const lack = failure ?? `certificate ${certificate!.name} does not cover ${host}`
      this.offered.push(this.#bind(host, covered ? certificate : undefined, covered ? reason : lack, at))
    }
    if (certificate === undefined) return
    if (!open && !coversAny) this.#reportUncovered('covers no host of this Ingress', certificate, at)
    if (!open) return
    for (const name of certificate.subjectAltNames) {
      if (isDnsName(name)) this.offered.push(this.#bind(name, certificate, reason, at))
    }
  }

  #bind(host: string, certificate: Certificate | undefined, reason: string, field: FieldPath): CertificateBinding {
    return Object.freeze({ host, certificate, reason, owner: this.#owner, field })
  }

  #reportUncovered(what: string, certificate: Certificate, at: FieldPath): void {
    this.#diagnostics.add(
      'PORTICO_TLS_HOST_NOT_COVERED',
      `certificate "${certificate.commonName}" (secret "${certificate.name}") ${what}`,
      {
        position: this.#ingress.origin.locate(at),
        resource: printResource(this.#ingress),
        help: `it covers ${printNames(certificate)}; the default certificate is served`,
      },
    )
  }
}

/** Exact hosts, then wildcards, then `''`; each group by name. */
function compareBoundHosts(a: string, b: string): number {
  const group = (host: string): number => (host === '' ? 2 : host.startsWith('*.') ? 1 : 0)
  return group(a) - group(b) || compareText(a, b)
}

function printNames({ subjectAltNames, commonName }: Certificate): string {
  const names = subjectAltNames.length > 0 ? subjectAltNames : [commonName]
  return names.length > 5 ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} more` : names.join(', ')
}

/** A name that SNI can carry: not an address, and at most one wildcard label in front. */
function isDnsName(name: string): boolean {
  return /^(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/.test(name) && !/^[\d.]+$/.test(name)
}
