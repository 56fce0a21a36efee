/** Who the client is, and how that is told to the upstream: X-Forwarded-*, X-Real-IP, Forwarded (RFC 7239). HOT */
import { isIP } from 'node:net'
import { type AddressSet, createAddressSet } from '../base/cidr.ts'
import type { Settings } from '../settings-table.ts'
import type { RequestContext } from './context.ts'
import { normalizePeer } from './origin.ts'

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

/** The field lines that tell the upstream who the client is; what a trusted proxy already said (other than the chain itself) is left as it came. */
export function composeForwarded(context: RequestContext, settings: Settings): string {
  const { authority, clientAddress, scheme, trustedPeer } = context
  const { connection } = context.exchange
  if (!trustedPeer && !settings.forwardedHeader) return connection.composeForwarded(authority)
  const { peerAddress, localPort } = connection
  const claims = trustedPeer ? context.fields!.claims : undefined
  let lines: string
  if (trustedPeer) {
    const host = authority === '' || claims?.hasHost ? '' : `X-Forwarded-Host: ${authority}\r\n`
    const chain = claims?.forwardedFor === undefined ? peerAddress : `${claims.forwardedFor}, ${peerAddress}`
    const port = claims?.hasPort ? '' : `X-Forwarded-Port: ${localPort}\r\n`
    lines = `${claims?.lines ?? ''}X-Forwarded-For: ${chain}\r\nX-Forwarded-Proto: ${scheme}\r\n${host}${port}X-Real-IP: ${clientAddress}\r\n`
  } else lines = connection.composeForwarded(authority)
  if (settings.forwardedHeader) {
    const hop = printForwarded(peerAddress, authority, scheme)
    return `${lines}Forwarded: ${claims?.forwarded === undefined ? hop : `${claims.forwarded}, ${hop}`}\r\n`
  }
  return claims?.forwarded === undefined ? lines : `${lines}Forwarded: ${claims.forwarded}\r\n`
}

/** One hop in the syntax of RFC 7239 §4: IPv6 and hosts with a port are quoted. */
export function printForwarded(peerAddress: string, authority: string, scheme: 'http' | 'https'): string {
  const node = peerAddress === '' ? 'unknown' : peerAddress.includes(':') ? `"[${peerAddress}]"` : peerAddress
  const host = /^[\w.-]+$/.test(authority) ? authority : `"${authority.replaceAll(/["\\]/g, '\\$&')}"`
  return authority === '' ? `for=${node};proto=${scheme}` : `for=${node};host=${host};proto=${scheme}`
}
