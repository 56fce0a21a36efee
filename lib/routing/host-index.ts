/** Finds the entry of a hostname: an exact host goes before a one-label wildcard (I-6 to I-8, I-28). For routes and certificates. */

export class HostIndex<T> {
  readonly #exact = new Map<string, T>()
  /** By the suffix behind `*.`. */
  readonly #wildcard = new Map<string, T>()

  /** Keys are exact hostnames or `*.suffix`, in the normal form of base/hostname, or `''`, which is found as `''` alone. */
  constructor(entries: Iterable<readonly [string, T]> = []) {
    for (const [host, value] of entries) this.add(host, value)
  }

  /** Adds an entry while the index is being built; an index in use is never changed. */
  add(host: string, value: T): void {
    if (host.startsWith('*.')) this.#wildcard.set(host.slice(2), value)
    else this.#exact.set(host, value)
  }

  /** All keys: exact hostnames, then those with `*.`. */
  *names(): Generator<string> {
    yield* this.#exact.keys()
    for (const suffix of this.#wildcard.keys()) yield `*.${suffix}`
  }

  /** `hostname` in normal form: lower case, no port, no trailing dot. */
  find(hostname: string): T | undefined {
    const exact = this.#exact.get(hostname)
    if (exact !== undefined || this.#wildcard.size === 0) return exact
    const dot = hostname.indexOf('.')
    return dot > 0 ? this.#wildcard.get(hostname.slice(dot + 1)) : undefined
  }
}
