/**
 * How a configuration reaches the data side: the part of it that requests need, and what of that differs from what is there
 * already. What is the same object as before is not sent again.
 */
import type { Diagnostic } from '../base/diagnostics.ts'
import { cutSame } from '../base/list.ts'
import type { CertificateBinding } from '../model/certificate.ts'
import type { Model } from '../model/model.ts'
import type { Route, VirtualHost } from '../model/route.ts'
import { placeOf, type ServiceListener } from '../model/service-listener.ts'
import type { Upstream, UpstreamKey } from '../model/upstream.ts'
import type { Settings } from '../settings/table.ts'

/** A configuration in force, as the control side knows it. */
export type ServedConfiguration = Readonly<{
  generation: number
  /** Milliseconds since the epoch. */
  builtAt: number
  settings: Settings
  model: Model
  diagnostics: readonly Diagnostic[]
}>

/** What requests need of a route: its place in a file and its words for people stay behind. */
export type LiveRoute = Pick<Route, 'id' | 'match' | 'action' | 'ingress' | 'policy'>

/** What requests need of a virtual host. */
export type LiveHost = Pick<VirtualHost, 'host' | 'redirectToHttps'> & Readonly<{ routes: readonly LiveRoute[] }>

/** What connections need of a port that a Service opens. */
export type LiveListener = Omit<ServiceListener, 'position'>

/** What requests need of a configuration. */
export type LiveConfiguration = Readonly<{
  generation: number
  builtAt: number
  settings: Settings
  /** Each name once, as in the other two. */
  hosts: readonly VirtualHost[]
  /** The ports that Services open, each place once. */
  listeners: readonly ServiceListener[]
  /** Those that a route or a listener leads to; the same map as before where they are the same. */
  upstreams: ReadonlyMap<UpstreamKey, Upstream>
  certificates: readonly CertificateBinding[]
  defaultRoute: LiveRoute | undefined
  /** What `upstreams` and `listeners` are out of. */
  known: ReadonlyMap<UpstreamKey, Upstream>
  given: readonly ServiceListener[]
}>

export type SnapshotUpdate = Readonly<{
  generation: number
  builtAt: number
  /** Undefined: those that are there already. */
  settings: Settings | undefined
  /** Always all there is to know of it. */
  defaultRoute: LiveRoute | undefined
  /** New ones, and those that replace what has the same name. */
  hosts: readonly LiveHost[]
  upstreams: readonly Upstream[]
  certificates: readonly CertificateBinding[]
  listeners: readonly LiveListener[]
  removed: Readonly<{
    hosts: readonly string[]
    /** Their places. */
    listeners: readonly string[]
    upstreams: readonly UpstreamKey[]
    certificates: readonly string[]
  }>
}>

/** Of `before`, the one selected last, what can be is taken over. */
export function selectLive(
  { generation, builtAt, settings, model }: ServedConfiguration,
  before?: LiveConfiguration,
): LiveConfiguration {
  const { hosts, certificates, defaultRoute, upstreams: known, listeners: given } = model
  const listeners = before?.given === given ? before.listeners : selectListeners(given)
  const upstreams =
    before && leadsToSame(before, model, listeners) ? before.upstreams : selectUpstreams(model, listeners)
  return { generation, builtAt, settings, hosts, listeners, upstreams, certificates, defaultRoute, known, given }
}

/** Who comes first has the place. */
function selectListeners(given: readonly ServiceListener[]): readonly ServiceListener[] {
  const places = new Map<string, ServiceListener>()
  for (const listener of given) {
    const place = placeOf(listener)
    if (!places.has(place)) places.set(place, listener)
  }
  return [...places.values()]
}

function selectUpstreams(
  { hosts, upstreams, defaultRoute }: Model,
  listeners: readonly ServiceListener[],
): ReadonlyMap<UpstreamKey, Upstream> {
  const selected = new Map<UpstreamKey, Upstream>()
  for (const key of findAllUpstreams(hosts, defaultRoute, listeners)) {
    const upstream = upstreams.get(key)
    if (upstream) selected.set(key, upstream)
  }
  return selected
}

/** Whether the hosts and listeners that came lead where those led that went, and nothing else changed. */
function leadsToSame(before: LiveConfiguration, model: Model, next: readonly ServiceListener[]): boolean {
  if (before.known !== model.upstreams) return false
  const { gone, come } = cutSame(before.hosts, model.hosts)
  const listeners = cutSame(before.listeners, next)
  const old = findAllUpstreams(gone, before.defaultRoute, listeners.gone)
  const now = findAllUpstreams(come, model.defaultRoute, listeners.come)
  return old.size === now.size && [...old].every((key) => now.has(key))
}

function findAllUpstreams(
  hosts: readonly VirtualHost[],
  defaultRoute: LiveRoute | undefined,
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
export function listUpstreams(routes: readonly LiveRoute[]): ReadonlySet<UpstreamKey> {
  const keys = new Set<UpstreamKey>()
  for (const { action } of routes) if (action.type === 'forward') keys.add(action.upstream)
  return keys
}

/** What makes `after` of `before`; of undefined: all of it. */
export function diffLive(before: LiveConfiguration | undefined, after: LiveConfiguration): SnapshotUpdate {
  const { generation, builtAt, settings, defaultRoute } = after
  const hosts = diffLists(before?.hosts, after.hosts, ({ host }) => host)
  const listeners = diffLists(before?.listeners, after.listeners, placeOf)
  const certificates = diffLists(before?.certificates, after.certificates, ({ host }) => host)
  const upstreams =
    before?.upstreams === after.upstreams
      ? { changed: [], removed: [] }
      : diffLists([...(before?.upstreams.values() ?? [])], [...after.upstreams.values()], ({ key }) => key)
  return {
    generation,
    builtAt,
    settings: settings === before?.settings ? undefined : settings,
    defaultRoute,
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

/** What came under a new name or in place of another, and the names that went. */
function diffLists<T>(
  before: readonly T[] = [],
  after: readonly T[],
  nameOf: (item: T) => string,
): Readonly<{ changed: readonly T[]; removed: readonly string[] }> {
  const { gone, come } = cutSame(before, after)
  const old = new Set(gone)
  const names = new Set(come.map(nameOf))
  return {
    changed: come.filter((item) => !old.has(item)),
    removed: gone.map(nameOf).filter((name) => !names.has(name)),
  }
}
