/**
 * How a configuration reaches the data side: as the difference between two configurations, whose parts are parts of the model
 * as they are. What is the same object as before is left out.
 */
import { cutSame } from '../base/list.ts'
import type { CertificateBinding } from '../model/certificate.ts'
import type { FilterConfig } from '../model/filter.ts'
import { isServiceListener, type Listener, placeOf } from '../model/listener.ts'
import type { Model } from '../model/model.ts'
import { listShares, type Route, type VirtualHost } from '../model/route.ts'
import { findTable, type RouteTable } from '../model/route-table.ts'
import type { ServedConfiguration } from '../model/served.ts'
import type { Upstream, UpstreamKey } from '../model/upstream.ts'
import type { Settings } from '../settings/table.ts'

/** What is to become of one table. */
export type TableUpdate = Readonly<{
  name: string
  /** Always there, if the table has one. */
  defaultRoute: Route | undefined
  /** New ones, and those that replace one of the same name. */
  hosts: readonly VirtualHost[]
  /** Names of hosts that go. */
  removed: readonly string[]
}>

export type SnapshotUpdate = Readonly<{
  generation: number
  builtAt: number
  /** Undefined: the settings are those from before. */
  settings: Settings | undefined
  /** Those that differ, each with what differs. */
  tables: readonly TableUpdate[]
  /** New ones, and those that replace one of the same name; so are the rest. */
  upstreams: readonly Upstream[]
  certificates: readonly CertificateBinding[]
  listeners: readonly Listener[]
  removed: Readonly<{
    tables: readonly string[]
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
  const tables = diffLists(old?.tables, model.tables, ({ name }) => name)
  const listeners = diffLists(old && listPlaced(old), listPlaced(model), placeOf)
  const certificates = diffLists(old?.certificates, model.certificates, ({ host }) => host)
  const upstreams = diffUpstreams(old && findReached(old), findReached(model, old))
  return {
    generation,
    builtAt,
    settings: settings === before?.settings ? undefined : settings,
    tables: tables.changed.map((table) => findTableUpdate(findTable(old?.tables ?? [], table.name), table)),
    upstreams: upstreams.changed,
    certificates: certificates.changed,
    listeners: listeners.changed,
    removed: {
      tables: tables.removed,
      upstreams: upstreams.removed,
      certificates: certificates.removed,
      listeners: listeners.removed,
    },
  }
}

function findTableUpdate(before: RouteTable | undefined, { name, hosts, defaultRoute }: RouteTable): TableUpdate {
  const { changed, removed } = diffLists(before?.hosts, hosts, ({ host }) => host)
  return { name, defaultRoute, hosts: changed, removed }
}

type ReachedUpstreams = ReadonlyMap<UpstreamKey, Upstream>

/** Looked for once in each model. */
const reached = new WeakMap<Model, ReachedUpstreams>()

/** The upstreams that a route or a listener, or TLS that is passed through, leads to; of a model that leads where `before` does, the same map. */
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
  for (const key of findAllUpstreams(model.tables, listPlaced(model), model.certificates)) {
    const upstream = model.upstreams.get(key)
    if (upstream) selected.set(key, upstream)
  }
  return selected
}

/** True if the hosts and listeners that came lead where those led that went, and nothing else changed. */
function leadsToSame(before: Model, after: Model): boolean {
  if (before.upstreams !== after.upstreams) return false
  const listeners = cutSame(listPlaced(before), listPlaced(after))
  const bindings = cutSame(before.certificates, after.certificates)
  const old = findAllUpstreams(cutTables(before.tables, after.tables), listeners.gone, bindings.gone)
  const now = findAllUpstreams(cutTables(after.tables, before.tables), listeners.come, bindings.come)
  return old.size === now.size && [...old].every((key) => now.has(key))
}

type Routes = Pick<RouteTable, 'hosts' | 'defaultRoute'>

/** The tables without the hosts that those of the same names in `others` have too. */
function cutTables(tables: readonly RouteTable[], others: readonly RouteTable[]): readonly Routes[] {
  return tables.map(({ name, hosts, defaultRoute }) => {
    const { gone } = cutSame(hosts, findTable(others, name)?.hosts ?? [])
    return { hosts: gone, defaultRoute }
  })
}

/** The listeners that have their places, by list: of several at one place the first has it. */
const placed = new WeakMap<Model['listeners'], readonly Listener[]>()

function listPlaced({ listeners }: Model): readonly Listener[] {
  let found = placed.get(listeners)
  if (!found) {
    const places = new Map<string, Listener>()
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
  tables: readonly Routes[],
  listeners: readonly Listener[],
  bindings: readonly CertificateBinding[],
): Set<UpstreamKey> {
  const found = new Set<UpstreamKey>()
  for (const { hosts, defaultRoute } of tables) {
    for (const host of hosts) for (const key of findUpstreams(host)) found.add(key)
    if (defaultRoute) for (const key of listUpstreams([defaultRoute])) found.add(key)
  }
  for (const { upstream } of listeners.filter(isServiceListener)) found.add(upstream)
  for (const { passthrough } of bindings) if (passthrough !== undefined) found.add(passthrough)
  return found
}

const NO_KEYS: readonly UpstreamKey[] = Object.freeze([])

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

/** The keys of the upstreams that routes lead to, and of those that their filters ask. */
export function listUpstreams(routes: readonly Pick<Route, 'action' | 'filters'>[]): ReadonlySet<UpstreamKey> {
  const keys = new Set<UpstreamKey>()
  for (const { action, filters } of routes) {
    for (const key of listAsked(filters)) keys.add(key)
    if (action.type === 'forward') keys.add(action.upstream)
    else for (const share of listShares(action)) if (share.action.type === 'forward') keys.add(share.action.upstream)
  }
  return keys
}

/** The keys of the upstreams that filters ask. */
export function listAsked(filters: readonly FilterConfig[] | undefined): readonly UpstreamKey[] {
  if (filters === undefined || filters.every(({ upstreams }) => upstreams === undefined)) return NO_KEYS
  return filters.flatMap(({ upstreams }) => upstreams ?? NO_KEYS)
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
