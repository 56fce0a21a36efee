/** An upstream whose endpoints are given by name, as the one whose endpoints are the addresses of these names. */
import { isIP } from 'node:net'
import { isPrivateAddress } from '../../base/cidr.ts'
import type { Endpoint, UnresolvedEndpoint, Upstream } from '../../model/upstream.ts'
import type { UpstreamPolicy } from '../../settings/service.ts'
import type { NameAnswer } from './name-watch.ts'

export type AddressFamily = UpstreamPolicy['addressFamily']

export type Expansion = Readonly<{
  upstream: Upstream
  /** What the guard refuses: `api.test: 10.0.0.1 is private`. */
  refused: readonly string[]
}>

const FAMILIES: Readonly<Record<AddressFamily, 0 | 4 | 6>> = { auto: 0, ipv4: 4, ipv6: 6 }
const MAX_PRINTED = 5

/** Its names, in lower case; none where no route may lead there. */
export function listNames({ endpoints, denied }: Upstream): readonly string[] {
  if (denied !== undefined) return []
  const names = new Set<string>()
  for (const { host } of endpoints) if (isIP(host) === 0) names.add(host.toLowerCase())
  return [...names]
}

/**
 * Each endpoint given by name becomes one for each address, and they share its weight: what is written as a name of weight 2
 * gets twice of what is written as an address of weight 1, however many addresses it has. Weights are multiplied by the least
 * number of addresses that anything here has, so that they stay whole where they can.
 */
export function expandUpstream(
  upstream: Upstream,
  answerOf: (name: string) => NameAnswer,
  family: AddressFamily,
): Expansion {
  const refused: string[] = []
  const unresolved: UnresolvedEndpoint[] = []
  const groups: (readonly [endpoint: Endpoint, addresses: readonly string[]])[] = []
  for (const endpoint of upstream.endpoints) {
    if (isIP(endpoint.host) !== 0) {
      groups.push([endpoint, [endpoint.host]])
      continue
    }
    const found = choose(answerOf(endpoint.host.toLowerCase()), family, upstream.guardAddresses)
    refused.push(...found.refused.map((address) => `${endpoint.host}: ${address} is ${isPrivateAddress(address)}`))
    if (found.addresses.length > 0) groups.push([endpoint, found.addresses])
    else unresolved.push(Object.freeze({ endpoint, code: found.code, reason: `${endpoint.host}: ${found.reason}` }))
  }
  const least = Math.min(...groups.map(([, addresses]) => addresses.length))
  const endpoints = groups.flatMap(([endpoint, addresses]) => {
    const weight = (endpoint.weight * least) / addresses.length
    if (isIP(endpoint.host) !== 0)
      return weight === endpoint.weight ? [endpoint] : [Object.freeze({ ...endpoint, weight })]
    return addresses.map((host) => Object.freeze({ ...endpoint, host, name: endpoint.host, weight }))
  })
  const { unresolved: _, ...rest } = upstream
  return {
    upstream: Object.freeze({
      ...rest,
      endpoints: Object.freeze(endpoints),
      ...(unresolved.length > 0 && { unresolved: Object.freeze(unresolved) }),
    }),
    refused,
  }
}

type Choice = Readonly<{
  addresses: readonly string[]
  refused: readonly string[]
  /** Where there are no addresses. */
  code: UnresolvedEndpoint['code']
  reason: string
}>

/** The guard looks at every answer anew, so that a name cannot be moved to where it must not lead (DNS rebinding). */
function choose(answer: NameAnswer, family: AddressFamily, isGuarded: boolean): Choice {
  const wanted = FAMILIES[family]
  const known = wanted === 0 ? answer.addresses : answer.addresses.filter((address) => isIP(address) === wanted)
  const refused = isGuarded ? known.filter((address) => isPrivateAddress(address) !== undefined) : []
  const addresses = refused.length === 0 ? known : known.filter((address) => !refused.includes(address))
  if (known.length > 0) {
    const shown = refused.slice(0, MAX_PRINTED).map((address) => `${address} is ${isPrivateAddress(address)}`)
    const more = refused.length > MAX_PRINTED ? ` and ${refused.length - MAX_PRINTED} more` : ''
    return { addresses, refused, code: 'PORTICO_UP_ADDRESS_DENIED', reason: `${shown.join(', ')}${more}` }
  }
  const reason = answer.reason || `it has no IPv${wanted} address`
  return { addresses, refused, code: 'PORTICO_UP_NAME_UNRESOLVED', reason }
}
