/** One name to its addresses, as getaddrinfo orders its sources (hosts file, DNS, the rest), but with the TTL that it hides. */
import type { RecordWithTtl } from 'node:dns'
import { lookup, Resolver } from 'node:dns/promises'
import { isIP } from 'node:net'
import { listOwnAddresses } from '../../platform/own-addresses.ts'
import type { HostsFile } from './hosts-file.ts'

export type Resolution = Readonly<{
  /** At least one, IPv4 and IPv6. */
  addresses: readonly string[]
  ttlSeconds: number
  /** The family of which nothing is known, and why not. */
  missing?: MissingFamily
}>

export type MissingFamily = Readonly<{ family: 4 | 6; reason: string }>

export type ResolverOptions = Readonly<{
  hosts: HostsFile
  /** `address` or `address:port` of the DNS servers to ask; where there are none, the system's, and all else it knows. */
  servers: () => readonly string[]
}>

/** For answers that carry no TTL: the hosts file and the system's resolver. */
const LOCAL_TTL_SECONDS = 10
/** Milliseconds to the first answer, and how often it is asked for; the second time waits longer. */
const QUERY = { timeout: 1_500, tries: 2 }
/** Once one family has answered, the other has this long before the first is used alone, milliseconds (RFC 8305 §3). */
const RESOLUTION_DELAY = 50

const REASONS: ReadonlyMap<string, string> = new Map([
  ['ENOTFOUND', 'there is no such name (NXDOMAIN)'],
  ['ENODATA', 'the name has no address'],
  ['ESERVFAIL', 'the DNS server failed (SERVFAIL)'],
  ['EREFUSED', 'the DNS server refused (REFUSED)'],
  ['EFORMERR', 'the DNS server took the question for malformed (FORMERR)'],
  ['EBADRESP', 'the DNS server gave a malformed answer'],
  ['EBADNAME', 'the name is malformed'],
  ['ETIMEOUT', 'no DNS server answered in time'],
  ['ECONNREFUSED', 'no DNS server could be reached'],
  ['EAI_AGAIN', "the system's resolver fails for now"],
])

export class NameResolver {
  readonly #options: ResolverOptions
  readonly #asking = new Set<Resolver>()

  constructor(options: ResolverOptions) {
    this.#options = options
  }

  /**
   * `name` in lower case. Rejects, with a message for people, where it has no address. `onFirst` gets the addresses of one
   * family where the other takes long.
   */
  async resolve(name: string, onFirst: (first: Resolution) => void = () => {}): Promise<Resolution> {
    const { hosts, servers } = this.#options
    await hosts.refresh()
    const local = findLocal(name, hosts.find(name))
    if (local.length > 0) return { addresses: local, ttlSeconds: LOCAL_TTL_SECONDS }
    const chosen = servers()
    try {
      return await this.#ask(name, chosen, onFirst)
    } catch (error) {
      if (chosen.length > 0 || codeOf(error) === 'ETIMEOUT' || codeOf(error) === 'ECANCELLED') throw explain(error)
      // Search domains, mDNS and the like are known to the system's resolver alone.
      const found = await lookup(name, { all: true, verbatim: true }).catch(() => [])
      if (found.length === 0) throw explain(error)
      return { addresses: found.map(({ address }) => address), ttlSeconds: LOCAL_TTL_SECONDS }
    }
  }

  /** Whether what stands above the DNS may say something else than before. */
  hasChanged(): Promise<boolean> {
    return this.#options.hosts.refresh()
  }

  /** Whatever is being asked fails. */
  close(): void {
    for (const resolver of this.#asking) resolver.cancel()
  }

  async #ask(name: string, servers: readonly string[], onFirst: (first: Resolution) => void): Promise<Resolution> {
    // One for each question: it takes the system's servers as they are now.
    const resolver = new Resolver(QUERY)
    if (servers.length > 0) resolver.setServers(servers)
    this.#asking.add(resolver)
    let timer: NodeJS.Timeout | undefined
    const use = (records: readonly RecordWithTtl[], other: 4 | 6): readonly RecordWithTtl[] => {
      const first = join(records, { family: other, reason: 'it is still being looked up' })
      if (first.addresses.some(isReachable)) timer ??= setTimeout(onFirst, RESOLUTION_DELAY, first)
      return records
    }
    const [v4, v6] = await Promise.allSettled([
      resolver.resolve4(name, { ttl: true }).then((records) => use(records, 6)),
      resolver.resolve6(name, { ttl: true }).then((records) => use(records, 4)),
    ])
    clearTimeout(timer)
    this.#asking.delete(resolver)
    const records = [v4, v6].flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
    if (records.length > 0) return join(records, findMissing(v4, 4) ?? findMissing(v6, 6))
    const errors = [v4, v6].flatMap((answer) => (answer.status === 'rejected' ? [answer.reason] : []))
    throw errors.find((error) => !saysNothing(error)) ?? errors[0]
  }
}

function join(records: readonly RecordWithTtl[], missing: MissingFamily | undefined): Resolution {
  return {
    addresses: dropUnreachable(records.map(({ address }) => address)),
    ttlSeconds: Math.min(...records.map(({ ttl }) => ttl)),
    ...(missing && { missing }),
  }
}

/** Where the family failed otherwise than by an answer that it has no addresses. */
function findMissing(answer: PromiseSettledResult<unknown>, family: 4 | 6): MissingFamily | undefined {
  if (answer.status === 'fulfilled' || saysNothing(answer.reason)) return undefined
  return { family, reason: explain(answer.reason).message }
}

/**
 * RFC 6761 §6.3: names of this machine are never asked for. Many a hosts file has one family alone for `localhost`, while
 * applications listen on either.
 */
function findLocal(name: string, inFile: readonly string[]): readonly string[] {
  if (name === 'localhost') return [...inFile, ...listLoopbacks()]
  return inFile.length === 0 && name.endsWith('.localhost') ? listLoopbacks() : inFile
}

function listLoopbacks(): readonly string[] {
  return listOwnAddresses().some(({ address }) => address === '::1') ? ['127.0.0.1', '::1'] : ['127.0.0.1']
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? ''
}

/** Whether the answer was that there is nothing. */
function saysNothing(error: unknown): boolean {
  return codeOf(error) === 'ENODATA' || codeOf(error) === 'ENOTFOUND'
}

function explain(error: unknown): Error {
  const code = codeOf(error)
  return new Error(REASONS.get(code) ?? (code || String(error)), { cause: error })
}

/** As AI_ADDRCONFIG (RFC 3493 §6.1): no IPv6 addresses where this machine has none itself, unless there are no others. */
function dropUnreachable(addresses: readonly string[]): readonly string[] {
  if (addresses.every(isNear) || !addresses.some(isNear) || hasIPv6()) return addresses
  return addresses.filter(isNear)
}

function isNear(address: string): boolean {
  return isIP(address) === 4 || address === '::1'
}

function isReachable(address: string): boolean {
  return isNear(address) || hasIPv6()
}

function hasIPv6(): boolean {
  return listOwnAddresses().some(({ family, internal, address }) => {
    return family === 'IPv6' && !internal && !/^fe[89ab]/i.test(address)
  })
}
