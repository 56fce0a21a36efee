/** The id that one request carries through gateway, upstream and logs. HOT */
import { randomBytes } from 'node:crypto'

const MAX_LENGTH = 128
/** Hexadecimal digits of a new id: 128 random bits. */
const DIGITS = 32
/** New ids made together. */
const BATCH = 256

/** Ids to come, in one piece: a string put together for each is walked anew wherever it is written. */
let digits = ''
let next = 0

/**
 * The client's X-Request-Id where it is harmless in any log and header, else a new one. It is kept from every client, as
 * ingress-nginx does: it only names a request, so that people find it again, and nothing is decided by it.
 */
export function chooseRequestId(sent: string | undefined): string {
  return sent !== undefined && isSane(sent) ? sent : createRequestId()
}

/** As unlikely to come twice as a random UUID. */
export function createRequestId(): string {
  if (next === digits.length) {
    digits = randomBytes((BATCH * DIGITS) / 2).toString('hex')
    next = 0
  }
  next += DIGITS
  return digits.slice(next - DIGITS, next)
}

function isSane(id: string): boolean {
  return id.length <= MAX_LENGTH && /^[A-Za-z0-9._-]+$/.test(id)
}
