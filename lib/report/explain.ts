/** Why a request is served as it is: which rule wins, what nearly did, and why not. Used by `portico explain`. */

import { isIP } from 'node:net'
import { printIsoTime } from '../base/clock.ts'
import { isClosedBy, refuseBody, statusOf } from '../base/errors.ts'
import { findUsualPort, matchesHostPattern, parseAuthority } from '../base/hostname.ts'
import { findNearest } from '../base/nearest.ts'
import { type NormalPath, normalizePath, type PathPolicy, splitTarget, USUAL_PATHS } from '../base/path.ts'
import { compileBeginning } from '../base/pattern.ts'
import { printName } from '../base/resource-name.ts'
import { describeRequest, type Play, type PlayedAnswer, playFilters } from '../filters/play.ts'
import { describeFilters } from '../filters/registry.ts'
import { FilterDraft, type FilterRequest } from '../filters/spec.ts'
import { type Certificate, type CertificateBinding, judgeValidity } from '../model/certificate.ts'
import { isGatewayListener, isServiceListener, type Listener, type ServiceListener } from '../model/listener.ts'
import type { Model } from '../model/model.ts'
import type { LeftOut } from '../model/resource-ref.ts'
import type { PathMatch, Route, RouteMatch, VirtualHost } from '../model/route.ts'
import { findIngressTable, findTable, type RouteTable } from '../model/route-table.ts'
import { findShortage } from '../model/shortage.ts'
import type { Upstream, UpstreamKey } from '../model/upstream.ts'
import { HostIndex } from '../routing/host-index.ts'
import { compileConditions, type Predicate, type RoutedRequest } from '../routing/predicates.ts'
import { compileTable, findInHost } from '../routing/table.ts'
import { resolvePolicy } from '../settings/policy.ts'
import type { UpstreamPolicy } from '../settings/service.ts'
import { printConditions } from './print.ts'
import { type DescribedShare, describeKept, describeShares, type KeptClient } from './shares.ts'

/** `path` is the request target without its authority: path and query as they would be sent. */
export type ExplainedUrl = Readonly<{
  /** Where the client connects to. */
  host: string
  path: string
  scheme: 'http' | 'https'
  /** GET if it is left out. */
  method?: string
  /** The Host field; the host above if it is left out. */
  authority?: string
  /** The other header fields as they travel on (http1/request-fields). */
  lines?: string
  /** The bytes of the body, as the client declares them. */
  contentLength?: number | undefined
  /** The client's address, as a trusted proxy tells it where there is one; 127.0.0.1 if it is left out. */
  client?: string
  /** What a trusted proxy says of the client's request; left out: nothing. */
  told?: Readonly<{
    scheme: 'http' | 'https' | undefined
    authority: Readonly<{ text: string; hostname: string }> | undefined
  }>
}>

export type RouteVerdict = Readonly<{
  route: Route
  /** `shadowed`: it would match, but another rule has the same host, path and type. */
  verdict: 'wins' | 'no' | 'shadowed'
  reason: string
}>

export type Explanation = Readonly<{
  url: ExplainedUrl
  /** The answer if Portico gives it itself: an error with its code, or what a filter answers. */
  answer: PlayedAnswer | undefined
  path: Readonly<{ normal: NormalPath | undefined; query: string; notes: readonly string[] }>
  host: Readonly<{
    /** Undefined: malformed. */
    hostname: string | undefined
    virtualHost: VirtualHost | undefined
    /** `exact`, `wildcard *.foo.com`, … */
    reason: string
    /** Hosts that a person may have expected to match, each with why it does not. */
    misses: readonly Readonly<{ virtualHost: VirtualHost; reason: string }>[]
    /** Ingresses with this host of which nothing is served. */
    leftOut: readonly LeftOut[]
  }>
  /** Undefined for plain HTTP. */
  certificate: Readonly<{ binding: CertificateBinding | undefined; reason: string }> | undefined
  /** The winner first, then the nearest misses. */
  candidates: readonly RouteVerdict[]
  /** Candidates beyond the limit. */
  omitted: number
  winner: Route | undefined
  /** What each filter of the host and of the winner does, in the order in which they act on the request. */
  filters: readonly string[]
  /** Names of filters that may refuse the request before it comes so far. */
  notPlayed: readonly string[]
  /** What an endpoint is asked. */
  sent: Pick<FilterDraft, 'target' | 'authority'>
  /** Where the winner, or the listener, forwards to; undefined where that is one of `shares`. */
  upstream: Upstream | undefined
  /** The backends of the winner where it has several: which one a request goes to is known when it comes. */
  shares: readonly DescribedShare[]
  /** Whether a cookie decides which of `shares` it is; undefined: none does. */
  kept: KeptClient | undefined
  /** The port of a Service that the URL names: there no rule is asked. */
  listener?: ServiceListener
  /** Why the port of the URL is not one that serves its scheme. */
  portFault?: string
}>

const MOST_CANDIDATES = 20
const MOST_HOSTS = 5

/** Where no rule is asked. */
const NOTHING_ASKED = {
  candidates: [],
  omitted: 0,
  winner: undefined,
  filters: [],
  notPlayed: [],
  upstream: undefined,
  shares: [],
  kept: undefined,
}

export type ExplainOptions = Readonly<{
  /** The port that redirects to HTTPS name; 0 or left out: not known before the start. */
  httpsPort?: number
  /** Names that no certificate covers are refused. */
  strictSni?: boolean
  leftOut?: readonly LeftOut[]
  /** What limits bodies; left out: nothing does. */
  settings?: Readonly<{ limits: Readonly<{ bodyBytes: number }>; upstream: UpstreamPolicy }>
  /** What cookies of the gateway say of a Service, `default/web`; left out: it is not known. */
  markService?: ((service: string) => string) | undefined
  /** The present time, in milliseconds since the epoch, for the days that certificates are still valid. */
  now?: number
}>

/** Plays one request through a model; plain data, nothing is sent. */
export function explainRequest(model: Model, url: ExplainedUrl, options: ExplainOptions = {}): Explanation {
  const { path: rawPath, query } = splitTarget(url.path)
  const listener = findListener(model, url)
  const paths = listener?.paths ?? USUAL_PATHS
  const normal = normalizePath(rawPath, paths)
  const authority = url.authority ?? url.host
  const hostname = authority === '' ? undefined : parseAuthority(authority)?.hostname
  const notes = describePath(rawPath, normal, paths)
  if (listener && isServiceListener(listener))
    return explainListener(model, listener, { url, path: { normal, query, notes } }, options)
  const table = (listener && findTable(model.tables, listener.table)) ?? findIngressTable(model)
  const host = explainHost(table, hostname, options.leftOut ?? [])
  const serverName = parseAuthority(url.host)?.hostname
  const certificate =
    url.scheme === 'https' && serverName !== undefined ? explainCertificate(model, serverName, options) : undefined
  const passed = certificate?.binding?.passthrough
  if (passed !== undefined)
    return explainPassthrough(model, passed, { url, path: { normal, query, notes } }, certificate)
  const portFault = findPortFault(model, url, options)
  const base = { url, path: { normal, query, notes }, host, certificate, ...(portFault !== undefined && { portFault }) }
  if (normal === undefined || hostname === undefined) {
    const code = hostname === undefined ? 'PORTICO_REQ_BAD_HOST' : 'PORTICO_REQ_BAD_PATH'
    const reason = hostname === undefined ? `host "${authority}" is malformed` : notes.join('; ')
    return { ...base, ...NOTHING_ASKED, answer: { status: 400, code, reason }, sent: describeSent(url, normal, query) }
  }
  const { virtualHost } = host
  const { told, path: target, ...asked } = url
  const client = { scheme: told?.scheme ?? url.scheme, ...(told?.authority ?? { text: authority, hostname }) }
  const request = describeRequest({
    ...asked,
    scheme: client.scheme,
    authority: client.text,
    hostname: client.hostname,
    path: normal,
    query,
    target,
  })
  const winner = findWinner(table, virtualHost, normal.matchPath, request)
  const candidates = listCandidates(table, virtualHost, { path: normal.matchPath, request }, winner)
  const shares = winner === undefined ? [] : describeShares(model, winner.action)
  const isSplit = winner?.action.type === 'split'
  const cookie = winner?.action.type === 'split' ? winner.action.cookie : undefined
  const kept = cookie === undefined ? undefined : describeKept(cookie, shares, request, options.markService)
  const sent = describeSent(url, normal, query)
  const draft = new FilterDraft(sent.target, sent.authority, request.lines)
  const asking = kept?.share ? [kept.share] : shares.filter(({ weight }) => weight > 0)
  const upstreams = asking.map(({ upstream }) => upstream)
  const tooLarge = winner && judgeBody(url, upstreams, winner, options)
  const { answer, notPlayed } = playAll(virtualHost, winner, request, draft, { httpsPort: 0, ...options, tooLarge })
  return {
    ...base,
    answer: answer ?? findAnswer(host, kept?.share ? [kept.share] : shares),
    candidates: candidates.slice(0, MOST_CANDIDATES),
    omitted: Math.max(0, candidates.length - MOST_CANDIDATES),
    winner,
    filters: describeFilters(virtualHost, winner, (key) => findShortage(model.upstreams.get(key))?.reason),
    notPlayed,
    sent: { target: draft.target, authority: draft.authority },
    upstream: isSplit ? undefined : shares[0]?.upstream,
    shares: isSplit ? shares : [],
    kept,
  }
}

/** The listener that the URL leads to; where its port is not one of this machine, the gateway's own of the scheme. */
function findListener(model: Model, url: ExplainedUrl): Listener | undefined {
  const own = model.listeners.find((one) => isGatewayListener(one) && one.tls === (url.scheme === 'https'))
  return findByPort(model, url) ?? own
}

/** A port that is written decides, and on a Service's own address the usual one too. */
function findByPort({ listeners }: Model, { host, scheme }: ExplainedUrl): Listener | undefined {
  const authority = parseAuthority(host)
  if (authority === undefined) return undefined
  const { hostname, port } = authority
  const asked = port ?? findUsualPort(scheme)
  const found = listeners.filter((one) => one.transport === 'TCP' && one.port === asked)
  const own = found.find(({ address }) => address === hostname)
  if (own !== undefined || port === undefined) return own
  // A name may lead to any address.
  return (
    found.find(({ address }) => isEvery(address)) ?? (isIP(hostname) === 0 && found.length === 1 ? found[0] : undefined)
  )
}

/** A port that is mapped to a listener, as containers have it, is not known here. */
function findPortFault(
  { listeners }: Model,
  { host, scheme }: ExplainedUrl,
  { httpsPort }: ExplainOptions,
): string | undefined {
  const gateway = listeners.filter(isGatewayListener)
  if (gateway.length === 0) return undefined
  const serving = gateway.filter(({ tls }) => tls === (scheme === 'https'))
  const [own] = serving
  if (own === undefined) return `${scheme} is off in the settings: nothing serves it`
  const asked = parseAuthority(host)?.port
  if (asked === undefined || (scheme === 'https' && asked === httpsPort)) return undefined
  if (serving.some(({ port }) => port === asked || port === 0)) return undefined
  if (listeners.some((one) => isServiceListener(one) && one.transport === 'TCP' && one.port === asked)) return undefined
  if (gateway.some(({ port }) => port === asked))
    return `this is the port of ${scheme === 'http' ? 'https' : 'http'}; ${scheme} has ${own.port}`
  return `no listener has this port; explained as if it led to that of ${scheme}, ${own.port}`
}

function isEvery(address: string): boolean {
  return address === '::' || address === '0.0.0.0'
}

function explainListener(
  model: Model,
  listener: ServiceListener,
  asked: Pick<Explanation, 'url' | 'path'>,
  options: ExplainOptions,
): Explanation {
  const { url, path } = asked
  const upstream = model.upstreams.get(listener.upstream)
  const isRead = listener.layer === 'L7'
  const answer: Explanation['answer'] =
    isRead && path.normal === undefined
      ? { status: 400, code: 'PORTICO_REQ_BAD_PATH', reason: path.notes.join('; ') }
      : ((isRead ? judgeBody(url, [upstream], undefined, options) : undefined) ?? findLack(listener.upstream, upstream))
  const base = explainUnasked(asked, upstream, 'the port is one of a Service')
  return { ...base, answer, certificate: undefined, listener }
}

/** Nobody reads what comes by TLS that is passed through. */
function explainPassthrough(
  model: Model,
  key: UpstreamKey,
  asked: Pick<Explanation, 'url' | 'path'>,
  certificate: Explanation['certificate'],
): Explanation {
  const upstream = model.upstreams.get(key)
  return { ...explainUnasked(asked, upstream, 'TLS is passed through'), answer: findLack(key, upstream), certificate }
}

/** What is to be said where no rule is asked, for a reason. */
function explainUnasked(
  { url, path }: Pick<Explanation, 'url' | 'path'>,
  upstream: Upstream | undefined,
  why: string,
): Omit<Explanation, 'answer' | 'certificate'> {
  return {
    url,
    path,
    host: {
      hostname: parseAuthority(url.authority ?? url.host)?.hostname,
      virtualHost: undefined,
      reason: `not looked at: ${why}`,
      misses: [],
      leftOut: [],
    },
    ...NOTHING_ASKED,
    sent: describeSent(url, path.normal, path.query),
    upstream,
  }
}

/** A request as routes see it within a host. */
type Asked = Readonly<{ path: string; request: RoutedRequest }>

function describeSent(url: ExplainedUrl, normal: NormalPath | undefined, query: string): Explanation['sent'] {
  return { target: (normal?.path ?? '') + query, authority: url.authority ?? url.host }
}

/** The filters of the host, and then of the route unless a guard has closed it. */
function playAll(
  virtualHost: VirtualHost | undefined,
  winner: Route | undefined,
  request: FilterRequest,
  draft: FilterDraft,
  { httpsPort, tooLarge }: Readonly<{ httpsPort: number; tooLarge: PlayedAnswer | undefined }>,
): Play {
  const ofHost = playFilters(virtualHost?.filters ?? [], request, draft, httpsPort)
  if (ofHost.answer === undefined && tooLarge !== undefined) return { ...ofHost, answer: tooLarge }
  if (ofHost.answer !== undefined || winner === undefined || isClosed(winner)) return ofHost
  const ofRoute = playFilters(winner.filters ?? [], { ...request, match: winner.match }, draft, httpsPort)
  return { ...ofRoute, notPlayed: [...ofHost.notPlayed, ...ofRoute.notPlayed] }
}

/** The answer to a body that is too large for every upstream that the request may go to. */
function judgeBody(
  { contentLength = 0 }: ExplainedUrl,
  upstreams: readonly (Upstream | undefined)[],
  route: Route | undefined,
  { settings }: ExplainOptions,
): PlayedAnswer | undefined {
  if (settings === undefined) return undefined
  const refusals = upstreams.map((upstream) => {
    const ofRoute = upstream ? resolvePolicy(settings.upstream, upstream.policy, route?.policy).bodyLimit : 0
    return refuseBody(contentLength, ofRoute, settings.limits.bodyBytes)
  })
  const [refused] = refusals
  if (refused === undefined || refusals.includes(undefined)) return undefined
  return { status: refused.status, code: refused.code, reason: refused.detail }
}

function isClosed({ action }: Route): boolean {
  return action.type === 'unavailable' && isClosedBy(action.code)
}

/** The compiled table decides here as it does for traffic. */
function findWinner(
  whole: RouteTable,
  virtualHost: VirtualHost | undefined,
  path: string,
  request: RoutedRequest,
): Route | undefined {
  const hosts = virtualHost === undefined ? [] : [{ ...virtualHost, host: '' }]
  const table = compileTable({ ...whole, hosts }, (route) => route)
  return findInHost(table, table.anyHost, path, request)
}

function findAnswer(
  { virtualHost, leftOut: [lost] }: Explanation['host'],
  shares: readonly DescribedShare[],
): Explanation['answer'] {
  if (shares.length === 0) {
    const reason = virtualHost === undefined ? 'no rule has this host' : 'no path of this host matches'
    const whole = `${reason}, and there is no default backend${lost ? `; ${describeLeftOut(lost)}` : ''}`
    return { status: 404, code: 'PORTICO_REQ_NO_ROUTE', reason: whole }
  }
  const active = shares.filter(({ weight }) => weight > 0)
  const [{ action, lack }] = active as [DescribedShare]
  if (active.some((share) => share.lack === undefined) || lack === undefined) return undefined
  const { code, reason } = lack
  return { status: statusOf(code), code, reason: action.type === 'forward' ? `${action.backend}: ${reason}` : reason }
}

/** The answer where there is no endpoint. */
function findLack(backend: string, upstream: Upstream | undefined): Explanation['answer'] {
  const shortage = findShortage(upstream)
  if (!shortage) return undefined
  const { code, reason } = shortage
  return { status: statusOf(code), code, reason: `${backend}: ${reason}` }
}

function describeLeftOut({ ingress, reason, position }: LeftOut): string {
  return `Ingress ${printName(ingress)}, which has this host, is not served: ${reason} (${position.file}:${position.line})`
}

/** What the normal form changed, or why there is none. */
function describePath(raw: string, normal: NormalPath | undefined, paths: PathPolicy): readonly string[] {
  const { encodedSlash, mergeSlashes } = paths
  if (normal === undefined) return [describeBadPath(raw, paths)]
  const decoded = encodedSlash === 'decode' ? raw.replaceAll(/%2f/gi, '/') : raw
  const unmerged = normalizePath(raw, { encodedSlash, mergeSlashes: 'match' })?.path
  const changes = [
    ...(decoded === raw ? [] : ['encoded slashes decoded']),
    ...(unmerged === decoded ? [] : ['dot segments resolved']),
    ...(unmerged === normal.path ? [] : ['doubled slashes merged']),
  ]
  const notes = changes.length === 0 ? [] : [`${changes.join(', ')}, as it will be forwarded`]
  if (normal.path.includes('//')) {
    notes.push(
      mergeSlashes === 'match'
        ? 'doubled slashes are merged for matching and forwarded as sent'
        : 'doubled slashes are kept: an empty element is an element, which no rule has',
    )
  }
  const slashed = mergeSlashes === 'never' ? normal.path : normal.path.replaceAll(/\/+/g, '/')
  if (slashed !== normal.matchPath) {
    notes.push(`matched as ${normal.matchPath}: encodings of plain characters mean these characters`)
  }
  return notes
}

function describeBadPath(raw: string, { encodedSlash }: PathPolicy): string {
  if (!raw.startsWith('/')) return 'the path does not begin with "/"'
  if (raw.includes('\\')) return 'the path holds a backslash'
  if (raw.includes('#')) return 'the path holds "#": fragments are never sent'
  if (/[\x00-\x20\x7f]|%[01][0-9a-f]|%7f/i.test(raw)) return 'the path holds a space or control character'
  if (/[^\x00-\xff]/.test(raw)) return 'the path holds a character that must be percent-encoded'
  if (/%(?![0-9a-f]{2})/i.test(raw)) return 'the path holds a malformed percent-encoding'
  if (/\/(\.|%2e){1,2}(;|%3b)/i.test(raw)) return 'the path holds a dot segment with a parameter'
  if (/%c[01]%|%e0%[89]|%f0%8/i.test(raw)) return 'the path holds overlong UTF-8'
  if (encodedSlash === 'reject' && /%2f/i.test(raw)) return 'the path holds an encoded slash, which the settings refuse'
  if (encodedSlash !== 'keep' && /%5c/i.test(raw))
    return 'the path holds an encoded backslash, which the settings refuse'
  return 'the path climbs above the root'
}

function explainHost(
  { hosts }: RouteTable,
  hostname: string | undefined,
  leftOut: readonly LeftOut[],
): Explanation['host'] {
  if (hostname === undefined) return { hostname, virtualHost: undefined, reason: 'malformed', misses: [], leftOut: [] }
  const index = new HostIndex(hosts.filter(({ host }) => host !== '').map((host) => [host.host, host]))
  const named = index.find(hostname)
  const virtualHost = named ?? hosts.find(({ host }) => host === '')
  const reason =
    named === undefined
      ? virtualHost === undefined
        ? 'no rule has this host'
        : 'no rule names this host: the rules for every host take it'
      : named.host === hostname
        ? 'exact'
        : `wildcard ${named.host}`
  return {
    hostname,
    virtualHost,
    reason,
    misses: findHostMisses(hosts, hostname, named),
    leftOut: leftOut.filter(({ hosts }) => hosts.some((host) => host === '' || matchesHostPattern(host, hostname))),
  }
}

function findHostMisses(
  hosts: readonly VirtualHost[],
  hostname: string,
  named: VirtualHost | undefined,
): Explanation['host']['misses'] {
  const misses: { virtualHost: VirtualHost; reason: string }[] = []
  for (const virtualHost of hosts) {
    const { host } = virtualHost
    if (virtualHost === named || !host.startsWith('*.')) continue
    if (matchesHostPattern(host, hostname)) {
      misses.push({ virtualHost, reason: `${named?.host} is exact, and goes before a wildcard` })
    } else if (hostname === host.slice(2)) {
      misses.push({ virtualHost, reason: `${host} needs one label more than ${hostname}` })
    } else if (hostname.endsWith(host.slice(1))) {
      misses.push({ virtualHost, reason: 'a wildcard stands for exactly one label' })
    }
  }
  if (named === undefined) {
    const nearest = findNearest(
      hostname,
      hosts.map(({ host }) => host).filter((host) => host !== ''),
    )
    const virtualHost = hosts.find(({ host }) => host === nearest)
    if (virtualHost !== undefined && !misses.some((miss) => miss.virtualHost === virtualHost)) {
      misses.push({ virtualHost, reason: `did you mean ${virtualHost.host}?` })
    }
  }
  return misses.slice(0, MOST_HOSTS)
}

function explainCertificate(
  model: Model,
  hostname: string,
  { strictSni = false, now }: ExplainOptions,
): Explanation['certificate'] {
  const bindings = new HostIndex(model.certificates.map((one) => [one.host, one]))
  const binding = bindings.find(hostname)
  if (binding === undefined) {
    const instead = strictSni ? 'the handshake is refused' : 'the default certificate is served'
    const rest = strictSni ? undefined : bindings.find('')
    return { binding: rest, reason: `no tls section names this host: ${instead}` }
  }
  if (binding.passthrough !== undefined)
    return { binding, reason: `${binding.reason}: its endpoints have the certificate` }
  if (binding.certificate === undefined)
    return { binding, reason: `the default certificate is served: ${binding.reason}` }
  const reason = binding.host === hostname ? 'SNI exact' : `SNI wildcard ${binding.host}`
  const fault = now === undefined ? undefined : explainValidity(binding.certificate, now)
  return { binding, reason: fault === undefined ? reason : `${reason}, but ${fault}` }
}

/** Why clients refuse the certificate, or will before long. */
function explainValidity({ notBefore, notAfter }: Certificate, now: number): string | undefined {
  const validity = judgeValidity({ notBefore, notAfter }, now)
  if (validity === 'expired') return `it expired on ${printDay(notAfter)}: clients refuse it`
  if (validity === 'not yet valid') return `it is not valid before ${printDay(notBefore)}: clients refuse it`
  return validity === 'expires soon' ? `it expires on ${printDay(notAfter)}` : undefined
}

function printDay(milliseconds: number): string {
  return printIsoTime(milliseconds).slice(0, 10)
}

/** Every route that had a say, the winner first and then by how much of the path it shares. */
function listCandidates(
  { defaultRoute, shadowed }: RouteTable,
  virtualHost: VirtualHost | undefined,
  asked: Asked,
  winner: Route | undefined,
): readonly RouteVerdict[] {
  const misses: RouteVerdict[] = []
  for (const route of virtualHost?.routes ?? []) {
    if (route !== winner) misses.push({ route, verdict: 'no', reason: describeMiss(route, asked, winner) })
  }
  for (const { route, winner: holder } of shadowed) {
    if (virtualHost === undefined || route.host !== virtualHost.host || route.pathType === 'default') continue
    if (!matchesPath(route.match, asked.path) || findFailed(route, asked.request) !== undefined) {
      misses.push({ route, verdict: 'no', reason: describeMiss(route, asked, winner) })
      continue
    }
    const by = `${holder.pathType} ${holder.path || '/'} of ${printName(holder.owner)}`
    misses.push({ route, verdict: 'shadowed', reason: `shadowed by ${by}` })
  }
  // An Ingress has its default backend once, and routes to it on its own hosts and on all others: these count as one.
  const own = virtualHost?.routes.find((route) => route.pathType === 'default')
  if (defaultRoute !== undefined && winner !== defaultRoute && !isSameOwner(own, defaultRoute)) {
    const reason = own ? 'this host has a default backend of its own' : 'a rule takes the request'
    misses.push({ route: defaultRoute, verdict: 'no', reason })
  }
  const sorted = misses
    .map((verdict) => [verdict, findNearness(verdict.route.match, asked.path)] as const)
    .sort(([, a], [, b]) => b - a)
    .map(([verdict]) => verdict)
  return winner === undefined
    ? sorted
    : [{ route: winner, verdict: 'wins', reason: describeWin(winner, virtualHost) }, ...sorted]
}

function isSameOwner(route: Route | undefined, { owner: { kind, namespace, name } }: Route): boolean {
  return route?.owner.kind === kind && route.owner.namespace === namespace && route.owner.name === name
}

function describeWin(winner: Route, virtualHost: VirtualHost | undefined): string {
  const conditions = printConditions(winner)
  const all = conditions.length === 0 ? '' : `; ${conditions.join(', ')}`
  if (winner.pathType === 'default') {
    return virtualHost === undefined || winner.host !== virtualHost.host || !virtualHost.routes.includes(winner)
      ? 'default backend: no rule takes the request'
      : `default backend of this host: no path matches${all}`
  }
  const { type } = winner.match
  if (type === 'regex') return `the path begins with what it stands for${all}`
  return `${type === 'exact' ? 'equals the path' : 'longest matching prefix'}${all}`
}

/** The first condition that does not hold. */
function findFailed({ match }: Route, request: RoutedRequest): Predicate | undefined {
  return compileConditions(match.conditions).find(({ holds }) => !holds(request))
}

function describeFailed({ text, seen }: Predicate, request: RoutedRequest): string {
  const found = seen(request)
  return `does not hold: ${text} (${found === undefined ? 'there is none' : `it is "${found}"`})`
}

/** Why a route does not take a request whose path it matches and whose conditions hold: the winner goes before it. */
function describeLater({ match }: Route, winner: Route): string {
  const { type, path, priority, conditions } = winner.match
  if (match.conditions?.unread === 'other')
    return 'its conditions cannot be read: other routes of its path go before it'
  if ((priority ?? 0) !== (match.priority ?? 0)) return `priority ${priority ?? 0} goes before ${match.priority ?? 0}`
  if (type === match.type && stemOf(path) === stemOf(match.path) && conditions !== match.conditions) {
    return `the same path with ${match.conditions === undefined ? '' : 'other '}conditions goes before it`
  }
  if (type === 'exact') return 'an Exact path goes before a prefix'
  return type === 'regex' ? 'a longer regular expression matches' : 'a longer prefix matches'
}

function describeMiss(route: Route, { path, request }: Asked, winner: Route | undefined): string {
  const { type, path: wanted } = route.match
  const failed = findFailed(route, request)
  if (failed !== undefined && matchesPath(route.match, path)) return describeFailed(failed, request)
  if (route.pathType === 'default') return 'a path of this host matches'
  if (winner !== undefined && matchesPath(route.match, path)) return describeLater(route, winner)
  if (type === 'regex') return `"${path}" does not begin with what the regular expression stands for`
  if (type === 'exact') {
    if (path === `${wanted}/` || wanted === `${path}/`)
      return `"${path}" differs by the slash at its end: Exact is exact`
    if (path.toLowerCase() === wanted.toLowerCase()) return `"${path}" differs by case`
    if (path.startsWith(wanted)) return `"${path}" goes on after "${wanted}": Exact is the whole path`
    return `path is "${path}"`
  }
  const stem = stemOf(wanted)
  if (path.startsWith(stem)) {
    const end = path.indexOf('/', stem.length)
    const element = path.slice(0, end < 0 ? undefined : end)
    return `"${element}" continues the segment: a prefix matches whole path elements`
  }
  if (path.toLowerCase().startsWith(stem.toLowerCase())) return `"${path.slice(0, stem.length)}" differs by case`
  return `path does not start with "${wanted}"`
}

/** A prefix without the slash at its end, which says nothing (I-13). */
function stemOf(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path
}

function matchesPath(match: PathMatch, path: string): boolean {
  if (match.type === 'exact') return path === match.path
  if (match.type === 'regex') return compileBeginning(match).begins(path)
  const stem = stemOf(match.path)
  return path === stem || path.startsWith(`${stem}/`)
}

/** How much of the path the route has in common with it; all of it where only a condition or another route stands in the way. */
function findNearness(match: RouteMatch, path: string): number {
  if ((match.type === 'regex' || match.conditions !== undefined) && matchesPath(match, path)) return path.length
  const most = Math.min(match.path.length, path.length)
  let length = 0
  while (length < most && match.path.charCodeAt(length) === path.charCodeAt(length)) length++
  return length
}
