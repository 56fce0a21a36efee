/** Sets of IP addresses written as CIDR ranges, and the kinds of private addresses. */
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { compareText } from './order.ts'

/** True if the set contains an address, written as a socket reports it. */
export type AddressSet = { has(address: string): boolean }

type Address = ipaddr.IPv4 | ipaddr.IPv6

/**
 * Compiles `10.0.0.0/8`, `::1` and the like; throws a RangeError that names the bad entry. In entries and in peers an
 * IPv4-mapped IPv6 address counts as its IPv4 address, since dual-stack sockets report IPv4 peers in the mapped form. The time of
 * a look-up grows with the logarithm of the number of ranges.
 */
export function createAddressSet(cidrs: readonly string[]): AddressSet {
  const spans = joinSpans(cidrs.map((cidr) => findSpan(...parseRange(cidr))))
  if (spans.length === 0) return { has: () => false }
  return {
    has(address) {
      const bytes = parseBytes(address)
      return bytes !== undefined && isInSpans(spans, encode(bytes))
    },
  }
}

/**
 * The one text for all ranges with the same addresses: `10.0.0.1/8` is `10.0.0.0/8`. `hasHostBits`: the address written is not the first
 * of its range. Throws as `createAddressSet` does.
 */
export function normalizeRange(cidr: string): Readonly<{ range: string; hasHostBits: boolean }> {
  const [address, bits] = parseRange(cidr)
  const bytes = address.toByteArray()
  const first = bytes.map((byte, at) => byte & maskOf(bits, at))
  const text = ipaddr.fromByteArray(first).toString()
  const isWhole = bits === 8 * bytes.length
  return { range: isWhole ? text : `${text}/${bits}`, hasHostBits: first.some((byte, at) => byte !== bytes[at]) }
}

/** The bits of the byte at `at` that belong to the prefix. */
function maskOf(bits: number, at: number): number {
  return (0xff00 >> Math.min(8, Math.max(0, bits - 8 * at))) & 0xff
}

/** The first and the last address of a range, encoded. */
type Span = readonly [first: string, last: string]

/** A character for each byte, so that texts compare as their addresses do; the length before them keeps the families apart. */
function encode(bytes: readonly number[]): string {
  return String.fromCharCode(bytes.length, ...bytes)
}

function findSpan(address: Address, bits: number): Span {
  const bytes = address.toByteArray()
  const first = bytes.map((byte, at) => byte & maskOf(bits, at))
  const last = bytes.map((byte, at) => byte | (maskOf(bits, at) ^ 0xff))
  return [encode(first), encode(last)]
}

/** In order, none within another. */
function joinSpans(spans: readonly Span[]): readonly Span[] {
  const joined: Span[] = []
  for (const span of spans.toSorted(([a], [b]) => compareText(a, b))) {
    const before = joined.at(-1)
    if (before === undefined || before[1] < span[0]) joined.push(span)
    else if (before[1] < span[1]) joined[joined.length - 1] = [before[0], span[1]]
  }
  return joined
}

function isInSpans(spans: readonly Span[], address: string): boolean {
  let low = 0
  let high = spans.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (spans[middle]![0] <= address) low = middle + 1
    else high = middle
  }
  return low > 0 && address <= spans[low - 1]![1]
}

const METADATA = new Set([
  '169.254.169.254',
  '169.254.170.2',
  '100.100.100.200',
  '168.63.129.16',
  'fd00:ec2::254',
  'fd20:ce::254',
])

export type PrivateKind = 'loopback' | 'link-local' | 'metadata' | 'private' | 'unspecified' | 'multicast'

/**
 * The reason why an address is not public; undefined for public addresses and for names. An IPv6 address that carries an IPv4
 * address (mapped, compatible, NAT64, 6to4) counts as the IPv4 address. The old short, octal and hexadecimal forms of IPv4
 * are read too, since resolvers accept them. `metadata` are the clouds' credential services.
 */
export function isPrivateAddress(address: string): PrivateKind | undefined {
  const bare = address.startsWith('[') && address.endsWith(']') ? address.slice(1, -1) : address
  if (!ipaddr.isValid(bare)) return undefined
  const parsed = unwrap(ipaddr.parse(bare))
  if (METADATA.has(parsed.toString())) return 'metadata'
  switch (parsed.range()) {
    case 'unicast':
      return undefined
    case 'loopback':
      return 'loopback'
    case 'linkLocal':
      return 'link-local'
    case 'unspecified':
      return 'unspecified'
    case 'multicast':
    case 'broadcast':
      return 'multicast'
    default:
      return 'private'
  }
}

function parseRange(text: string): readonly [Address, number] {
  const trimmed = text.trim()
  const slash = trimmed.indexOf('/')
  const host = slash < 0 ? trimmed : trimmed.slice(0, slash)
  const family = isIP(host)
  const bits = slash < 0 ? (family === 4 ? 32 : 128) : Number(trimmed.slice(slash + 1))
  const digits = slash < 0 || /^\d{1,3}$/.test(trimmed.slice(slash + 1))
  if (family === 0 || host.includes('%') || !digits || bits > (family === 4 ? 32 : 128)) {
    throw new RangeError(`"${text}" is not a CIDR range such as 10.0.0.0/8 or fd00::/8`)
  }
  const parsed = ipaddr.parse(host)
  if (isMapped(parsed) && bits >= 96) return [parsed.toIPv4Address(), bits - 96]
  return [parsed, bits]
}

function parseBytes(text: string): readonly number[] | undefined {
  const family = isIP(text)
  if (family === 0) return undefined
  if (family === 4) return text.split('.').map(Number)
  const parsed = ipaddr.parse(text)
  return isMapped(parsed) ? parsed.toIPv4Address().toByteArray() : parsed.toByteArray()
}

function isMapped(address: Address): address is ipaddr.IPv6 {
  return address.kind() === 'ipv6' && (address as ipaddr.IPv6).isIPv4MappedAddress()
}

/** The IPv4 address that an IPv6 address carries, if it carries one. */
function unwrap(address: Address): Address {
  if (address.kind() === 'ipv4') return address
  const parts = (address as ipaddr.IPv6).parts
  const at = (index: number): number => parts[index] ?? 0
  const leadingZeros = parts.slice(0, 5).every((part) => part === 0)
  const mapped = leadingZeros && at(5) === 0xffff
  const compatible = leadingZeros && at(5) === 0 && at(6) !== 0
  const nat64 = at(0) === 0x64 && at(1) === 0xff9b && parts.slice(2, 6).every((part) => part === 0)
  if (mapped || compatible || nat64) return fromWords(at(6), at(7))
  return at(0) === 0x2002 ? fromWords(at(1), at(2)) : address
}

function fromWords(high: number, low: number): ipaddr.IPv4 {
  return new ipaddr.IPv4([high >> 8, high & 255, low >> 8, low & 255])
}
