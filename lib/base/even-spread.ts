/** Shares of requests, spread evenly over them. HOT */

/** 2³² divided by the golden ratio: its multiples modulo 2³² are spread evenly over the range, however many they are. */
const STEP = 0x9e3779b9
const RANGE = 2 ** 32

/**
 * Numbers from 0 to below 1. After any number of them each part of the range has been hit within a few of its share, where chance would
 * be off by the square root of the number. Unlike taking turns, they fall into step with no pattern of requests. The first is a
 * random one, so that processes and configurations do not all begin alike.
 */
export class EvenSpread {
  #point = Math.floor(Math.random() * RANGE)

  next(): number {
    this.#point = (this.#point + STEP) >>> 0
    return this.#point / RANGE
  }
}
