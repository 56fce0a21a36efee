/** Reads and writes headers of the PROXY protocol, versions 1 and 2 (haproxy.org/download/3.0/doc/proxy-protocol.txt). */
import { isIPv4, isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js'

export type ProxyVersion = 'v1' | 'v2'

export type SocketAddress = Readonly<{ address: string; port: number }>

/** The two ends of a connection, as the proxy in front saw them. */
export type ProxyPath = Readonly<{ source: SocketAddress; destination: SocketAddress }>

/**
 * `partial`: more bytes are needed. A header without a `path` names no client (LOCAL, UNKNOWN, or not an IP address): the
 * connection is the proxy's own.
 */
export type ProxyOpening =
  | { readonly kind: 'header'; readonly length: number; readonly path: ProxyPath | undefined }
  | { readonly kind: 'partial' }
  | { readonly kind: 'invalid' }

/** Most bytes of a header. Addresses take few, but a TLV may hold a client certificate. */
export const MAX_PROXY_HEADER = 16_384

/** §2.1: the longest line, with its line end. */
const MAX_LINE = 107
const V1_START = Buffer.from('PROXY ')
const V2_START = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
/** §2.2: signature, version and command, family and transport, length of the rest. */
const V2_FIXED = 16

const LOCAL = 0x20
const PROXY = 0x21
const TCP4 = 0x11
const TCP6 = 0x21

const PARTIAL: ProxyOpening = Object.freeze({ kind: 'partial' })
const INVALID: ProxyOpening = Object.freeze({ kind: 'invalid' })

/** `bytes` are all bytes received so far. */
export function readProxyOpening(bytes: Buffer): ProxyOpening {
  if (startsLike(bytes, V1_START)) return readLine(bytes)
  if (startsLike(bytes, V2_START)) return readBinary(bytes)
  return INVALID
}

/** A header for a connection of unknown addresses says that, and its receiver takes the addresses of the socket. */
export function composeProxyHeader(version: ProxyVersion, path: ProxyPath | undefined): Buffer {
  return version === 'v1' ? composeLine(path) : composeBinary(path)
}

/** Reads the version from a setting. */
export function findProxyVersion(setting: ProxyVersion | 'none'): ProxyVersion | undefined {
  return setting === 'none' ? undefined : setting
}

function startsLike(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length)
  return bytes.subarray(0, length).equals(start.subarray(0, length))
}

function readLine(bytes: Buffer): ProxyOpening {
  const end = bytes.subarray(0, MAX_LINE).indexOf('\r\n')
  if (end < 0) return bytes.length < MAX_LINE ? PARTIAL : INVALID
  const length = end + 2
  const words = bytes.toString('latin1', 0, end).split(' ')
  const [, family, from = '', to = '', fromPort = '', toPort = ''] = words
  // The rest of an UNKNOWN line has no meaning.
  if (family === 'UNKNOWN') return { kind: 'header', length, path: undefined }
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isPlainIPv6 : undefined
  const source = { address: from, port: readPort(fromPort) }
  const destination = { address: to, port: readPort(toPort) }
  if (words.length !== 6 || !isAddress?.(from) || !isAddress(to)) return INVALID
  if (Number.isNaN(source.port) || Number.isNaN(destination.port)) return INVALID
  return { kind: 'header', length, path: { source: normalize(source), destination: normalize(destination) } }
}

/** The canonical spelling, by which clients are told apart, as sockets have it: an IPv4-mapped address becomes IPv4. */
function normalize({ address, port }: SocketAddress): SocketAddress {
  return { address: ipaddr.process(address).toString(), port }
}

/** Cuts off the zone, which has a meaning only on the machine that wrote it. */
function isPlainIPv6(text: string): boolean {
  return isIPv6(text) && !text.includes('%')
}

/** NaN if the text is not a port; leading zeros are forbidden. */
function readPort(text: string): number {
  const port = /^(0|[1-9]\d{0,4})$/.test(text) ? Number(text) : Number.NaN
  return port > 65_535 ? Number.NaN : port
}

function readBinary(bytes: Buffer): ProxyOpening {
  if (bytes.length > 12 && bytes[12] !== LOCAL && bytes[12] !== PROXY) return INVALID
  if (bytes.length > 13 && (bytes[13]! >> 4 > 3 || (bytes[13]! & 15) > 2)) return INVALID
  if (bytes.length < V2_FIXED) return PARTIAL
  const length = V2_FIXED + bytes.readUInt16BE(14)
  if (length > MAX_PROXY_HEADER) return INVALID
  const isLocal = bytes[12] === LOCAL
  const family = bytes[13]!
  const addressBytes = [0, 12, 36, 216][family >> 4]!
  if (!isLocal && length < V2_FIXED + addressBytes) return INVALID
  if (bytes.length < length) return PARTIAL
  if (isLocal || family >> 4 === 0) return { kind: 'header', length, path: undefined }
  if (!areVectors(bytes.subarray(V2_FIXED + addressBytes, length))) return INVALID
  const path = family === TCP4 ? readPath(bytes, 4) : family === TCP6 ? readPath(bytes, 16) : undefined
  return { kind: 'header', length, path }
}

function readPath(bytes: Buffer, size: 4 | 16): ProxyPath {
  const address = (at: number) => ipaddr.fromByteArray([...bytes.subarray(at, at + size)]).toString()
  const ports = V2_FIXED + 2 * size
  return {
    source: normalize({ address: address(V2_FIXED), port: bytes.readUInt16BE(ports) }),
    destination: normalize({ address: address(V2_FIXED + size), port: bytes.readUInt16BE(ports + 2) }),
  }
}

/** §2.2: TLVs follow each other up to the end: type, length and value. */
function areVectors(bytes: Buffer): boolean {
  let at = 0
  while (at + 3 <= bytes.length) at += 3 + bytes.readUInt16BE(at + 1)
  return at === bytes.length
}

function composeLine(path: ProxyPath | undefined): Buffer {
  const addresses = path && parsePath(path)
  if (!path || !addresses) return Buffer.from('PROXY UNKNOWN\r\n')
  const [from, to] = addresses
  const family = from.kind() === 'ipv4' ? 'TCP4' : 'TCP6'
  return Buffer.from(`PROXY ${family} ${from} ${to} ${path.source.port} ${path.destination.port}\r\n`)
}

function composeBinary(path: ProxyPath | undefined): Buffer {
  const addresses = path && parsePath(path)
  if (!path || !addresses) return Buffer.concat([V2_START, Buffer.from([LOCAL, 0, 0, 0])])
  const [from, to] = addresses.map((address) => address.toByteArray()) as [number[], number[]]
  const ports = Buffer.alloc(4)
  ports.writeUInt16BE(path.source.port, 0)
  ports.writeUInt16BE(path.destination.port, 2)
  const family = from.length === 4 ? TCP4 : TCP6
  return Buffer.concat([V2_START, Buffer.from([PROXY, family, 0, 2 * from.length + 4, ...from, ...to]), ports])
}

type Address = ipaddr.IPv4 | ipaddr.IPv6

/** Both addresses in one family, as the header needs them; undefined if one of them is not an IP address. */
function parsePath({ source, destination }: ProxyPath): readonly [Address, Address] | undefined {
  if (!ipaddr.isValid(source.address) || !ipaddr.isValid(destination.address)) return undefined
  const from = ipaddr.process(withoutZone(source.address))
  const to = ipaddr.process(withoutZone(destination.address))
  return from.kind() === to.kind() ? [from, to] : [widen(from), widen(to)]
}

function withoutZone(address: string): string {
  return address.split('%', 1)[0]!
}

function widen(address: Address): Address {
  return address.kind() === 'ipv4' ? (address as ipaddr.IPv4).toIPv4MappedAddress() : address
}
