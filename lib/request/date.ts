/** The Date of answers (RFC 9110 §6.6.1), printed once a second. HOT */

let second = Number.NaN
let printed = ''

/** IMF-fixdate of milliseconds since the epoch. */
export function printDate(now: number): string {
  const current = Math.floor(now / 1000)
  if (current !== second) {
    second = current
    printed = new Date(current * 1000).toUTCString()
  }
  return printed
}
