/** Why no endpoint of an upstream gets requests. */
import { printEndpointAddress } from '../base/endpoint-address.ts'
import { isEligible } from './health.ts'
import { listTiers } from './tier.ts'
import type { UnresolvedEndpoint, Upstream } from './upstream.ts'

export type Shortage = Readonly<{
  /** The error of a request that needs one. */
  code: 'PORTICO_UP_NO_ENDPOINTS' | UnresolvedEndpoint['code']
  /** For people: `none of its 2 endpoints is ready`. */
  reason: string
}>

/** Undefined where there is an endpoint that gets requests. */
export function findShortage(upstream: Upstream | undefined): Shortage | undefined {
  if (upstream === undefined) return createShortage('the service has no endpoints')
  const { endpoints, denied, unresolved = [] } = upstream
  if (denied !== undefined) return createShortage(denied)
  if (listTiers(upstream).length > 0) return undefined
  // A name that may yet lead somewhere says more than one that leads to a forbidden address.
  const lost = unresolved.find(({ code }) => code === 'PORTICO_UP_NAME_UNRESOLVED') ?? unresolved[0]
  if (lost) return { code: lost.code, reason: lost.reason }
  if (endpoints.length === 0) return createShortage('the service has no endpoints')
  const eligible = endpoints.filter(isEligible)
  const [first] = eligible
  const drained = endpoints.filter((endpoint) => endpoint.drained).length
  if (!first && drained > 0) {
    const others = endpoints.length - drained
    return createShortage(
      `${drained} of its ${endpoints.length} endpoints are drained by hand${others > 0 ? ', and no other is ready' : ''}`,
    )
  }
  if (!first) return createShortage(`none of its ${endpoints.length} endpoints is ready`)
  const example = `${printEndpointAddress(first.host, first.port)}: ${first.health?.reason}`
  return createShortage(`none of its ${eligible.length} ready endpoints is in good health (${example})`)
}

function createShortage(reason: string): Shortage {
  return { code: 'PORTICO_UP_NO_ENDPOINTS', reason }
}
