/** Times in log lines. Lines come in the order of time, so the text of the second before is mostly good for the next. HOT */

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** Prints milliseconds since the epoch; `print` is asked once for each second. */
class SecondText {
  #second = Number.NaN
  #text = ''
  readonly #print: (second: number) => string

  constructor(print: (second: number) => string) {
    this.#print = print
  }

  of(second: number): string {
    if (second !== this.#second) {
      this.#text = this.#print(second)
      this.#second = second
    }
    return this.#text
  }
}

const utc = new SecondText((second) => new Date(second * 1000).toISOString().slice(0, 20))
const common = new SecondText(printCommon)
const local = new SecondText(printLocal)

/** `2026-11-29T12:25:52.123Z` */
export function isoTime(at: number): string {
  const second = Math.floor(at / 1000)
  const rest = Math.floor(at) - second * 1000
  return `${utc.of(second)}${rest < 10 ? '00' : rest < 100 ? '0' : ''}${rest}Z`
}

/** `29/Nov/2026:12:25:52 +0000`, local time, as in the Common Log Format. */
export function commonTime(at: number): string {
  return common.of(Math.floor(at / 1000))
}

/** `2026-11-29T12:25:52+00:00`, local time. */
export function localTime(at: number): string {
  return local.of(Math.floor(at / 1000))
}

const pad = (number: number) => String(number).padStart(2, '0')

function printOffset(date: Date, between: string): string {
  const minutes = -date.getTimezoneOffset()
  const absolute = Math.abs(minutes)
  return `${minutes < 0 ? '-' : '+'}${pad(Math.floor(absolute / 60))}${between}${pad(absolute % 60)}`
}

function printClock(date: Date): string {
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`
}

function printCommon(second: number): string {
  const date = new Date(second * 1000)
  const day = `${pad(date.getDate())}/${MONTHS[date.getMonth()]}/${date.getFullYear()}`
  return `${day}:${printClock(date)} ${printOffset(date, '')}`
}

function printLocal(second: number): string {
  const date = new Date(second * 1000)
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`
  return `${day}T${printClock(date)}${printOffset(date, ':')}`
}
