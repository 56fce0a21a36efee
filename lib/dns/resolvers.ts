/** The resolvers for other names, from the settings or from the system's own file. */
import { readFile } from 'node:fs/promises'
import ipaddr from 'ipaddr.js'
import type { Clock } from '../base/clock.ts'
import { parseResolverAddress, type ResolverAddress, SYSTEM_RESOLVERS } from '../base/resolver-address.ts'
import { listOwnAddresses } from '../platform/own-addresses.ts'

const SYSTEM_FILE = '/etc/resolv.conf'
/** Milliseconds until the file is read again: it changes with the machine's network. */
const FRESH_MS = 5_000
/** Most resolvers, as in resolv.conf(5). */
const MOST = 3

export type ResolversOptions = Readonly<{
  /** The setting `dns.forward`. */
  forward: readonly string[]
  /** The address of this server: a question sent there would come back for ever. */
  own: ResolverAddress
  clock: Clock
  file?: string
}>

export class Resolvers {
  readonly #options: ResolversOptions
  #known: Promise<readonly ResolverAddress[]> | undefined
  #readAt = 0

  constructor(options: ResolversOptions) {
    this.#options = options
  }

  /** The resolvers in the order to ask them; empty if all of them are this server. */
  list(): Promise<readonly ResolverAddress[]> {
    const now = this.#options.clock.monotonic()
    if (this.#known === undefined || now - this.#readAt > FRESH_MS) {
      this.#readAt = now
      this.#known = this.#read()
    }
    return this.#known
  }

  async #read(): Promise<readonly ResolverAddress[]> {
    const { forward, own, file = SYSTEM_FILE } = this.#options
    const found: ResolverAddress[] = []
    for (const entry of forward) {
      const one = parseResolverAddress(entry)
      if (one !== undefined) found.push(one)
      else if (entry === SYSTEM_RESOLVERS) found.push(...parseResolvConf(await readText(file)))
    }
    return found.filter((each) => !isOwn(each, own)).slice(0, MOST)
  }
}

/** Reads the `nameserver` lines (resolv.conf(5)). A link-local address may have an interface behind it. */
export function parseResolvConf(text: string): readonly ResolverAddress[] {
  return [...text.matchAll(/^[ \t]*nameserver[ \t]+(\S+)/gm)].flatMap(
    ([, address = '']) => parseResolverAddress(address) ?? [],
  )
}

function isOwn(resolver: ResolverAddress, own: ResolverAddress): boolean {
  if (resolver.port !== own.port) return false
  const address = destinationOf(resolver)
  if (address === own.address) return true
  const isEverywhere = own.address === '::' || own.address === '0.0.0.0'
  return isEverywhere && (address.startsWith('127.') || listOwnAddresses().some((each) => each.address === address))
}

/** The destination of packets for an address, in the spelling of sockets and interfaces. The unspecified address leads to this machine. */
function destinationOf({ address }: ResolverAddress): string {
  const plain = ipaddr.process(address).toString()
  return plain === '0.0.0.0' ? '127.0.0.1' : plain === '::' ? '::1' : plain
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    return ''
  }
}
