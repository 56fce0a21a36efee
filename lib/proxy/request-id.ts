/** The id that one request carries through gateway, upstream and logs. */
import { randomUUID } from 'node:crypto'

const MAX_LENGTH = 128

/** The client's X-Request-Id where it is harmless in any log and header, else a new one. */
export function chooseRequestId(sent: string | undefined): string {
  return sent !== undefined && isSane(sent) ? sent : randomUUID()
}

function isSane(id: string): boolean {
  return id.length <= MAX_LENGTH && /^[A-Za-z0-9._-]+$/.test(id)
}
