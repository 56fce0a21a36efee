/**
 * How a configuration reaches the data side: the part of it that requests need, and what of that differs from what is there
 * already. What is the same object as before is not sent again.
 */
import type { Diagnostic } from './base/diagnostics.ts'
import type { CertificateBinding } from './model/certificate.ts'
import type { Model } from './model/model.ts'
import type { Route, VirtualHost } from './model/route.ts'
import type { Upstream, UpstreamKey } from './model/upstream.ts'
import type { Settings } from './settings-table.ts'

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
export type LiveRoute = Pick<Route, 'id' | 'match' | 'action' | 'ingress'>

/** What requests need of a virtual host. */
export type LiveHost = Pick<VirtualHost, 'host' | 'redirectToHttps'> & Readonly<{ routes: readonly LiveRoute[] }>

/** What requests need of a configuration. */
export type LiveConfiguration = Readonly<{
  generation: number
  builtAt: number
  settings: Settings
  hosts: ReadonlyMap<string, LiveHost>
  /** Those that a route leads to. */
  upstreams: ReadonlyMap<UpstreamKey, Upstream>
  certificates: ReadonlyMap<string, CertificateBinding>
  defaultRoute: LiveRoute | undefined
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
  removed: Readonly<{
    hosts: readonly string[]
    upstreams: readonly UpstreamKey[]
    certificates: readonly string[]
  }>
}>

export function selectLive({ generation, builtAt, settings, model }: ServedConfiguration): LiveConfiguration {
  const hosts = new Map<string, LiveHost>()
  const upstreams = new Map<UpstreamKey, Upstream>()
  const addUpstreams = (keys: Iterable<UpstreamKey>) => {
    for (const key of keys) {
      const upstream = model.upstreams.get(key)
      if (upstream) upstreams.set(key, upstream)
    }
  }
  for (const host of model.hosts) {
    hosts.set(host.host, host)
    addUpstreams(findUpstreams(host))
  }
  if (model.defaultRoute) addUpstreams(listUpstreams([model.defaultRoute]))
  const certificates = new Map(model.certificates.map((binding) => [binding.host, binding]))
  return { generation, builtAt, settings, hosts, upstreams, certificates, defaultRoute: model.defaultRoute }
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
  return {
    generation,
    builtAt,
    settings: settings === before?.settings ? undefined : settings,
    defaultRoute,
    hosts: findChanged(before?.hosts, after.hosts),
    upstreams: findChanged(before?.upstreams, after.upstreams),
    certificates: findChanged(before?.certificates, after.certificates),
    removed: {
      hosts: findRemoved(before?.hosts, after.hosts),
      upstreams: findRemoved(before?.upstreams, after.upstreams),
      certificates: findRemoved(before?.certificates, after.certificates),
    },
  }
}

function findChanged<K, V>(before: ReadonlyMap<K, V> | undefined, after: ReadonlyMap<K, V>): readonly V[] {
  const changed: V[] = []
  for (const [key, value] of after) if (before?.get(key) !== value) changed.push(value)
  return changed
}

function findRemoved<K>(before: ReadonlyMap<K, unknown> | undefined, after: ReadonlyMap<K, unknown>): readonly K[] {
  const removed: K[] = []
  for (const key of before?.keys() ?? []) if (!after.has(key)) removed.push(key)
  return removed
}
