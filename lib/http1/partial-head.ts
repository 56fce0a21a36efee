/** A head that arrives in pieces, joined at linear cost, however small the pieces are. */

export class PartialHead {
  #room: Buffer
  #length: number
  /** The number of bytes at the last scan. */
  #scanned: number

  /** `first` has been scanned already. */
  constructor(first: Buffer) {
    this.#room = Buffer.allocUnsafeSlow(Math.max(2 * first.length, 1024))
    this.#length = first.copy(this.#room)
    this.#scanned = this.#length
  }

  /**
   * Adds a piece. Returns all bytes when it is time to scan them again: the empty line may be among them, or they are
   * twice as many as at the last scan, so that garbage is found out early. The bytes are not overwritten afterwards
   * unless another piece is added.
   */
  add(piece: Buffer): Buffer | undefined {
    const length = this.#length + piece.length
    if (length > this.#room.length) {
      const room = Buffer.allocUnsafeSlow(2 * length)
      this.#room.copy(room, 0, 0, this.#length)
      this.#room = room
    }
    piece.copy(this.#room, this.#length)
    // The empty line may have begun in the bytes before.
    const from = Math.max(0, this.#length - 3)
    this.#length = length
    const bytes = this.#room.subarray(0, length)
    if (length < 2 * this.#scanned && bytes.indexOf('\r\n\r\n', from, 'latin1') < 0) return undefined
    this.#scanned = length
    return bytes
  }
}
