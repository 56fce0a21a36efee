/** Reads the answers of one HTTP/1.1 connection, one after the other, as far as a load has to: their status, and when each is whole. */

const HEAD_END = Buffer.from('\r\n\r\n')

export class AnswerReader {
  /** Of the answer that is being read, or was read last. */
  status = ''
  /** The connection ends behind it. */
  closes = false
  #head: Buffer = Buffer.alloc(0)
  /** Bytes of the body still to come; -1 while the head is awaited. */
  #left = -1

  /** Whether the answer is whole with this chunk. Throws where it has no Content-Length: it cannot be timed. */
  add(chunk: Buffer): boolean {
    let part: Buffer = chunk
    if (this.#left < 0) {
      if (this.#head.length > 0) part = Buffer.concat([this.#head, chunk])
      const end = part.indexOf(HEAD_END)
      if (end < 0) {
        this.#head = part
        return false
      }
      const head = part.toString('latin1', 0, end)
      this.status = head.slice(9, 12)
      this.closes = /\r\nconnection: *close/i.test(head)
      this.#left = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? Number.NaN)
      if (Number.isNaN(this.#left)) throw new Error(`an answer without Content-Length cannot be timed:\n${head}`)
      this.#head = Buffer.alloc(0)
      part = part.subarray(end + 4)
    }
    this.#left -= part.length
    if (this.#left > 0) return false
    this.#left = -1
    return true
  }
}
