/** Which endpoint each client was given (S24): as many clients as are allowed, those that were here last. HOT */

type Entry = { key: string; usedAt: number }

/** Expired entries that are thrown away with each new one. */
const SWEEP = 2

export class ClientTable {
  /** By address, the one used longest ago first. */
  readonly #entries = new Map<string, Entry>()

  get size(): number {
    return this.#entries.size
  }

  /** The key of the endpoint of a client that was here less than `timeout` ago; times in milliseconds. */
  find(address: string, now: number, timeout: number): string | undefined {
    const entry = this.#entries.get(address)
    return entry === undefined || now - entry.usedAt >= timeout ? undefined : entry.key
  }

  /** It uses this endpoint now. */
  use(address: string, key: string, now: number, timeout: number, max: number): void {
    const entries = this.#entries
    const known = entries.get(address)
    if (known) {
      known.key = key
      // Who comes often need not be moved each time.
      if (now - known.usedAt < timeout / 64) return
      known.usedAt = now
      entries.delete(address)
      entries.set(address, known)
      return
    }
    entries.set(address, { key, usedAt: now })
    let sweep = SWEEP
    for (const [oldest, { usedAt }] of entries) {
      const isExpired = now - usedAt >= timeout
      if (entries.size <= max && !(isExpired && sweep > 0)) break
      entries.delete(oldest)
      if (isExpired) sweep--
    }
  }
}
