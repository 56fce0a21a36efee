/**
 * Makes expensive answers one at a time, each followed by a pause of the same length, so that health probes are answered in
 * between. Requests for an answer that others wait for share it.
 */
import { setTimeout as sleep } from 'node:timers/promises'

export class AnswerMaker {
  readonly #waitedFor = new Map<string, Promise<Buffer>>()
  #last: Promise<unknown> = Promise.resolve()

  /** `prepare` may wait for other processes; `work` is the expensive part. */
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
