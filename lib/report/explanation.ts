/** Explains how a URL is served, for people and as JSON. Neither shows keys of certificates. */

import { isIP } from 'node:net'

import { alignColumns } from '../base/columns.ts'
import { printEndpointAddress } from '../base/endpoint-address.ts'
import { statusOf } from '../base/errors.ts'
import { parseAuthority } from '../base/hostname.ts'
import type { SourcePosition } from '../base/position.ts'
import { printName } from '../base/resource-name.ts'
import { type Colour, escapeText, type Paint } from '../base/terminal-text.ts'
import { listFilters } from '../filters/registry.ts'
import { findRequestField } from '../http1/field-line.ts'
import type { CertificateBinding } from '../model/certificate.ts'
import { findEndpointKey } from '../model/endpoint-key.ts'
import type { Locate } from '../model/resource-ref.ts'
import type { Route } from '../model/route.ts'
import { usableEndpoints } from '../model/tier.ts'
import type { Endpoint, Upstream } from '../model/upstream.ts'
import type { ClientTrail } from '../request/client-trail.ts'
import { joinOverrides, resolvePolicy } from '../settings/policy.ts'
import type { UpstreamPolicy } from '../settings/service.ts'
import { findOwner } from '../upstream/choice/balancer/consistent-hash.ts'
import { createHashKey } from '../upstream/choice/balancer/hash-key.ts'
import type { Explanation, RouteVerdict } from './explain.ts'
import { locateField, locateFilter, locateHost, locateRoute, locateService, printPlace } from './place.ts'
import { printConditions, printListenerManner, printListenerName, printOverrides, printPolicies } from './print.ts'
import { type DescribedShare, printWeight } from './shares.ts'

const VERDICT_COLOUR: Record<RouteVerdict['verdict'], Colour> = { wins: 'green', no: 'dim', shadowed: 'yellow' }
const MOST_ENDPOINTS = 10
/** Most characters shown of a field that the client or a proxy sent. */
const MOST_OF_FIELD = 60

/** Prints `file:line`, dimmed. */
type PrintLine = (position: SourcePosition | undefined) => string

export type ExplanationInputs = Readonly<{
  /** The settings under `upstream`, which hold for Services without their own. */
  defaults: UpstreamPolicy
  /** Finds fields of the manifests. */
  locate: Locate
  /** Undefined: nothing was asked or said of the client. */
  trail: ClientTrail | undefined
  /** What endpoints have to do just now; left out: no gateway runs. */
  live?: LiveEndpoints
}>

/** Of one endpoint of an upstream. */
export type LiveEndpoint = Readonly<{ inFlight: number; failing: string }>
export type LiveEndpoints = (upstream: Upstream, endpoint: Endpoint) => LiveEndpoint

export function printExplanation(
  explanation: Explanation,
  { defaults, locate, trail, live }: ExplanationInputs,
  paint: Paint,
): string {
  const printLine: PrintLine = (position) =>
    paint('dim', position ? escapeText(`${position.file}:${position.line}`) : '')
  const { url, answer } = explanation
  const sections = [
    [paint('bold', `${escapeText(url.method ?? 'GET')} ${escapeText(`${url.scheme}://${url.host}${url.path}`)}`)],
    alignColumns(describeRequest(explanation, locate, printLine), 2),
    trail ? alignColumns(describeTrail(trail), 2) : [],
    alignColumns(describeCandidates(explanation, locate, printLine, paint), 3),
    alignColumns(
      [
        ...printNamed('filters', explanation.filters, listFilterPlaces(explanation, locate).map(printLine)),
        ...printNamed('policies', explanation.winner ? printPolicies(explanation.winner) : []),
      ],
      2,
    ),
    alignColumns(describeUpstream(explanation, defaults, printLine(locateUpstream(explanation, locate)), live), 2),
    answer ? printAnswer(answer, printCondition(explanation), paint) : [],
  ]
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')
}

function printNamed(
  title: string,
  lines: readonly string[],
  places: readonly string[] = [],
): readonly (readonly string[])[] {
  return lines.map((line, index) => [
    index === 0 ? `  ${title}` : '',
    escapeText(line) + (places[index] ? `  ${places[index]}` : ''),
  ])
}

/** In the order of `Explanation.filters`. */
function listFilterPlaces({ host, winner }: Explanation, locate: Locate): readonly (SourcePosition | undefined)[] {
  return listFilters(host.virtualHost, winner).map((config) => locateFilter(config, locate))
}

/** The path, host and certificate in the form in which they are matched. */
function describeRequest(
  { url, path, host, certificate, listener, portFault }: Explanation,
  locate: Locate,
  printLine: PrintLine,
): string[][] {
  const rows = [
    ['  path', escapeText(path.normal?.path ?? '(not allowed)'), escapeText(path.notes.join('; '))],
    [
      '  host',
      escapeText(host.hostname ?? '(malformed)'),
      host.hostname === undefined ? '' : escapeText(host.reason) + printHostPlace(host, locate, printLine),
    ],
  ]
  if (listener) {
    const name = escapeText(`${listener.kind} ${printListenerName(listener)}, ${printListenerManner(listener)}`)
    rows.push(['  port', String(listener.port), `${name}  ${printLine(locateField(listener, locate))}`])
  }
  if (portFault !== undefined) {
    rows.push(['  port', String(parseAuthority(url.host)?.port ?? ''), escapeText(portFault)])
  }
  for (const { virtualHost, reason } of host.misses) {
    const name = virtualHost.host === '' ? '*' : virtualHost.host
    rows.push(['    not', escapeText(name), `${escapeText(reason)}  ${printLine(locateHost(virtualHost, locate))}`])
  }
  for (const { ingress, reason, position } of host.leftOut) {
    rows.push(['    not', escapeText(printName(ingress)), `not served: ${escapeText(reason)}  ${printLine(position)}`])
  }
  if (certificate) {
    const { binding, reason } = certificate
    const place = binding ? `  ${printLine(locateField(binding, locate))}` : ''
    rows.push(['  certificate', escapeText(findCertificateName(binding) ?? 'none'), escapeText(reason) + place])
  }
  return rows
}

/** The client's address, then each step towards it and each field that does not count. */
function describeTrail({ address, reason, steps }: ClientTrail): string[][] {
  return [
    ['  client', escapeText(address), escapeText(reason)],
    ...steps.map(({ source, text, verdict, reason }) => [
      `    ${source}`,
      escapeText(text.length > MOST_OF_FIELD ? `…${text.slice(-MOST_OF_FIELD)}` : text),
      escapeText(`${verdict}: ${reason}`),
    ]),
  ]
}

function printHostPlace({ virtualHost }: Explanation['host'], locate: Locate, printLine: PrintLine): string {
  if (!virtualHost) return ''
  const { owner } = virtualHost
  const from = escapeText(`, from ${owner.kind} ${printName(owner)}`)
  return `${from}  ${printLine(locateHost(virtualHost, locate))}`
}

/** The winner, then the near misses, each with the position of its rule. */
function describeCandidates(
  { candidates, omitted }: Explanation,
  locate: Locate,
  printLine: PrintLine,
  paint: Paint,
): string[][] {
  const rows = candidates.map(({ route, verdict, reason }) => [
    `  ${escapeText(printMatch(route))}`,
    paint(VERDICT_COLOUR[verdict], verdict),
    escapeText(verdict === 'wins' ? `${printName(route.owner)}, ${reason}` : reason),
    printLine(locateRoute(route, locate)),
  ])
  if (omitted > 0) rows.push([`  … and ${omitted} more`])
  return rows
}

function printMatch({ pathType, path }: Route): string {
  return pathType === 'default' ? 'default backend' : `${path || '/'} ${pathType}`
}

/** The Service, its endpoints, and the request as an endpoint would get it. */
function describeUpstream(
  explanation: Explanation,
  defaults: UpstreamPolicy,
  place: string,
  live: LiveEndpoints | undefined,
): string[][] {
  const { winner, upstream, shares, answer } = explanation
  if (shares.length > 0) return describeShares(explanation)
  if (!upstream) return winner ? [['  service', escapeText(winner.action.backend)]] : []
  const { port, key } = upstream
  const rows = [['  service', `${escapeText(key)} → targetPort ${escapeText(String(port.targetPort))}`, place]]
  for (const [index, endpoint] of upstream.endpoints.slice(0, MOST_ENDPOINTS).entries()) {
    rows.push([
      index === 0 ? '  endpoints' : '',
      printEndpoint(endpoint),
      [
        ...describeState(endpoint, live?.(upstream, endpoint)),
        ...(endpoint.name === undefined ? [] : [`an address of ${escapeText(endpoint.name)}`]),
        ...(endpoint.backup ? ['backup'] : []),
        ...(endpoint.distant ? ['of another zone or node'] : []),
        escapeText(endpoint.sourceName),
      ].join(', '),
    ])
  }
  const more = upstream.endpoints.length - MOST_ENDPOINTS
  if (more > 0) rows.push(['', `… and ${more} more`])
  if (upstream.endpoints.length === 0) rows.push(['  endpoints', 'none'])
  const own = joinOverrides(upstream.policy, winner?.policy)
  if (Object.keys(own).length > 0) rows.push(['  settings', printOverrides(own).map(escapeText).join(', ')])
  // Round robin begins anywhere; the first is as good an example as any.
  const usable = answer ? [] : usableEndpoints(upstream)
  if (usable.length > 0)
    rows.push([
      '  sends',
      printSent(explanation, upstream, usable, resolvePolicy(defaults, upstream.policy, winner?.policy), live),
    ])
  if (upstream.inPanic) rows.push(['', 'so few endpoints are in good health that health is not looked at'])
  for (const { endpoint, reason } of upstream.unresolved ?? []) {
    rows.push(['', escapeText(`${endpoint.host}: ${reason}`)])
  }
  return rows
}

/** The backends among which a request is divided, and what one of them would get. */
function describeShares(explanation: Explanation): string[][] {
  const { url, shares, kept, sent, answer } = explanation
  const rows = shares.map((share, index) => [index === 0 ? '  one of' : '', ...describeShare(share, shares)])
  const request = `${escapeText(url.method ?? 'GET')} ${escapeText(sent.target)}`
  if (kept !== undefined) rows.push(['  cookie', escapeText(kept.reason)])
  const target = kept?.share === undefined ? 'one of them' : escapeText(kept.share.action.backend)
  if (answer === undefined) rows.push(['  sends', `${request} to ${target}${printCondition(explanation)}`])
  return rows
}

/** A backend of several: `default/web:80`, `90 of 100`, and its endpoints or why it has none. */
function describeShare(share: DescribedShare, shares: readonly DescribedShare[]): string[] {
  const { action, upstream, lack } = share
  const endpoints = upstream ? usableEndpoints(upstream).map(printEndpoint) : []
  const shown = endpoints.slice(0, MOST_ENDPOINTS).join(', ')
  const more = endpoints.length > MOST_ENDPOINTS ? `, … and ${endpoints.length - MOST_ENDPOINTS} more` : ''
  const target = lack ? `${statusOf(lack.code)} ${lack.code}: ${escapeText(lack.reason)}` : shown + more
  return [escapeText(action.backend), `${printWeight(share, shares)}  → ${target}`]
}

/** False where the bytes of a connection are passed on, and nobody reads requests. */
function isRead({ listener, certificate }: Explanation): boolean {
  return listener?.layer !== 'L4' && certificate?.binding?.passthrough === undefined
}

/** Undefined where TLS is passed through. */
/** Undefined where TLS is passed through. */
export function findCertificateName(binding: CertificateBinding | undefined): string | undefined {
  return binding?.passthrough === undefined ? (binding?.certificate?.name ?? 'default') : undefined
}

function printSent(
  explanation: Explanation,
  upstream: Upstream,
  usable: readonly Endpoint[],
  policy: UpstreamPolicy,
  live: LiveEndpoints | undefined,
): string {
  const { url, sent } = explanation
  const { protocol } = upstream
  const owner = findHashed(explanation, upstream, usable, policy) ?? findIdle(upstream, usable, policy, live)
  const next = owner?.endpoint ?? (usable[0] as Endpoint)
  const choice = usable.length > 1 ? ` (${owner?.reason ?? printChoice(policy)})` : ''
  if (!isRead(explanation)) return `the bytes of each connection to ${printEndpoint(next)}${choice}`
  const scheme = protocol === 'https' ? 'https' : 'http'
  return (
    `${escapeText(url.method ?? 'GET')} ${escapeText(sent.target)} to ${scheme}://${printEndpoint(next)}${choice}, ` +
    `Host: ${escapeText(printHost(sent.authority, policy.host, protocol, next))}, X-Forwarded-Proto: ${url.told?.scheme ?? url.scheme} …` +
    printCondition(explanation)
  )
}

/** Filters that are not played may refuse the request. */
function printCondition({ notPlayed }: Explanation): string {
  if (notPlayed.length === 0) return ''
  return `, if ${notPlayed.join(' and ')} ${notPlayed.length === 1 ? 'lets' : 'let'} it go on`
}

/**
 * The endpoint that the hash of the request chooses. Undefined: no hash does, or the endpoint is one of the addresses of a name, which
 * are found where the gateway runs.
 */
function findHashed(
  explanation: Explanation,
  { key }: Upstream,
  usable: readonly Endpoint[],
  { balancer, hash, affinity }: UpstreamPolicy,
): { endpoint: Endpoint; reason: string } | undefined {
  if (balancer !== 'hash' || hash.subset > 1 || affinity.type !== 'none') return undefined
  if (usable.some(({ host }) => isIP(host) === 0)) return undefined
  const { url } = explanation
  const { client: clientAddress = '127.0.0.1', lines = '', path } = url
  const isParsed = isRead(explanation)
  const hashed = createHashKey(hash.by)({
    clientAddress,
    hostname: isParsed ? (parseAuthority(url.authority ?? url.host)?.hostname ?? '') : '',
    target: isParsed ? path : '',
    header: (name) => (isParsed ? findRequestField(lines, name) : undefined),
  })
  const places = usable.map((each) => ({ key: findEndpointKey(key, each), weight: each.weight }))
  const endpoint = usable[findOwner(places, hash.table, hashed)]
  const by = hashed === clientAddress ? 'client-ip' : hash.by
  const unless = hash.boundedLoad === 0 ? '' : ', unless it is busier than the others'
  return endpoint && { endpoint, reason: `by the hash of ${escapeText(by)}${unless}` }
}

/** The endpoint that has least to do for its weight, where that decides; undefined: it does not, or nobody knows. */
function findIdle(
  upstream: Upstream,
  usable: readonly Endpoint[],
  { balancer, affinity }: UpstreamPolicy,
  live: LiveEndpoints | undefined,
): { endpoint: Endpoint; reason: string } | undefined {
  if (live === undefined || balancer !== 'least-requests' || affinity.type !== 'none') return undefined
  const loads = usable.map((endpoint) => [endpoint, live(upstream, endpoint).inFlight] as const)
  const [first] = loads.sort(([a, x], [b, y]) => (x + 1) / a.weight - (y + 1) / b.weight)
  return first && { endpoint: first[0], reason: `it has the fewest requests under way: ${first[1]}` }
}

/** The state in the words of `get endpoints`, and what it has to do just now. */
function describeState(endpoint: Endpoint, live: LiveEndpoint | undefined): readonly string[] {
  const state = escapeText(printState(endpoint, live))
  if (live === undefined) return [state]
  return [state, `${live.inFlight} in flight`, ...(live.failing === '' ? [] : [escapeText(live.failing)])]
}

/** Explains how one of several endpoints is chosen. */
function printChoice({ balancer, hash, affinity }: UpstreamPolicy): string {
  if (affinity.type !== 'none') return `or another: affinity ${affinity.type} keeps each client with its own`
  if (balancer === 'hash') {
    const which = hash.subset > 1 ? `which ${hash.subset}, and load which of them` : 'which'
    return `or another: hash of ${escapeText(hash.by)} says ${which}`
  }
  return balancer === 'round-robin' ? 'in turn with the others' : `or another: ${balancer} says which`
}

/** The Host that is sent, by the setting `upstream.host`. */
function printHost(asked: string, host: string, protocol: Upstream['protocol'], next: Endpoint): string {
  if (host === 'client') return asked
  if (host !== 'endpoint') return host
  const authority = printEndpointAddress(next.name || next.host, next.port)
  return next.port === (protocol === 'https' ? 443 : 80) ? authority.slice(0, authority.lastIndexOf(':')) : authority
}

function printEndpoint({ host, port }: Endpoint): string {
  return printEndpointAddress(escapeText(host), port)
}

function printState({ ready, serving, terminating, weight, health }: Endpoint, live: LiveEndpoint | undefined): string {
  if (weight === 0) return 'weight 0'
  if (health !== undefined && health.state !== 'healthy' && serving) return `${health.state}: ${health.reason}`
  const ifReady = live?.failing ? 'failing' : 'ready'
  const state = ready ? ifReady : serving && terminating ? 'draining' : 'not ready'
  return weight === 1 ? state : `${state}, weight ${weight}`
}

function printAnswer(answer: NonNullable<Explanation['answer']>, condition: string, paint: Paint): string[] {
  const { status, code, reason, location } = answer
  const number = paint(status < 400 ? 'yellow' : 'red', String(status))
  return [
    `  answer  ${number}${code ? ` ${code}` : ''}: ${escapeText(reason)}${condition}`,
    ...(location === undefined ? [] : [`          Location: ${escapeText(location)}`]),
  ]
}

function locateUpstream({ upstream }: Explanation, locate: Locate): SourcePosition | undefined {
  return upstream && locateService(upstream.service, locate)
}

/** The explanation as plain data. */
export function explanationJson(
  explanation: Explanation,
  { locate, trail, live }: Omit<ExplanationInputs, 'defaults'>,
): unknown {
  const {
    url,
    answer,
    path,
    host,
    certificate,
    candidates,
    omitted,
    winner,
    filters,
    notPlayed,
    sent,
    upstream,
    shares,
    kept,
    listener,
    portFault,
  } = explanation
  return {
    url: `${url.scheme}://${url.host}${url.path}`,
    ...(trail && { client: { address: trail.address, reason: trail.reason, steps: trail.steps } }),
    answer,
    path: { forwarded: path.normal?.path, matched: path.normal?.matchPath, query: path.query, notes: path.notes },
    host: {
      hostname: host.hostname,
      matched: host.virtualHost && (host.virtualHost.host || '*'),
      reason: host.reason,
      source: host.virtualHost && printPlace(locateHost(host.virtualHost, locate)),
      misses: host.misses.map(({ virtualHost, reason }) => ({
        host: virtualHost.host || '*',
        reason,
        source: printPlace(locateHost(virtualHost, locate)),
      })),
      leftOut: host.leftOut.map(({ ingress, reason, position }) => ({
        ingress: printName(ingress),
        reason,
        source: printPlace(position),
      })),
    },
    certificate: certificate && {
      name: findCertificateName(certificate.binding) ?? '',
      reason: certificate.reason,
      source: certificate.binding && printPlace(locateField(certificate.binding, locate)),
    },
    candidates: candidates.map(({ route, verdict, reason }) => ({ ...routeJson(route, locate), verdict, reason })),
    omitted,
    winner: winner && routeJson(winner, locate),
    filters,
    notPlayed,
    sends: answer || !isRead(explanation) ? undefined : { target: sent.target },
    listener: listener && {
      name: printListenerName(listener),
      kind: listener.kind,
      layer: listener.layer,
      port: listener.port,
      source: printPlace(locateField(listener, locate)),
    },
    ...(shares.length > 0 && {
      shares: shares.map(({ weight, action, upstream, lack }) => ({
        backend: action.backend,
        weight,
        service: upstream?.key,
        endpoints: upstream ? usableEndpoints(upstream).map(printEndpoint) : [],
        code: lack?.code,
        reason: lack?.reason,
      })),
    }),
    ...(kept && { cookie: { backend: kept.share?.action.backend, reason: kept.reason } }),
    portFault,
    settings: upstream && joinOverrides(upstream.policy, winner?.policy),
    upstream: upstream && {
      service: upstream.key,
      targetPort: upstream.port.targetPort,
      protocol: upstream.protocol,
      source: printPlace(locateUpstream(explanation, locate)),
      endpoints: upstream.endpoints.map((endpoint) => ({
        address: printEndpoint(endpoint),
        weight: endpoint.weight,
        state: printState({ ...endpoint, weight: endpoint.weight && 1 }, live?.(upstream, endpoint)),
        source: endpoint.sourceName,
        ...(endpoint.name !== undefined && { name: endpoint.name }),
        ...(live && { inFlight: live(upstream, endpoint).inFlight }),
      })),
    },
  }
}

function routeJson(route: Route, locate: Locate) {
  return {
    path: route.path,
    pathType: route.pathType,
    conditions: printConditions(route),
    policies: printPolicies(route),
    backend: route.action.backend,
    ingress: printName(route.owner),
    source: printPlace(locateRoute(route, locate)),
  }
}
