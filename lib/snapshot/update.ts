/**
 * How a configuration reaches the data side: as the difference between two configurations, whose parts are parts of the model
 * as they are. What is the same object as before is left out.
 */
import { cutSame } from '../base/list.ts'
import type { CertificateBinding } from '../model/certificate.ts'
import type { Model } from '../model/model.ts'
import { listShares, type Route, type VirtualHost } from '../model/route.ts'
import type { ServedConfiguration } from '../model/served.ts'
import { placeOf, type ServiceListener } from '../model/service-listener.ts'
import type { Upstream, UpstreamKey } from '../model/upstream.ts'
import type { Settings } from '../settings/table.ts'

export type SnapshotUpdate = Readonly<{
  generation: number
  builtAt: number
  /** Undefined: the settings are those from before. */
  settings: Settings | undefined
  /** Always there, if the model has one. */
  defaultRoute: Route | undefined
  /** New ones, and those that replace one of the same name. */
  hosts: readonly VirtualHost[]
  upstreams: readonly Upstream[]
  certificates: readonly CertificateBinding[]
  listeners: readonly ServiceListener[]
  removed: Readonly<{
    hosts: readonly string[]
    /** Their places. */
    listeners: readonly string[]
    upstreams: readonly UpstreamKey[]
    certificates: readonly string[]
  }>
}>

/** What a snapshot is made of. */
export type SnapshotSource = Pick<ServedConfiguration, 'generation' | 'builtAt' | 'settings' | 'model'>

/** What makes `after` of `before`; of undefined: all of it. */
export function findUpdate(before: SnapshotSource | undefined, after: SnapshotSource): SnapshotUpdate {
  const { generation, builtAt, settings, model } = after
  const old = before?.model
  const hosts = diffLists(old?.hosts, model.hosts, ({ host }) => host)
  const listeners = diffLists(old && listPlaced(old), listPlaced(model), placeOf)
  const certificates = diffLists(old?.certificates, model.certificates, ({ host }) => host)
  const upstreams = diffUpstreams(old && findReached(old), findReached(model, old))
  return {
    generation,
    builtAt,
    settings: settings === before?.settings ? undefined : settings,
    defaultRoute: model.defaultRoute,
    hosts: hosts.changed,
    upstreams: upstreams.changed,
    certificates: certificates.changed,
    listeners: listeners.changed,
    removed: {
      hosts: hosts.removed,
      upstreams: upstreams.removed,
      certificates: certificates.removed,
      listeners: listeners.removed,
    },
  }
}

type ReachedUpstreams = ReadonlyMap<UpstreamKey, Upstream>

/** Looked for once in each model. */
const reached = new WeakMap<Model, ReachedUpstreams>()

/** The upstreams that a route or a listener leads to; of a model that leads where `before` does, the same map. */
export function findReached(model: Model, before?: Model): ReachedUpstreams {
  let found = reached.get(model)
  if (!found) {
    found = before && leadsToSame(before, model) ? findReached(before) : selectUpstreams(model)
    reached.set(model, found)
  }
  return found
}

function selectUpstreams(model: Model): ReachedUpstreams {
  const selected = new Map<UpstreamKey, Upstream>()
  for (const key of findAllUpstreams(model.hosts, model.defaultRoute, listPlaced(model))) {
    const upstream = model.upstreams.get(key)
    if (upstream) selected.set(key, upstream)
  }
  return selected
}

/** True if the hosts and listeners that came lead where those led that went, and nothing else changed. */
function leadsToSame(before: Model, after: Model): boolean {
  if (before.upstreams !== after.upstreams) return false
  const { gone, come } = cutSame(before.hosts, after.hosts)
  const listeners = cutSame(listPlaced(before), listPlaced(after))
  const old = findAllUpstreams(gone, before.defaultRoute, listeners.gone)
  const now = findAllUpstreams(come, after.defaultRoute, listeners.come)
  return old.size === now.size && [...old].every((key) => now.has(key))
}

/** The listeners that have their places, by list: of several at one place the first has it. */
const placed = new WeakMap<Model['listeners'], readonly ServiceListener[]>()

function listPlaced({ listeners }: Model): readonly ServiceListener[] {
  let found = placed.get(listeners)
  if (!found) {
    const places = new Map<string, ServiceListener>()
    for (const listener of listeners) {
      const place = placeOf(listener)
      if (!places.has(place)) places.set(place, listener)
    }
    found = [...places.values()]
    placed.set(listeners, found)
  }
  return found
}

function findAllUpstreams(
  hosts: readonly VirtualHost[],
  defaultRoute: Route | undefined,
  listeners: readonly ServiceListener[],
): Set<UpstreamKey> {
  const found = new Set<UpstreamKey>()
  for (const host of hosts) for (const key of findUpstreams(host)) found.add(key)
  if (defaultRoute) for (const key of listUpstreams([defaultRoute])) found.add(key)
  for (const { upstream } of listeners) found.add(upstream)
  return found
}

/** A host is the same object for as long as it does not change, and most do not. */
const knownUpstreams = new WeakMap<VirtualHost, ReadonlySet<UpstreamKey>>()

function findUpstreams(host: VirtualHost): ReadonlySet<UpstreamKey> {
  let found = knownUpstreams.get(host)
  if (!found) {
    found = listUpstreams(host.routes)
    knownUpstreams.set(host, found)
  }
  return found
}

/** The keys of the upstreams that routes lead to. */
export function listUpstreams(routes: readonly Pick<Route, 'action'>[]): ReadonlySet<UpstreamKey> {
  const keys = new Set<UpstreamKey>()
  for (const { action } of routes) {
    if (action.type === 'forward') keys.add(action.upstream)
    else for (const share of listShares(action)) if (share.action.type === 'forward') keys.add(share.action.upstream)
  }
  return keys
}

type Changes<T> = Readonly<{ changed: readonly T[]; removed: readonly string[] }>

function diffUpstreams(before: ReachedUpstreams | undefined, after: ReachedUpstreams): Changes<Upstream> {
  if (before === after) return { changed: [], removed: [] }
  return diffLists(before && [...before.values()], [...after.values()], ({ key }) => key)
}

/** What came under a new name or in place of another, and the names that went. */
function diffLists<T>(before: readonly T[] = [], after: readonly T[], nameOf: (item: T) => string): Changes<T> {
  const { gone, come } = cutSame(before, after)
  const old = new Set(gone)
  const names = new Set(come.map(nameOf))
  return {
    changed: come.filter((item) => !old.has(item)),
    removed: gone.map(nameOf).filter((name) => !names.has(name)),
  }
}
