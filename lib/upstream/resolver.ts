/** Names to addresses for endpoints given by name: the hosts file, then DNS with its TTL, then the system's resolver. */
import { lookup, Resolver } from 'node:dns/promises'
import { readFile } from 'node:fs/promises'
import type { Clock } from '../base/clock.ts'

export type Resolution = Readonly<{
  /** IPv4 and IPv6, in the order given. */
  addresses: readonly string[]
  ttlSeconds: number
}>

/** Throws when the name has no address. */
export type Resolve = (name: string) => Promise<Resolution>

const MIN_TTL_SECONDS = 1
const MAX_TTL_SECONDS = 300
/** For answers that carry no TTL: the hosts file and the system's resolver. */
const LOCAL_TTL_SECONDS = 10
const HOSTS_FILE = process.platform === 'win32' ? 'C:\\Windows\\System32\\drivers\\etc\\hosts' : '/etc/hosts'

type Entry = {
  addresses: readonly string[]
  expiresAt: number
  pending: Promise<readonly string[]> | undefined
}

/** Remembers answers for their TTL (1 s to 5 min), asks once for many, and keeps the last good answer while a name cannot be resolved. */
export class NameResolver {
  readonly #resolve: Resolve
  readonly #clock: Clock
  readonly #entries = new Map<string, Entry>()

  constructor(resolve: Resolve, clock: Clock) {
    this.#resolve = resolve
    this.#clock = clock
  }

  /** The addresses of `name` if they are known and fresh, without waiting. */
  peek(name: string): readonly string[] | undefined {
    const entry = this.#entries.get(name)
    return entry && entry.addresses.length > 0 && entry.expiresAt > this.#clock.monotonic()
      ? entry.addresses
      : undefined
  }

  /** Rejects when the name has never been resolved and cannot be now. */
  async addresses(name: string): Promise<readonly string[]> {
    const known = this.peek(name)
    if (known) return known
    let entry = this.#entries.get(name)
    if (!entry) {
      entry = { addresses: [], expiresAt: 0, pending: undefined }
      this.#entries.set(name, entry)
    }
    entry.pending ??= this.#refresh(name, entry)
    return entry.pending
  }

  forget(name: string): void {
    this.#entries.delete(name)
  }

  async #refresh(name: string, entry: Entry): Promise<readonly string[]> {
    try {
      const { addresses, ttlSeconds } = await this.#resolve(name)
      if (addresses.length === 0) throw new Error(`${name} has no address`)
      const ttl = Math.min(Math.max(ttlSeconds, MIN_TTL_SECONDS), MAX_TTL_SECONDS)
      entry.addresses = addresses
      entry.expiresAt = this.#clock.monotonic() + ttl * 1000
      return addresses
    } catch (error) {
      if (entry.addresses.length === 0) throw error
      entry.expiresAt = this.#clock.monotonic() + MIN_TTL_SECONDS * 1000
      return entry.addresses
    } finally {
      entry.pending = undefined
    }
  }
}

/** As getaddrinfo orders it (hosts file first), but with the TTL that getaddrinfo hides. */
export async function resolveName(name: string): Promise<Resolution> {
  const fromFile = findInHosts(await readHosts(), name)
  if (fromFile.length > 0) return { addresses: fromFile, ttlSeconds: LOCAL_TTL_SECONDS }
  const resolver = new Resolver({ timeout: 1500, tries: 2 })
  const [v4, v6] = await Promise.allSettled([
    resolver.resolve4(name, { ttl: true }),
    resolver.resolve6(name, { ttl: true }),
  ])
  const records = [v4, v6].flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
  if (records.length > 0) {
    return {
      addresses: records.map((record) => record.address),
      ttlSeconds: Math.min(...records.map((record) => record.ttl)),
    }
  }
  // Search domains, mDNS and the like are known to the system's resolver alone.
  const found = await lookup(name, { all: true, verbatim: true })
  return { addresses: found.map((each) => each.address), ttlSeconds: LOCAL_TTL_SECONDS }
}

async function readHosts(): Promise<string> {
  try {
    return await readFile(HOSTS_FILE, 'latin1')
  } catch {
    return ''
  }
}

/** The addresses that a hosts file (hosts(5)) gives for a name. */
export function findInHosts(hosts: string, name: string): readonly string[] {
  const wanted = name.toLowerCase()
  const found: string[] = []
  for (const line of hosts.split('\n')) {
    const [address, ...names] = line.split('#', 1)[0]!.trim().split(/\s+/)
    if (address && names.some((each) => each.toLowerCase() === wanted) && !found.includes(address)) found.push(address)
  }
  return found
}
