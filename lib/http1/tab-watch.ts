/**
 * Finds a tab behind the value of Transfer-Encoding. llhttp refuses such a value, except in a head that asks for an upgrade: there
 * it ignores the field, and the request seems to have no body. node:http shows the value without the tab. HOT
 */
import { CR, LF, SPACE, TAB } from './bytes.ts'

const NAME = Buffer.from('transfer-encoding:')

export class TabWatch {
  /** Matching bytes of `NAME` at the beginning of this line; -1 for a line of another field. */
  #matched = 0
  /** True if the value so far ends in white space with a tab. */
  #endsInTab = false

  /** Reads on in a head from `start` to `end`. False if there is such a tab. */
  read(bytes: Buffer, start: number, end: number): boolean {
    for (let at = start; at < end; at++) {
      const byte = bytes[at]!
      if (byte === LF) {
        if (this.#matched === NAME.length && this.#endsInTab) return false
        this.#matched = 0
        this.#endsInTab = false
      } else if (this.#matched === NAME.length) {
        if (byte === TAB) this.#endsInTab = true
        else if (byte !== SPACE && byte !== CR) this.#endsInTab = false
      } else if (this.#matched >= 0) {
        this.#matched = (byte | 0x20) === NAME[this.#matched] ? this.#matched + 1 : -1
      }
    }
    return true
  }
}
