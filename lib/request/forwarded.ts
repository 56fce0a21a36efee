/**
 * Who the client is and what it asked for, as far as a trusted proxy is believed: X-Forwarded-*,
 * X-Real-IP, Forwarded (RFC 7239). docs/behind-a-proxy.md has the order of belief for people. HOT
 */
import { isIP } from 'node:net'
import { type AddressSet, createAddressSet } from '../base/cidr.ts'
import { type Authority, parseAuthority } from '../base/hostname.ts'
import { readElementBefore } from '../http1/forwarded-field.ts'
import type { ForwardingClaims } from '../http1/request-fields.ts'
import type { Settings } from '../settings/table.ts'
import { normalizePeer } from './origin.ts'

/** So much of the end of X-Forwarded-For or Forwarded is read, and so many entries of it. */
const MAX_FORWARDED_BYTES = 4096
const MAX_FORWARDED_ENTRIES = 64

type Scheme = 'http' | 'https'

/** `text` is as it was sent. */
type ToldAuthority = Readonly<{ text: string }> & Authority

/** What trusted proxies say of a request, as far as they are believed. */
export type Told = Readonly<{
  /** The peer's where nothing better is known. */
  clientAddress: string
  /** These are undefined where nothing is said. */
  scheme: Scheme | undefined
  authority: ToldAuthority | undefined
  port: number | undefined
  /** Addresses before the peer's in X-Forwarded-For; `''`: none. */
  chain: string
  /** What of Forwarded is believed; `''`: nothing, or it was not asked. */
  forwarded: string
}>

/** An entry of X-Forwarded-For, or an element of Forwarded, that was read for the client's address. */
export type Hop = Readonly<{
  text: string
  /** Undefined: it cannot be read, and nothing before it counts. */
  address: string | undefined
}>

const trustedBySettings = new WeakMap<Settings, AddressSet>()

/** Whether what this peer says of its client is believed. */
export function isTrustedPeer(peerAddress: string, settings: Settings): boolean {
  if (settings.trustedProxies.length === 0) return false
  let trusted = trustedBySettings.get(settings)
  if (!trusted) {
    trusted = createAddressSet(settings.trustedProxies)
    trustedBySettings.set(settings, trusted)
  }
  return peerAddress !== '' && trusted.has(peerAddress)
}

/**
 * What a trusted peer says. One family of fields counts, never a part of each: most proxies write X-Forwarded-* and leave
 * a Forwarded of their own client as it came. `hops` gets the entries that were read, the peer's own first.
 */
export function readTold(peerAddress: string, claims: ForwardingClaims, settings: Settings, hops?: Hop[]): Told {
  return hasXForwarded(claims)
    ? readXForwarded(peerAddress, claims, settings, hops)
    : readForwarded(peerAddress, claims.forwarded ?? '', settings, hops)
}

export function hasXForwarded({
  forwardedFor,
  forwardedProto,
  forwardedHost,
  forwardedPort,
  realIp,
}: ForwardingClaims): boolean {
  return (forwardedFor ?? forwardedProto ?? forwardedHost ?? forwardedPort ?? realIp) !== undefined
}

function readXForwarded(peerAddress: string, claims: ForwardingClaims, settings: Settings, hops?: Hop[]): Told {
  const { forwardedFor, forwardedProto, forwardedHost, forwardedPort, realIp } = claims
  const chain = forwardedFor ?? (realIp !== undefined && isIP(realIp) !== 0 ? realIp : undefined)
  return {
    clientAddress: findClientAddress(peerAddress, chain, settings, hops),
    scheme: readScheme(findLast(forwardedProto)),
    authority: readAuthority(findLast(forwardedHost)),
    port: readPort(findLast(forwardedPort)),
    chain: chain ?? '',
    forwarded: '',
  }
}

/**
 * Each element tells of the request that its proxy got. The one before was written by the address that this one names, so
 * it counts if that is a trusted proxy too; what is said nearer to the client counts for more.
 */
export function readForwarded(peerAddress: string, field: string, settings: Settings, hops?: Hop[]): Told {
  const addresses: string[] = []
  let clientAddress = peerAddress
  let scheme: Scheme | undefined
  let authority: ToldAuthority | undefined
  let end = field.length
  let believedFrom = field.length
  for (let count = 0; end > 0 && count < MAX_FORWARDED_ENTRIES; count++) {
    const element = readElementBefore(field, end)
    if (element === undefined || field.length - element.start > MAX_FORWARDED_BYTES) break
    end = element.start - 1
    const { node, host, proto } = element
    believedFrom = element.start
    scheme = readScheme(proto) ?? scheme
    authority = readAuthority(host) ?? authority
    const address = node === undefined ? undefined : parseNode(node)
    hops?.push({ text: node ?? '', address })
    // Behind `unknown`, an obfuscated name, or nothing at all, the author of the elements is unknown.
    if (address === undefined) break
    clientAddress = address
    addresses.unshift(address)
    if (!isTrustedPeer(address, settings)) break
  }
  const chain = addresses.join(', ')
  return { clientAddress, scheme, authority, port: undefined, chain, forwarded: field.slice(believedFrom).trim() }
}

/** The right-most address of X-Forwarded-For that is no trusted proxy; the peer itself when none is readable. */
export function findClientAddress(
  peerAddress: string,
  forwardedFor: string | undefined,
  settings: Settings,
  hops?: Hop[],
): string {
  if (forwardedFor === undefined) return peerAddress
  const entries = forwardedFor.slice(-MAX_FORWARDED_BYTES).split(',').slice(-MAX_FORWARDED_ENTRIES)
  let client = peerAddress
  for (let at = entries.length - 1; at >= 0; at--) {
    const address = parseForwardedAddress(entries[at]!)
    hops?.push({ text: entries[at]!, address })
    // Behind something unreadable nothing can be believed.
    if (address === undefined) return client
    client = address
    if (!isTrustedPeer(address, settings)) return client
  }
  return client
}

/** What the peer itself said, where proxies have made a list. */
function findLast(list: string | undefined): string | undefined {
  return list?.slice(list.lastIndexOf(',') + 1).trim()
}

/** Traefik says `wss` of a WebSocket. */
function readScheme(text: string | undefined): Scheme | undefined {
  switch (text?.toLowerCase()) {
    case 'http':
    case 'ws':
      return 'http'
    case 'https':
    case 'wss':
      return 'https'
    default:
      return undefined
  }
}

function readAuthority(text: string | undefined): ToldAuthority | undefined {
  const parsed = text ? parseAuthority(text) : undefined
  return parsed && { text: text!, ...parsed }
}

function readPort(text: string | undefined): number | undefined {
  const port = text !== undefined && /^\d{1,5}$/.test(text) ? Number(text) : 0
  return port >= 1 && port <= 65_535 ? port : undefined
}

/** A node of Forwarded (RFC 7239 §6): there IPv6 has brackets, and a port may be obfuscated. */
function parseNode(node: string): string | undefined {
  return isIP(node) === 6 ? undefined : parseForwardedAddress(node)
}

/** `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]`, `[::1]:80` */
function parseForwardedAddress(entry: string): string | undefined {
  const text = entry.trim()
  const bare = /^(?:\[([^\]]*)\]|(\d[\d.]*))(?::(?:\d{1,5}|_[\w.-]+))?$/.exec(text)
  const address = bare?.[1] ?? bare?.[2] ?? text
  return isIP(address) === 0 ? undefined : normalizePeer(address)
}

/** One hop in the syntax of RFC 7239 §4: IPv6 and hosts with a port are quoted. */
export function printForwarded(peerAddress: string, authority: string, scheme: 'http' | 'https'): string {
  const node = peerAddress === '' ? 'unknown' : peerAddress.includes(':') ? `"[${peerAddress}]"` : peerAddress
  const host = /^[\w.-]+$/.test(authority) ? authority : `"${authority.replaceAll(/["\\]/g, '\\$&')}"`
  return authority === '' ? `for=${node};proto=${scheme}` : `for=${node};host=${host};proto=${scheme}`
}
