/** IP addresses to give out, numbered in one row: single addresses, ranges `a-b`, and CIDR ranges. */
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

type Part = Readonly<{ first: bigint; size: number; family: 'ipv4' | 'ipv6' }>

/** Only this many addresses of a larger range are given out: no machine has that many Services. */
const MAX_SIZE = 2 ** 32

/** Most addresses whose spelling is remembered. */
const MAX_KNOWN = 131_072

/** A row of addresses. */
export class AddressRange {
  /** The number of addresses. */
  readonly size: number
  readonly #parts: readonly Part[]
  /** Remembered, since every reload asks for the same addresses. */
  readonly #addresses = new Map<number, string>()
  readonly #indexes = new Map<string, number>()

  constructor(parts: readonly Part[]) {
    this.#parts = parts
    this.size = parts.reduce((sum, { size }) => sum + size, 0)
  }

  /** The canonical address at `index`, which must be below `size`. */
  at(index: number): string {
    const known = this.#addresses.get(index)
    if (known !== undefined) return known
    const address = this.#print(index)
    if (this.#addresses.size >= MAX_KNOWN) {
      this.#addresses.clear()
      this.#indexes.clear()
    }
    this.#addresses.set(index, address)
    this.#indexes.set(address, index)
    return address
  }

  /** The index of an address; undefined if it is not in the row. */
  indexOf(address: string): number | undefined {
    const known = this.#indexes.get(address)
    if (known !== undefined) return known
    if (isIP(address) === 0) return undefined
    const parsed = ipaddr.parse(address)
    const value = toNumber(parsed)
    let before = 0
    for (const { first, size, family } of this.#parts) {
      if (parsed.kind() === family && value >= first && value < first + BigInt(size))
        return before + Number(value - first)
      before += size
    }
    return undefined
  }

  #print(index: number): string {
    let left = index
    for (const { first, size, family } of this.#parts) {
      if (left < size) return printAddress(first + BigInt(left), family)
      left -= size
    }
    throw new RangeError(`no address at ${index} of ${this.size}`)
  }
}

/** Throws a RangeError that names the wrong entry and says what is wrong with it. */
export function parseAddressRange(entries: readonly string[]): AddressRange {
  const parts = entries.map(parsePart)
  for (const [index, part] of parts.entries()) {
    const other = parts.findIndex((one) => one.family === part.family && meet(one, part))
    if (other < index) throw new RangeError(`"${entries[index]}" has addresses of "${entries[other]}"`)
  }
  return new AddressRange(parts)
}

/**
 * The addresses of a CIDR range that a Service may have. Like the API server, it leaves out the first address, which names the
 * network, and the last of IPv4, the broadcast address. Throws a RangeError if no address is left.
 */
export function parseServiceRange(cidr: string): AddressRange {
  if (!cidr.includes('/')) throw new RangeError(`"${cidr}" is not a CIDR range`)
  const { first, size, family } = parsePart(cidr)
  const usable = size - (family === 'ipv4' ? 2 : 1)
  if (usable < 1) throw new RangeError(`"${cidr}" holds no address that a Service could have`)
  return new AddressRange([{ first: first + 1n, size: usable, family }])
}

/** The canonical spelling of an IP address, for comparisons; throws if the text is not an IP address. */
export function canonicalAddress(address: string): string {
  return print(ipaddr.parse(address))
}

function parsePart(entry: string): Part {
  const text = entry.trim()
  const [low = '', high] = text.split('-').map((side) => side.trim())
  const [host = '', bits] = low.split('/')
  if (isIP(host) === 0 || host.includes('%'))
    throw new RangeError(`"${entry}" is not an address, a range or a CIDR range`)
  const address = ipaddr.parse(host)
  const family = address.kind()
  const width = family === 'ipv4' ? 32 : 128
  const first = toNumber(address)
  if (bits !== undefined) {
    const length = /^\d{1,3}$/.test(bits) ? Number(bits) : width + 1
    if (length > width || high !== undefined) throw new RangeError(`"${entry}" is not a CIDR range`)
    const size = 2n ** BigInt(width - length)
    if (first % size !== 0n) throw new RangeError(`"${entry}" has bits set beyond the prefix length`)
    return { first, size: cap(size), family }
  }
  if (high === undefined) return { first, size: 1, family }
  if (isIP(high) === 0 || high.includes('%')) throw new RangeError(`"${high}" is not an address`)
  const end = ipaddr.parse(high)
  const last = toNumber(end)
  if (end.kind() !== family || last < first)
    throw new RangeError(`"${entry}" does not lead from a lower to a higher address`)
  return { first, size: cap(last - first + 1n), family }
}

function cap(size: bigint): number {
  return size > BigInt(MAX_SIZE) ? MAX_SIZE : Number(size)
}

function meet(a: Part, b: Part): boolean {
  return a.first < b.first + BigInt(b.size) && b.first < a.first + BigInt(a.size)
}

function toNumber(address: ipaddr.IPv4 | ipaddr.IPv6): bigint {
  let value = 0n
  for (const byte of address.toByteArray()) value = (value << 8n) | BigInt(byte)
  return value
}

function printAddress(value: bigint, family: Part['family']): string {
  const bytes: number[] = []
  for (let left = value, index = family === 'ipv4' ? 4 : 16; index > 0; index--, left >>= 8n)
    bytes.unshift(Number(left & 0xffn))
  return print(ipaddr.fromByteArray(bytes))
}

function print(address: ipaddr.IPv4 | ipaddr.IPv6): string {
  return 'toRFC5952String' in address ? address.toRFC5952String() : address.toString()
}
