/**
 * Makes the answers that cost something: one at a time, with a rest as long as each has taken, so that health is answered in
 * between. Who asks while others wait for the same gets what they get, in the same bytes.
 */
import { setTimeout as sleep } from 'node:timers/promises'

export class AnswerMaker {
  readonly #waitedFor = new Map<string, Promise<Buffer>>()
  #last: Promise<unknown> = Promise.resolve()

  /** `prepare` may wait for others; `work` is what costs. */
  make(name: string, prepare: () => Promise<void>, work: () => Promise<string> | string): Promise<Buffer> {
    let made = this.#waitedFor.get(name)
    if (!made) {
      made = prepare().then(() => this.#workInTurn(work))
      this.#waitedFor.set(name, made)
      const forget = () => this.#waitedFor.delete(name)
      made.then(forget, forget)
    }
    return made
  }

  #workInTurn(work: () => Promise<string> | string): Promise<Buffer> {
    let took = 0
    const made = this.#last.then(async () => {
      const began = performance.now()
      const bytes = Buffer.from(await work())
      took = performance.now() - began
      return bytes
    })
    const rest = () => sleep(took, undefined, { ref: false })
    this.#last = made.then(rest, rest)
    return made
  }
}
