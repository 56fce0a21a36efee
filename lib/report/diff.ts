/** What a reload changes: routes, certificates, listeners of Services. */
import { printEndpointAddress } from '../base/endpoint-address.ts'
import { statusOf } from '../base/errors.ts'
import { cutSame } from '../base/list.ts'
import { markSecrets, printFilters, redirectsToHttps } from '../filters/registry.ts'
import type { CertificateBinding } from '../model/certificate.ts'
import { isServiceListener, type ServiceListener } from '../model/listener.ts'
import type { Model } from '../model/model.ts'
import type { BackendAction, Route, RouteAction, Share, VirtualHost } from '../model/route.ts'
import { findTable, type RouteTable } from '../model/route-table.ts'
import type { Upstream, UpstreamKey } from '../model/upstream.ts'
import { joinOverrides } from '../settings/policy.ts'
import type { PolicyOverrides } from '../settings/service.ts'
import { printBoundHost } from './certificate-view.ts'
import {
  printAction,
  printConditions,
  printEndpoints,
  printForwarding,
  printListenerManner,
  printListenerName,
} from './print.ts'
import { describeShares } from './shares.ts'

export type ModelChange = Readonly<{
  type: 'added' | 'removed' | 'changed'
  /** What it is about: `shop.localhost/api  Prefix`, `certificate shop.localhost`, `NodePort default/web:80/TCP`. */
  subject: string
  /** What came, went, or became what. */
  detail: string
}>

/** Something that can come, go and change. */
export type OutlineItem = Readonly<{
  subject: string
  /** Undefined where its coming and going shows in other items. */
  added?: string | undefined
  removed?: string | undefined
  /**
   * What may change, the first being what decides: where it differs the others say nothing more. A value that is left out
   * is not known, and equals any.
   */
  aspects: readonly Readonly<{ name: string; value?: string | undefined }>[]
}>

/** What there is to compare of a model, by keys that name the same place in another model. */
export type Outline = ReadonlyMap<string, OutlineItem>

/** Marks of secrets, which hold within one process. */
const SECRETS = 'secrets of filters '

/** The same without what another process could not compare. */
export function dropMarks(outline: Outline): Outline {
  return new Map(
    [...outline].map(([key, item]) => [
      key,
      { ...item, aspects: item.aspects.map(({ name, value }) => (name === SECRETS ? { name } : { name, value })) },
    ]),
  )
}

/** Compares what is served: what went, then what came and changed, each in the order of its model. */
export function diffModels(whole: Model, wholeAfter: Model): readonly ModelChange[] {
  const [before, after] = narrow(whole, wholeAfter)
  const same = findSame(before, after)
  return diffOutlines(describe(before, same), describe(after, same))
}

/** All of a model that can be compared, in the order of the model. */
export function outlineModel(model: Model): Outline {
  return describe(model, new Set())
}

/** As `diffModels`, where a model is known by its outline alone. */
export function diffOutlines(old: Outline, now: Outline): readonly ModelChange[] {
  const changes: ModelChange[] = []
  for (const [key, { subject, removed }] of old) {
    if (removed !== undefined && !now.has(key)) changes.push({ type: 'removed', subject, detail: removed })
  }
  for (const [key, item] of now) {
    const previous = old.get(key)
    if (previous !== undefined) changes.push(...compare(previous, item))
    else if (item.added !== undefined) changes.push({ type: 'added', subject: item.subject, detail: item.added })
  }
  return Object.freeze(changes.map((change) => Object.freeze(change)))
}

/** Both without hosts, certificates and listeners that cannot differ. */
function narrow(before: Model, after: Model): readonly [before: Model, after: Model] {
  // Where an upstream is another, any host may lead to it.
  if (before.upstreams !== after.upstreams) return [before, after]
  const certificates = cutSame(before.certificates, after.certificates)
  const listeners = cutSame(before.listeners, after.listeners)
  return [
    { ...before, tables: cutTables(before, after), certificates: certificates.gone, listeners: listeners.gone },
    { ...after, tables: cutTables(after, before), certificates: certificates.come, listeners: listeners.come },
  ]
}

/** The tables without the hosts that those of the other model have too. */
function cutTables({ tables }: Model, other: Model): readonly RouteTable[] {
  return tables.map((table) => {
    const { gone } = cutSame(table.hosts, findTable(other.tables, table.name)?.hosts ?? [])
    return { ...table, hosts: gone }
  })
}

/** `+ shop.localhost/cart  Prefix → default/card:80 → 127.0.0.1:9100` */
export function printChange({ type, subject, detail }: ModelChange): string {
  return `${type === 'added' ? '+' : type === 'removed' ? '-' : '~'} ${subject} ${detail}`
}

function compare(before: OutlineItem, after: OutlineItem): ModelChange[] {
  const changes: ModelChange[] = []
  for (const [index, { name, value }] of after.aspects.entries()) {
    const was = before.aspects[index]?.value
    if (was === value || was === undefined || value === undefined) continue
    changes.push({ type: 'changed', subject: after.subject, detail: `${name}${was} → ${value}` })
    if (index === 0) break
  }
  return changes
}

/**
 * Hosts, certificates and listeners that both models have as the same object. Of a host or a listener that holds only
 * where the upstreams it leads to are the same too.
 */
function findSame(before: Model, after: Model): ReadonlySet<unknown> {
  const upstreams = new Set<UpstreamKey>()
  if (before.upstreams !== after.upstreams) {
    for (const [key, upstream] of after.upstreams) if (before.upstreams.get(key) !== upstream) upstreams.add(key)
    for (const key of before.upstreams.keys()) if (!after.upstreams.has(key)) upstreams.add(key)
  }
  const isTouched = ({ action }: Route): boolean =>
    action.type === 'split'
      ? action.shares.some((share) => leadsTo(upstreams, share.action))
      : leadsTo(upstreams, action)
  const old = new Set<unknown>([...listHosts(before), ...before.certificates, ...before.listeners])
  const listeners = after.listeners
    .filter(isServiceListener)
    .filter((listener) => old.has(listener) && !upstreams.has(listener.upstream))
  const hosts = listHosts(after).filter((host) => old.has(host) && !(upstreams.size > 0 && host.routes.some(isTouched)))
  return new Set<unknown>([...hosts, ...listeners, ...after.certificates.filter((binding) => old.has(binding))])
}

function leadsTo(upstreams: ReadonlySet<UpstreamKey>, action: BackendAction): boolean {
  return action.type === 'forward' && upstreams.has(action.upstream)
}

function listHosts({ tables }: Model): readonly VirtualHost[] {
  return tables.flatMap(({ hosts }) => hosts)
}

/** The listeners of the gateway itself are settings, whose changes others tell. */
function describe(model: Model, same: ReadonlySet<unknown>): Map<string, OutlineItem> {
  const items = new Map<string, OutlineItem>()
  for (const table of model.tables) describeTable(model, table, same, items)
  for (const binding of model.certificates) {
    if (!same.has(binding)) items.set(`certificate ${printBoundHost(binding.host)}`, describeCertificate(binding))
  }
  for (const listener of model.listeners.filter(isServiceListener)) {
    if (!same.has(listener)) items.set(keyOfListener(listener), describeListener(model, listener))
  }
  return items
}

function describeTable(
  model: Model,
  table: RouteTable,
  same: ReadonlySet<unknown>,
  items: Map<string, OutlineItem>,
): void {
  const { name, hosts, defaultRoute } = table
  for (const virtualHost of hosts) {
    if (same.has(virtualHost)) continue
    const { host, routes } = virtualHost
    for (const route of routes) items.set(`${name} ${keyOf(route)}`, describeRoute(model, route))
    items.set(`${name} host ${host}`, {
      subject: host === '' ? '*' : host,
      added: undefined,
      removed: undefined,
      aspects: [{ name: 'plain HTTP ', value: redirectsToHttps(virtualHost) ? 'redirected to https' : 'served' }],
    })
  }
  if (defaultRoute !== undefined) items.set(`${name} default`, describeRoute(model, defaultRoute, 'any other request'))
}

/** On one address the port may change. */
function keyOfListener(listener: ServiceListener): string {
  return `listener ${listener.kind} ${printListenerName(listener)} ${listener.address}`
}

function describeListener(model: Model, listener: ServiceListener): OutlineItem {
  const { kind, address, port, upstream } = listener
  const place = printEndpointAddress(address, port)
  return {
    subject: `${kind} ${printListenerName(listener)}`,
    added: `${place} ${printForwarding(model, listener)}`,
    removed: place,
    aspects: [
      { name: '', value: place },
      { name: 'as ', value: printListenerManner(listener) },
      { name: 'endpoints ', value: printEndpoints(model.upstreams.get(upstream)?.endpoints ?? []) },
      { name: 'settings ', value: printOverrides(model.upstreams.get(upstream)?.policy) },
    ],
  }
}

/** `balancer=ewma, slowStart=30000`: what is otherwise than for all. */
function printOverrides(overrides: PolicyOverrides = {}): string {
  const texts = Object.entries(overrides).map(([name, value]) => `${name}=${value}`)
  return texts.length === 0 ? 'as for all' : texts.sort().join(', ')
}

/** The same place, whichever Ingress defines it. */
function keyOf({ host, pathType, match }: Route): string {
  const { type, path, conditions } = match
  return `route ${host} ${pathType === 'default' ? 'default' : type} ${path} ${JSON.stringify(conditions ?? {})}`
}

function describeRoute(model: Model, route: Route, subject: string = subjectOf(route)): OutlineItem {
  const { action } = route
  const shares = describeShares(model, action)
  const upstreams = shares.flatMap(({ upstream }) => (upstream ? [upstream] : []))
  const list = (print: (upstream: Upstream) => string): string => [...new Set(upstreams.map(print))].join(' | ')
  const text = printAction(model, route)
  return {
    subject,
    added: text,
    removed: `→ ${action.backend}`,
    aspects: [
      { name: '', value: shares.map((share) => printBackend(share, action)).join(', ') },
      { name: 'endpoints ', value: list(({ endpoints }) => printEndpoints(endpoints)) || printEndpoints([]) },
      { name: 'protocol ', value: list(({ protocol }) => protocol) },
      {
        name: 'settings ',
        value:
          list(({ policy }) => printOverrides(joinOverrides(policy, route.policy))) || printOverrides(route.policy),
      },
      { name: 'priority ', value: String(route.match.priority ?? 0) },
      { name: 'filters ', value: printFilters(route).join('; ') || 'none' },
      { name: SECRETS, value: markSecrets(route.filters) },
    ],
  }
}

function printBackend({ weight, action }: Share, of: RouteAction): string {
  const text = of.type === 'split' ? `${action.backend}=${weight}` : action.backend
  return action.type === 'forward' ? text : `${text} (${statusOf(action.code)} ${action.reason})`
}

function subjectOf(route: Route): string {
  const { host, pathType, path } = route
  const { priority: _, ...match } = route.match
  const conditions = printConditions({ match }).map((condition) => `  if ${condition}`)
  const place = `${host === '' ? '*' : host}${pathType === 'default' ? '' : path === '' ? '/' : path}`
  return `${place}  ${pathType}${conditions.join('')}`
}

/** A certificate renewed under its old name is another one: its fingerprint tells. */
function describeCertificate({ host, certificate, passthrough, reason }: CertificateBinding): OutlineItem {
  const name = certificate?.name ?? (passthrough === undefined ? `default (${reason})` : `none (${reason})`)
  const value =
    certificate === undefined
      ? name
      : `${name} (expires ${new Date(certificate.notAfter).toISOString().slice(0, 10)}, SHA-256 ${certificate.fingerprint.slice(0, 8)})`
  const subject = `certificate ${host}`
  return { subject, added: `→ ${value}`, removed: `→ ${name}`, aspects: [{ name: '', value }] }
}
