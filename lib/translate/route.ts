/** Routes of Ingress paths, and which of several with the same meaning wins (I-15, I-37 to I-40). */

import type { DiagnosticList } from '../base/diagnostics.ts'
import { compareText } from '../base/order.ts'
import { normalizeRulePath } from '../base/path.ts'
import type { FieldPath } from '../base/position.ts'
import {
  type Ingress,
  type IngressBackend,
  type IngressPath,
  printName,
  printResource,
} from '../kubernetes/resource.ts'
import type { Route, RouteAction, ShadowedRoute } from '../model/route.ts'
import type { BackendResolver } from './backend.ts'

/** A route with what ranks it and where its backend stands. */
export type Claim = Readonly<{
  route: Route
  ingress: Ingress
  backend: IngressBackend
  backendPath: FieldPath
}>

/** What a rule's path claims; undefined, and reported, where no request can match it. */
export function claimPath(
  ingress: Ingress,
  rule: Readonly<{ host: string; index: number }>,
  path: IngressPath,
  resolver: BackendResolver,
  diagnostics: DiagnosticList,
): Claim | undefined {
  const at: FieldPath = ['spec', 'rules', rule.index, 'http', 'paths', path.index]
  const position = ingress.origin.locate([...at, 'path'])
  const resource = printResource(ingress)
  // Only ImplementationSpecific may be empty: every path.
  const normal = normalizeRulePath(path.path === '' ? '/' : path.path)
  if (normal === undefined) {
    diagnostics.add('PORTICO_ROUTE_UNREACHABLE', `path "${path.path}" can never match: no request has this form`, {
      position,
      resource,
      help: 'requests arrive here with dot segments resolved and well-formed percent-encodings only',
    })
    return undefined
  }
  if (path.pathType === 'ImplementationSpecific') warnOfPattern(path.path, ingress, at, diagnostics)
  const backendPath = [...at, 'backend']
  const resolved = resolver.resolve(ingress, path.backend, backendPath)
  const route: Route = Object.freeze({
    id: `${printName(ingress.meta)}|${rule.host}|${path.pathType} ${path.path}`,
    host: rule.host,
    match: Object.freeze({ type: path.pathType === 'Exact' ? 'exact' : 'prefix', path: normal }),
    pathType: path.pathType,
    path: path.path,
    action: resolved.action,
    backend: resolved.text,
    ingress: Object.freeze({ namespace: ingress.meta.namespace, name: ingress.meta.name }),
    position,
    createdAt: ingress.meta.createdAt,
  })
  return { route, ingress, backend: path.backend, backendPath }
}

/** What an Ingress's default backend claims on one host, `''` being all; the backend is resolved, and reported, once. */
export function claimDefault(ingress: Ingress, resolver: BackendResolver): ((host: string) => Claim) | undefined {
  const backend = ingress.defaultBackend
  if (backend === undefined) return undefined
  const backendPath = ['spec', 'defaultBackend']
  const resolved = resolver.resolve(ingress, backend, backendPath)
  return (host) => {
    const route: Route = Object.freeze({
      id: `${printName(ingress.meta)}|${host}|default`,
      host,
      match: Object.freeze({ type: 'prefix', path: '/' }),
      pathType: 'default',
      path: '',
      action: resolved.action,
      backend: resolved.text,
      ingress: Object.freeze({ namespace: ingress.meta.namespace, name: ingress.meta.name }),
      position: ingress.origin.locate(backendPath),
      createdAt: ingress.meta.createdAt,
    })
    return { route, ingress, backend, backendPath }
  }
}

/** What is left of claims on one host, in match order, and what lost. */
export type SettledClaims = Readonly<{ claims: readonly Claim[]; shadowed: readonly ShadowedRoute[] }>

/**
 * Settles the claims on one host. They come in order of rank: older Ingresses first, then by namespace/name, then as
 * listed. Of prefixes that mean the same, the one with a trailing slash is the longer (I-15) and Prefix goes before
 * ImplementationSpecific; otherwise the first stays (I-37).
 */
export function settleClaims(claims: readonly Claim[], diagnostics: DiagnosticList): SettledClaims {
  const winners = new Map<string, Claim>()
  const contested: [Claim, string][] = []
  for (const claim of claims) {
    const key = meaningOf(claim.route)
    const holder = winners.get(key)
    if (holder === undefined || precedence(claim.route) < precedence(holder.route)) winners.set(key, claim)
    if (holder !== undefined) contested.push([precedence(claim.route) < precedence(holder.route) ? holder : claim, key])
  }
  const shadowed = contested.map(([loser, key]) => {
    const winner = winners.get(key)!
    reportConflict(loser, winner, diagnostics)
    return Object.freeze({ route: loser.route, winner: winner.route })
  })
  return { claims: [...winners.values()].sort((a, b) => compareMatch(a.route, b.route)), shadowed }
}

/** Exact before prefix, longer before shorter, the default backend last. */
function compareMatch(a: Route, b: Route): number {
  return (
    Number(a.pathType === 'default') - Number(b.pathType === 'default') ||
    Number(a.match.type === 'prefix') - Number(b.match.type === 'prefix') ||
    b.match.path.length - a.match.path.length ||
    compareText(a.match.path, b.match.path)
  )
}

/** Equal for routes that match the same requests; a default backend stands for itself. */
function meaningOf({ pathType, match }: Route): string {
  if (pathType === 'default') return 'default'
  if (match.type === 'exact') return `exact ${match.path}`
  return `prefix ${match.path.endsWith('/') ? match.path.slice(0, -1) : match.path}`
}

function precedence({ pathType, match }: Route): number {
  if (match.type === 'exact' || pathType === 'default') return 0
  const shorter = match.path.endsWith('/') ? 0 : 2
  return shorter + Number(pathType === 'ImplementationSpecific')
}

function reportConflict(loser: Claim, winner: Claim, diagnostics: DiagnosticList): void {
  const { route } = loser
  const same = sameAction(route.action, winner.route.action)
  const holder = `${printResource(winner.ingress)}`
  const host = route.host === '' ? 'every host' : `host "${route.host}"`
  const isDefault = route.pathType === 'default'
  const claim = isDefault ? `the default backend of ${host}` : `${host} and path "${route.path}" (${route.pathType})`
  const rest = winner.ingress === loser.ingress ? 'claimed twice in this Ingress' : `already defined in ${holder}`
  diagnostics.add(
    isDefault ? 'PORTICO_ROUTE_DEFAULT_CONFLICT' : 'PORTICO_ROUTE_CONFLICT',
    `${claim} ${isDefault ? 'is' : 'are'} ${rest}`,
    {
      // Nothing is lost where both lead to the same place.
      ...(same && { severity: 'info' as const }),
      position: route.position,
      resource: printResource(loser.ingress),
      help: same
        ? 'both lead to the same backend: leave one out'
        : `requests go to ${winner.route.backend}, not to ${route.backend}: ${explainPrecedence(route, winner.route)}`,
      notes: [
        {
          message: `${winner.route.pathType === 'default' ? 'it' : `${winner.route.pathType} "${winner.route.path}"`} wins`,
          position: winner.route.position,
        },
      ],
    },
  )
}

function explainPrecedence(loser: Route, winner: Route): string {
  if (precedence(loser) !== precedence(winner)) {
    return winner.path.endsWith('/') && !loser.path.endsWith('/')
      ? 'the longer path wins'
      : 'Prefix goes before ImplementationSpecific'
  }
  if (loser.createdAt !== winner.createdAt) return 'the older Ingress wins'
  const sameIngress = loser.ingress.namespace === winner.ingress.namespace && loser.ingress.name === winner.ingress.name
  return sameIngress ? 'the first one wins' : 'with equal age the first by namespace/name wins'
}

function sameAction(a: RouteAction, b: RouteAction): boolean {
  return a.type === 'forward' && b.type === 'forward' && a.upstream === b.upstream
}

/** Patterns come from controllers that read ImplementationSpecific as a regular expression or a glob. */
function warnOfPattern(path: string, ingress: Ingress, at: FieldPath, diagnostics: DiagnosticList): void {
  const first = path.search(/[\\^$*()|[\]{}?]|\.\+/)
  if (first < 0) return
  const stem = path.slice(0, first).replace(/\/?\.?$/, '')
  diagnostics.add(
    'PORTICO_ROUTE_IMPLEMENTATION_SPECIFIC',
    `path "${path}" is not a pattern here: ImplementationSpecific is matched as Prefix, each character as it is`,
    {
      severity: 'warning',
      position: ingress.origin.locate([...at, 'path']),
      resource: printResource(ingress),
      help: `write path: ${stem === '' ? '/' : stem} with pathType: Prefix`,
    },
  )
}
