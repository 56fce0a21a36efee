/** The backends of a route, each with what it leads to. Most routes have one. */
import type { RequestErrorCode } from '../base/errors.ts'
import type { Model } from '../model/model.ts'
import { listShares, type RouteAction, type Share } from '../model/route.ts'
import { findShortage } from '../model/shortage.ts'
import type { Upstream } from '../model/upstream.ts'

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
