/** Messages on a stream, each after its length in two bytes (RFC 7766 §8). */

/** The complete messages, at most `most`, and the remaining bytes. */
export function splitMessages(
  bytes: Buffer,
  most: number = Number.POSITIVE_INFINITY,
): Readonly<{ messages: readonly Buffer[]; rest: Buffer }> {
  const messages: Buffer[] = []
  let at = 0
  while (messages.length < most && at + 2 <= bytes.length) {
    const end = at + 2 + bytes.readUInt16BE(at)
    if (end > bytes.length) break
    messages.push(bytes.subarray(at + 2, end))
    at = end
  }
  return { messages, rest: bytes.subarray(at) }
}

export function frameMessage(message: Buffer): Buffer {
  const framed = Buffer.allocUnsafe(message.length + 2)
  framed.writeUInt16BE(message.length, 0)
  message.copy(framed, 2)
  return framed
}
