/** Who the client is, and how that is told to the upstream: X-Forwarded-*, X-Real-IP, Forwarded (RFC 7239). HOT */
import { isIP } from 'node:net'
import { type AddressSet, createAddressSet } from '../base/cidr.ts'
import type { Settings } from '../settings-table.ts'
import { normalizePeer } from './exchange.ts'

/** Longest X-Forwarded-For that is read, and most entries of it. */
const MAX_FORWARDED_BYTES = 4096
const MAX_FORWARDED_ENTRIES = 64

const trustedBySettings = new WeakMap<Settings, AddressSet>()

/** Whether this peer's X-Forwarded-* are believed. */
export function isTrustedPeer(peerAddress: string, settings: Settings): boolean {
  if (settings.trustedProxies.length === 0) return false
  let trusted = trustedBySettings.get(settings)
  if (!trusted) {
    trusted = createAddressSet(settings.trustedProxies)
    trustedBySettings.set(settings, trusted)
  }
  return peerAddress !== '' && trusted.has(peerAddress)
}

/** The right-most address of X-Forwarded-For that is no trusted proxy; the peer itself when none is readable. */
export function findClientAddress(peerAddress: string, forwardedFor: string | undefined, settings: Settings): string {
  if (forwardedFor === undefined) return peerAddress
  const entries = forwardedFor.slice(-MAX_FORWARDED_BYTES).split(',').slice(-MAX_FORWARDED_ENTRIES)
  let client = peerAddress
  for (let at = entries.length - 1; at >= 0; at--) {
    const address = parseForwardedAddress(entries[at]!)
    // Behind something unreadable nothing can be believed.
    if (address === undefined) return client
    client = address
    if (!isTrustedPeer(address, settings)) return client
  }
  return client
}

/** The scheme the client used: what a trusted proxy last said, else that of the connection. */
export function findClientScheme(scheme: 'http' | 'https', forwardedProto: string | undefined): 'http' | 'https' {
  const said = forwardedProto
    ?.slice(forwardedProto.lastIndexOf(',') + 1)
    .trim()
    .toLowerCase()
  return said === 'http' || said === 'https' ? said : scheme
}

/** `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]`, `[::1]:80` */
function parseForwardedAddress(entry: string): string | undefined {
  const text = entry.trim()
  const bare = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(text)?.[1] ?? /^(\d[\d.]*)(?::\d{1,5})?$/.exec(text)?.[1] ?? text
  return isIP(bare) === 0 ? undefined : normalizePeer(bare)
}

/** Names that tell an upstream who the client is; what a client says in them is no evidence. */
const CLAIMS = new Set([
  'forwarded',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-original-forwarded-for',
  'x-original-url',
  'x-rewrite-url',
  'x-scheme',
  'true-client-ip',
  'cf-connecting-ip',
  'fastly-client-ip',
])

/** `name` in lower case. */
export function isForwardingClaim(name: string): boolean {
  return name.startsWith('x-forwarded-') || CLAIMS.has(name)
}

export type ForwardedFacts = Readonly<{
  trusted: boolean
  peerAddress: string
  clientAddress: string
  /** As the peer sent it, all fields joined. */
  forwardedFor: string | undefined
  /** As the client used it: a trusted proxy may have ended TLS. */
  scheme: 'http' | 'https'
  /** The Host as sent; `''` when there was none. */
  authority: string
  localPort: number
  /** Names of claims that a trusted peer sent, lower case. */
  sent: ReadonlySet<string>
  /** A trusted peer's Forwarded. */
  forwarded: string | undefined
}>

/** Appends the gateway's own fields; those a trusted proxy already gave (other than the chain itself) are left as they came. */
export function appendForwarded(headers: string[], facts: ForwardedFacts, settings: Settings): void {
  const { peerAddress, forwardedFor, sent, authority } = facts
  const chain = facts.trusted && forwardedFor !== undefined ? `${forwardedFor}, ${peerAddress}` : peerAddress
  headers.push('X-Forwarded-For', chain)
  headers.push('X-Forwarded-Proto', facts.scheme)
  if (!sent.has('x-forwarded-host') && authority !== '') headers.push('X-Forwarded-Host', authority)
  if (!sent.has('x-forwarded-port')) headers.push('X-Forwarded-Port', String(facts.localPort))
  headers.push('X-Real-IP', facts.clientAddress)
  if (settings.forwardedHeader) {
    const hop = printForwarded(facts)
    headers.push('Forwarded', facts.forwarded === undefined ? hop : `${facts.forwarded}, ${hop}`)
  } else if (facts.forwarded !== undefined) headers.push('Forwarded', facts.forwarded)
}

/** One hop in the syntax of RFC 7239 §4: IPv6 and hosts with a port are quoted. */
function printForwarded({ peerAddress, scheme, authority }: ForwardedFacts): string {
  const node = peerAddress === '' ? 'unknown' : peerAddress.includes(':') ? `"[${peerAddress}]"` : peerAddress
  const host = /^[\w.-]+$/.test(authority) ? authority : `"${authority.replaceAll(/["\\]/g, '\\$&')}"`
  return authority === '' ? `for=${node};proto=${scheme}` : `for=${node};host=${host};proto=${scheme}`
}
