/** Hostnames in normal form, and the patterns that name them: an exact host, or a wildcard for one label. */
import { isIPv6 } from 'node:net'

export type Authority = {
  /** Lower case, without port and trailing dot; an IPv6 address without brackets; `''` when the client sent an empty one. */
  readonly hostname: string
  readonly port: number | undefined
}

/** The longest name in the DNS, with one trailing dot. */
const MAX_LENGTH = 254

/**
 * Reads `host [":" port]` (RFC 3986 §3.2) of a Host header or `:authority`; `undefined` means 400. Names hold letters, digits,
 * `-`, `_` and dots between non-empty labels, so that userinfo, lists and paths are all refused.
 */
export function parseAuthority(authority: string): Authority | undefined {
  if (authority.charCodeAt(0) === 0x5b /* [ */) return parseLiteral(authority)
  const colon = authority.indexOf(':')
  const name = colon < 0 ? authority : authority.slice(0, colon)
  if (name === '') return colon < 0 ? { hostname: '', port: undefined } : undefined
  const hostname = normalizeName(name)
  return hostname === undefined ? undefined : withPort(hostname, authority, colon)
}

/**
 * True if a pattern names a hostname, both in normal form: they are equal, or the pattern is `*.suffix` and the hostname has
 * exactly one label before the suffix (I-7). A wildcard also names the same wildcard.
 */
export function matchesHostPattern(pattern: string, hostname: string): boolean {
  if (!pattern.startsWith('*.')) return pattern === hostname
  const dot = hostname.indexOf('.')
  return dot > 0 && hostname.length - dot === pattern.length - 1 && hostname.endsWith(pattern.slice(1))
}

/** The port of an `https` or `http` URL that names no port. */
export function findUsualPort(scheme: string): number {
  return scheme === 'https' ? 443 : 80
}

/** The https URL of a hostname in normal form; `target` is path and query as sent. The port is left out where it is 443. */
export function printHttpsUrl(hostname: string, port: number, target: string): string {
  const host = hostname.includes(':') ? `[${hostname}]` : hostname
  return `https://${host}${port === 443 ? '' : `:${port}`}${target}`
}

/** `[IPv6]` with an optional port. Zone identifiers mean nothing to another machine and are refused. */
function parseLiteral(authority: string): Authority | undefined {
  const end = authority.indexOf(']')
  const address = authority.slice(1, end)
  if (end < 0 || address.includes('%') || !isIPv6(address)) return undefined
  if (end === authority.length - 1) return { hostname: address.toLowerCase(), port: undefined }
  return authority.charCodeAt(end + 1) === 0x3a ? withPort(address.toLowerCase(), authority, end + 1) : undefined
}

/** `colon` is the index of the port's colon, or -1. RFC 3986 §3.2.3 allows an empty port, which means none. */
function withPort(hostname: string, authority: string, colon: number): Authority | undefined {
  if (colon < 0 || colon === authority.length - 1) return { hostname, port: undefined }
  if (authority.length - colon > 6) return undefined
  let port = 0
  for (let at = colon + 1; at < authority.length; at++) {
    const digit = authority.charCodeAt(at) - 0x30
    if (digit < 0 || digit > 9) return undefined
    port = port * 10 + digit
  }
  return port === 0 || port > 65535 ? undefined : { hostname, port }
}

function normalizeName(name: string): string | undefined {
  if (name.length > MAX_LENGTH) return undefined
  let upper = false
  let previousDot = true
  for (let at = 0; at < name.length; at++) {
    const code = name.charCodeAt(at)
    if (code === 0x2e) {
      if (previousDot) return undefined
      previousDot = true
      continue
    }
    previousDot = false
    if (code >= 0x41 && code <= 0x5a) upper = true
    else if (!((code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39) || code === 0x2d || code === 0x5f)) {
      return undefined
    }
  }
  const trimmed = previousDot ? name.slice(0, -1) : name
  return upper ? trimmed.toLowerCase() : trimmed
}
