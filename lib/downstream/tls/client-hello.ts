/** The first bytes of a connection to a TLS port: a ClientHello with the name it asks for (RFC 8446 §4.1.2, RFC 6066 §3), or what else. */

/** `partial`: more bytes are needed. `unknown`: for OpenSSL to refuse in its own words. */
export type Opening =
  | { readonly kind: 'hello'; readonly servername: string /* as sent; '' for none */ }
  | { readonly kind: 'partial' }
  | { readonly kind: 'http' }
  | { readonly kind: 'unknown' }

/** Bytes in which a ClientHello must be whole, record headers included: ten times what browsers send with post-quantum keys. */
export const MAX_OPENING = 16_384

const HANDSHAKE = 0x16
const CLIENT_HELLO = 1
const SERVER_NAME = 0
const HOST_NAME = 0

const PARTIAL: Opening = Object.freeze({ kind: 'partial' })
const UNKNOWN: Opening = Object.freeze({ kind: 'unknown' })

/** `bytes` is all that has been received so far, and not empty. */
export function readOpening(bytes: Buffer): Opening {
  // No TLS record begins with a letter, every HTTP method does.
  if (bytes[0]! >= 0x41 && bytes[0]! <= 0x5a) return { kind: 'http' }
  const { message, isBroken } = joinRecords(bytes)
  if (message.length > 0 && message[0] !== CLIENT_HELLO) return UNKNOWN
  const end = message.length < 4 ? 4 : 4 + message.readUIntBE(1, 3)
  if (message.length < end) return isBroken ? UNKNOWN : PARTIAL
  try {
    return { kind: 'hello', servername: findServername(message.subarray(4, end)) }
  } catch {
    return UNKNOWN
  }
}

/** The handshake bytes of all records, of the last one as far as it has come, up to where something else begins. */
function joinRecords(bytes: Buffer): { message: Buffer; isBroken: boolean } {
  const fragments: Buffer[] = []
  let isBroken = false
  for (let at = 0; at < bytes.length; ) {
    isBroken = bytes[at] !== HANDSHAKE || (bytes[at + 1] ?? 3) !== 3
    if (isBroken || at + 5 > bytes.length) break
    const end = at + 5 + bytes.readUInt16BE(at + 3)
    fragments.push(bytes.subarray(at + 5, end))
    at = end
  }
  return { message: Buffer.concat(fragments), isBroken }
}

/** Throws RangeError where a length leads past the end. */
function findServername(hello: Buffer): string {
  let at = 2 + 32 // version and random
  at += 1 + hello.readUInt8(at) // session id
  at += 2 + hello.readUInt16BE(at) // cipher suites
  at += 1 + hello.readUInt8(at) // compression methods
  if (at === hello.length) return ''
  const extensions = hello.subarray(at + 2, at + 2 + hello.readUInt16BE(at))
  for (at = 0; at < extensions.length; ) {
    const end = at + 4 + extensions.readUInt16BE(at + 2)
    if (extensions.readUInt16BE(at) === SERVER_NAME) return readHostName(extensions.subarray(at + 4, end))
    at = end
  }
  return ''
}

/** The first name of the list: RFC 6066 allows one of each type, and OpenSSL refuses more. */
function readHostName(list: Buffer): string {
  if (list.readUInt8(2) !== HOST_NAME) return ''
  return list.toString('latin1', 5, 5 + list.readUInt16BE(3))
}
