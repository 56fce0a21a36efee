/**
 * Domain names on the wire (RFC 1035 §3.1) and as text: lower case, without the last dot, `''` for the root. Other bytes
 * than ASCII stay as they are (latin1); a dot or a backslash within a label is written `\046`, `\092`, as zone files have it.
 */
import { isIPv4 } from 'node:net'
import ipaddr from 'ipaddr.js'

/** A malformed message (RFC 1035 §4). Readers throw it; the answer is FORMERR. */
export class FormatError extends Error {}

/** The longest name on the wire, with the root's zero byte. */
const MAX_BYTES = 255
const MAX_LABEL = 63
/** Most pointers of a name: no honest name has more pointers than labels. */
const MAX_POINTERS = 127
/** The two high bits mark an offset (RFC 1035 §4.1.4). */
const POINTER = 0xc0

export type ReadName = Readonly<{ name: string; end: number }>

/**
 * Reads a name. With `pointers` it may go on at an earlier offset of the message, never at a later one, so that reading ends.
 * Without `pointers` a pointer is an error. Throws a FormatError.
 */
export function readName(message: Buffer, start: number, pointers: boolean): ReadName {
  const labels: string[] = []
  let bytes = 1
  let at = start
  let end = -1
  let limit = start
  let pointersSeen = 0
  for (;;) {
    const length = message[at]
    if (length === undefined) throw new FormatError('a name runs past the end')
    if (length === 0) break
    if (length >= POINTER) {
      const low = message[at + 1]
      if (!pointers || low === undefined) throw new FormatError('a name has a pointer')
      const target = ((length & ~POINTER) << 8) | low
      if (target >= limit || ++pointersSeen > MAX_POINTERS) throw new FormatError('a pointer does not lead back')
      if (end < 0) end = at + 2
      at = target
      limit = target
      continue
    }
    if (length > MAX_LABEL) throw new FormatError('a label has an unknown form')
    bytes += length + 1
    if (bytes > MAX_BYTES) throw new FormatError('a name is too long')
    if (at + 1 + length > message.length) throw new FormatError('a label runs past the end')
    labels.push(printLabel(message.toString('latin1', at + 1, at + 1 + length)))
    at += length + 1
  }
  return { name: labels.join('.'), end: end < 0 ? at + 1 : end }
}

/** The offset behind the name that begins at `start`. Pointers are not followed. Throws a FormatError. */
export function skipName(message: Buffer, start: number): number {
  let at = start
  for (;;) {
    const length = message[at]
    if (length === undefined) throw new FormatError('a name runs past the end')
    if (length === 0) return at + 1
    if (length >= POINTER) return at + 2
    if (length > MAX_LABEL) throw new FormatError('a label has an unknown form')
    at += length + 1
    if (at - start >= MAX_BYTES) throw new FormatError('a name is too long')
  }
}

/** True if a name, as text without escapes, can be sent. Manifests may hold labels that cannot. */
export function isSendable(name: string): boolean {
  return name.length + 2 <= MAX_BYTES && name.split('.').every((label) => label.length > 0 && label.length <= MAX_LABEL)
}

/** True if a name, in its text form, is `zone` or lies below it. */
export function isWithin(name: string, zone: string): boolean {
  return name === zone || (name.endsWith(zone) && name.charAt(name.length - zone.length - 1) === '.')
}

/** `10.0.0.1` → `1.0.0.10.in-addr.arpa`; IPv6 by nibbles under `ip6.arpa` (RFC 3596 §2.5). */
export function reverseName(address: string): string {
  if (isIPv4(address)) return `${address.split('.').reverse().join('.')}.in-addr.arpa`
  const nibbles = Buffer.from(addressBytes(address)).toString('hex')
  return `${[...nibbles].reverse().join('.')}.ip6.arpa`
}

/** The 4 or 16 bytes of an address. */
export function addressBytes(address: string): Uint8Array {
  return Uint8Array.from(ipaddr.parse(address).toByteArray())
}

/** `10.0.0.1` → `10-0-0-1`: CoreDNS's label for an endpoint without a hostname. */
export function dashedAddress(address: string): string {
  return address.toLowerCase().replace(/[.:]/g, '-')
}

function printLabel(label: string): string {
  const plain = /^[\w-]*$/.test(label) ? label : label.replace(/[.\\]/g, (byte) => (byte === '.' ? '\\046' : '\\092'))
  return plain.toLowerCase()
}
