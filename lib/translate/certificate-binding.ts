/** Which certificate each host is served with, from the tls sections of all Ingresses (I-27 to I-33). */

import type { Clock } from '../base/clock.ts'
import type { DiagnosticList } from '../base/diagnostics.ts'
import { matchesHostPattern } from '../base/hostname.ts'
import { compareText } from '../base/order.ts'
import { type Ingress, type IngressTls, printName, printResource } from '../kubernetes/resource.ts'
import type { ResourceSet } from '../kubernetes/store.ts'
import type { Certificate, CertificateBinding } from '../model/certificate.ts'
import { type ReadCertificate, readCertificate } from './certificate.ts'
import { NameIndex, Suggestions } from './suggestion.ts'

/** The names a certificate speaks for; the common name only where it has no others. */
export function coversHost(certificate: Certificate, host: string): boolean {
  const { subjectAltNames, commonName } = certificate
  const names = subjectAltNames.length > 0 ? subjectAltNames : [commonName.toLowerCase()]
  return names.some((name) => matchesHostPattern(name, host))
}

/**
 * Binds hosts to certificates, Ingresses given in order of rank: the first that brings a usable certificate for a host
 * wins (I-32). A host whose tls section has none is bound to the default certificate, with the reason (I-30, I-31). A
 * section without hosts offers its certificate to those rule hosts of its Ingress that it covers; where a rule has no
 * host, to all names it covers. Such offers stand behind every host that is named.
 */
export function bindCertificates(
  ingresses: readonly Ingress[],
  resources: ResourceSet,
  clock: Clock,
  diagnostics: DiagnosticList,
): readonly CertificateBinding[] {
  const binder = new Binder(resources, clock, diagnostics)
  for (const ingress of ingresses) for (const section of ingress.tls) binder.bindNamed(ingress, section)
  for (const ingress of ingresses) for (const section of ingress.tls) binder.bindOffered(ingress, section)
  return binder.result()
}

/** Looks the Secrets of Ingresses up that are not served; nothing is bound. */
export function checkCertificates(
  ingresses: readonly Ingress[],
  resources: ResourceSet,
  clock: Clock,
  diagnostics: DiagnosticList,
): void {
  const binder = new Binder(resources, clock, diagnostics)
  for (const ingress of ingresses) for (const section of ingress.tls) binder.readSecret(ingress, section)
}

class Binder {
  readonly #resources: ResourceSet
  readonly #clock: Clock
  readonly #diagnostics: DiagnosticList
  readonly #bindings = new Map<string, CertificateBinding>()
  readonly #read = new Map<string, ReadCertificate>()
  readonly #names: NameIndex
  readonly #suggestions = new Suggestions()

  constructor(resources: ResourceSet, clock: Clock, diagnostics: DiagnosticList) {
    this.#resources = resources
    this.#clock = clock
    this.#diagnostics = diagnostics
    this.#names = new NameIndex(resources.all('Secret'))
  }

  result(): readonly CertificateBinding[] {
    const wildcard = ({ host }: CertificateBinding): number => Number(host.startsWith('*.'))
    return Object.freeze(
      [...this.#bindings.values()].sort((a, b) => wildcard(a) - wildcard(b) || compareText(a.host, b.host)),
    )
  }

  bindNamed(ingress: Ingress, section: IngressTls): void {
    if (section.hosts.length === 0) return
    const { certificate, failure } = this.readSecret(ingress, section)
    const uncovered: string[] = []
    for (const [index, host] of section.hosts.entries()) {
      const covered = certificate !== undefined && coversHost(certificate, host)
      if (certificate !== undefined && !covered) {
        uncovered.push(host)
        this.#reportUncovered(ingress, section, index, certificate)
      }
      const reason = covered
        ? `named in tls of Ingress ${printName(ingress.meta)}`
        : (failure ?? `certificate ${certificate!.name} does not cover ${host}`)
      this.#bind(host, covered ? certificate : undefined, reason, ingress, [
        'spec',
        'tls',
        section.index,
        'hosts',
        index,
      ])
    }
  }

  bindOffered(ingress: Ingress, section: IngressTls): void {
    if (section.hosts.length > 0) return
    const { certificate, failure } = this.readSecret(ingress, section)
    const hosts = ingress.rules.map((rule) => rule.host)
    const named = hosts.filter((host) => host !== '')
    const covered = certificate === undefined ? [] : named.filter((host) => coversHost(certificate, host))
    const open = hosts.length === 0 || hosts.includes('')
    const at = ['spec', 'tls', section.index, ...(section.secretName === undefined ? [] : ['secretName'])]
    const reason = `tls of Ingress ${printName(ingress.meta)} names no hosts, and the certificate covers this one`
    for (const host of named) {
      if (this.#bindings.has(host)) continue
      const covers = covered.includes(host)
      const lack = failure ?? `certificate ${certificate!.name} does not cover ${host}`
      this.#bind(host, covers ? certificate : undefined, covers ? reason : lack, ingress, at)
    }
    if (certificate === undefined) return
    if (open) {
      for (const name of certificate.subjectAltNames) {
        if (isDnsName(name) && !this.#bindings.has(name)) this.#bind(name, certificate, reason, ingress, at)
      }
    } else if (covered.length === 0) {
      this.#diagnostics.add(
        'PORTICO_TLS_HOST_NOT_COVERED',
        `certificate "${certificate.commonName}" (secret "${certificate.name}") covers no host of this Ingress`,
        {
          position: ingress.origin.locate(at),
          resource: printResource(ingress),
          help: `it covers ${printNames(certificate)}; the default certificate is served`,
        },
      )
    }
  }

  #bind(
    host: string,
    certificate: Certificate | undefined,
    reason: string,
    ingress: Ingress,
    at: readonly (string | number)[],
  ): void {
    const position = ingress.origin.locate(at)
    const holder = this.#bindings.get(host)
    if (holder !== undefined && (holder.certificate !== undefined || certificate === undefined)) {
      if (certificate !== undefined && holder.certificate!.fingerprint !== certificate.fingerprint) {
        this.#diagnostics.add(
          'PORTICO_TLS_CONFLICT',
          `host "${host}" already has certificate "${holder.certificate!.name}": "${certificate.name}" is not served for it`,
          {
            position,
            resource: printResource(ingress),
            help: 'leave the host out of one of the tls sections; the older Ingress wins, then the first by namespace/name',
            notes: [{ message: `Ingress ${printName(holder.ingress)} wins`, position: holder.position }],
          },
        )
      }
      return
    }
    const { namespace, name } = ingress.meta
    this.#bindings.set(
      host,
      Object.freeze({ host, certificate, reason, ingress: Object.freeze({ namespace, name }), position }),
    )
  }

  readSecret(ingress: Ingress, section: IngressTls): ReadCertificate {
    const { namespace } = ingress.meta
    const name = section.secretName
    if (!name) {
      return { certificate: undefined, failure: `tls of Ingress ${printName(ingress.meta)} names no Secret` }
    }
    const position = ingress.origin.locate(['spec', 'tls', section.index, 'secretName'])
    const secret = this.#resources.get('Secret', namespace, name)
    if (secret === undefined) {
      const refused = this.#resources.getRefused('Secret', namespace, name)
      const failure = `secret "${name}" ${refused ? 'has errors' : `not found in namespace "${namespace}"`}`
      const key = `${printResource(ingress)} ${section.index}`
      if (!this.#read.has(key)) this.#reportMissing(ingress, name, failure, position)
      this.#read.set(key, { certificate: undefined, failure })
      return { certificate: undefined, failure }
    }
    const key = printName(secret.meta)
    let read = this.#read.get(key)
    if (read === undefined) {
      read = readCertificate(secret, this.#clock, position, this.#diagnostics)
      this.#read.set(key, read)
    }
    return read
  }

  #reportMissing(ingress: Ingress, name: string, failure: string, position: CertificateBinding['position']): void {
    const { namespace } = ingress.meta
    const refused = this.#resources.getRefused('Secret', namespace, name)
    if (refused) {
      this.#diagnostics.add('PORTICO_REF_SECRET_NOT_FOUND', failure, {
        position,
        resource: printResource(ingress),
        help: 'mend the Secret; the default certificate is served until then',
        notes: [{ message: 'it is here', position: refused.origin.locate(['metadata', 'name']) }],
      })
      return
    }
    const nearest = this.#suggestions.find(name, this.#names.in(namespace))
    const elsewhere = this.#names.namespaceOf(name)
    const near =
      this.#resources.get('Secret', namespace, nearest ?? '') ?? this.#resources.get('Secret', elsewhere ?? '', name)
    this.#diagnostics.add('PORTICO_REF_SECRET_NOT_FOUND', failure, {
      position,
      resource: printResource(ingress),
      help: nearest
        ? `did you mean "${nearest}"? the default certificate is served`
        : elsewhere
          ? `it is in namespace "${elsewhere}", but an Ingress reaches its own namespace only; the default certificate is served`
          : 'the default certificate is served until it exists',
      notes: near
        ? [{ message: `secret "${near.meta.name}" is here`, position: near.origin.locate(['metadata', 'name']) }]
        : [],
    })
  }

  #reportUncovered(ingress: Ingress, section: IngressTls, index: number, certificate: Certificate): void {
    this.#diagnostics.add(
      'PORTICO_TLS_HOST_NOT_COVERED',
      `certificate "${certificate.commonName}" (secret "${certificate.name}") does not cover host "${section.hosts[index]}"`,
      {
        position: ingress.origin.locate(['spec', 'tls', section.index, 'hosts', index]),
        resource: printResource(ingress),
        help: `it covers ${printNames(certificate)}; the default certificate is served`,
      },
    )
  }
}

function printNames({ subjectAltNames, commonName }: Certificate): string {
  const names = subjectAltNames.length > 0 ? subjectAltNames : [commonName]
  return names.length > 5 ? `${names.slice(0, 5).join(', ')} and ${names.length - 5} more` : names.join(', ')
}

/** A name that SNI can carry: not an address, and at most one wildcard label in front. */
function isDnsName(name: string): boolean {
  return /^(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$/.test(name) && !/^[\d.]+$/.test(name)
}
