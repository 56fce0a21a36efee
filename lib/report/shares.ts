/** The backends of a route, each with what it leads to. Most routes have one. */
import type { RequestErrorCode } from '../base/errors.ts'
import type { Model } from '../model/model.ts'
import { findService, listShares, type RouteAction, type Share } from '../model/route.ts'
import { findShortage } from '../model/shortage.ts'
import type { Upstream } from '../model/upstream.ts'
import { type RoutedRequest, readCookie } from '../routing/predicates.ts'

export type DescribedShare = Share &
  Readonly<{
    /** Undefined where the backend cannot be served. */
    upstream: Upstream | undefined
    /** What its requests are answered where no endpoint gets them. */
    lack: Readonly<{ code: RequestErrorCode; reason: string }> | undefined
  }>

export function describeShares({ upstreams }: Model, action: RouteAction): readonly DescribedShare[] {
  return listShares(action).map((share) => {
    if (share.action.type === 'unavailable') return { ...share, upstream: undefined, lack: share.action }
    const upstream = upstreams.get(share.action.upstream)
    return { ...share, upstream, lack: findShortage(upstream) }
  })
}

/** `90 of 100` */
export function printWeight({ weight }: Share, shares: readonly Share[]): string {
  return `${weight} of ${shares.reduce((sum, each) => sum + each.weight, 0)}`
}

/** What the cookie that keeps clients with their backend does to a request. */
export type KeptClient = Readonly<{
  /** The backend that the request goes to; undefined: any of them, or it is not known which. */
  share: DescribedShare | undefined
  /** For people. */
  reason: string
}>

/** `markService` tells what the cookie says of a Service; undefined: it is not known. */
export function describeKept(
  cookie: string,
  shares: readonly DescribedShare[],
  request: Pick<RoutedRequest, 'header'>,
  markService: ((service: string) => string) | undefined,
): KeptClient {
  const value = readCookie(request, cookie)
  if (value === undefined)
    return { share: undefined, reason: `the answer sets ${cookie}, which keeps the client there` }
  if (markService === undefined) {
    return { share: undefined, reason: `${cookie} keeps the client with one that is known where the gateway runs` }
  }
  const share = shares.find(
    ({ weight, action }) => weight > 0 && action.type === 'forward' && markService(findService(action)) === value,
  )
  if (share === undefined) return { share, reason: `${cookie} names none of them that gets requests` }
  return { share, reason: `${cookie} keeps the client with ${share.action.backend}` }
}
