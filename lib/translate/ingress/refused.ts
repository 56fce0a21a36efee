/**
 * Ingresses and Services that are refused for an error are not served. Their annotations and references are still checked, so that
 * one pass shows all problems. If an Ingress has guards, its routes are claimed, and closed.
 */

import { type Diagnostic, DiagnosticList } from '../../base/diagnostics.ts'
import { type FieldPath, printPosition } from '../../base/position.ts'
import type { Ingress, IngressBackend } from '../../kubernetes/resource.ts'
import type { ResourceSet } from '../../kubernetes/store.ts'
import { ANNOTATION_DOMAIN } from '../../settings/service.ts'
import { checkAnnotations } from '../annotation.ts'
import { checkListenerOptions } from '../exposure/listener-option.ts'
import { listMentions, NO_POLICIES, type PolicyAttachments, type TargetPolicies } from '../route-policy/attachment.ts'
import type { DefaultFilters } from '../route-policy/default-options.ts'
import { checkPolicy } from '../service/policy.ts'
import { reportProtocol, type TranslatedUpstream } from '../service/upstream.ts'
import type { TranslationSettings } from '../settings.ts'
import type { CertificateBinder } from '../tls/certificate-binding.ts'
import { type BackendResolver, closeReference, createReference, reportBackend } from './backend.ts'
import type { ContentFinder } from './content.ts'
import { checkFilters, findGuard, readMentions, resolveFilters } from './filters.ts'
import { checkForeignAnnotations, findCanary, findClosingGuards } from './foreign-annotation.ts'
import type { ForeignAnnotation } from './foreign-table.ts'
import { type Claimant, claimRoutes, listReferences } from './host.ts'
import { checkHostOptions } from './host-option.ts'
import { pickIngresses } from './ingress-class.ts'
import { checkMatch, checkPathType, findClientMatch, readMatch } from './match.ts'
import { ADDRESSES } from './match-annotation.ts'
import { checkAliases } from './nginx/alias.ts'
import { checkPath } from './route.ts'
import { checkSplit, checkSplitBackends } from './split.ts'
import { checkSplitCookie } from './split-cookie.ts'

/** Reports their further problems, beside those in `diagnostics`. */
export function checkRefused(
  resources: ResourceSet,
  parts: Readonly<{
    settings: TranslationSettings
    resolver: BackendResolver
    contents: ContentFinder
    policies: PolicyAttachments
    binder: CertificateBinder
  }>,
  diagnostics: DiagnosticList,
): void {
  const refused = resources.allRefused('Ingress')
  const services = resources.allRefused('Service')
  if (refused.length === 0 && services.length === 0) return
  const { settings, resolver, contents, binder } = parts
  const found = new DiagnosticList()
  for (const service of services) {
    checkAnnotations(service, found)
    checkPolicy(service, found)
    resolveFilters(service, contents)
    checkFilters(service, found)
    checkListenerOptions(service, found)
  }
  for (const ingress of refused) {
    checkAnnotations(ingress, found)
    checkPolicy(ingress, found)
    resolveFilters(ingress, contents)
    checkFilters(ingress, found)
    const policies = parts.policies.of(ingress)
    checkMatch(ingress, policies.guards, found)
    checkHostOptions(readMentions(ingress), found)
    checkSplit(readMentions(ingress), found)
    checkSplitCookie(readMentions(ingress), found)
    for (const split of listMentions(ingress, NO_POLICIES, 'split')) checkSplitBackends(split, ingress, found)
    for (const type of listMentions(ingress, NO_POLICIES, 'path-type')) checkPathType(type, ingress, found)
    const terms = readMatch(readMentions(ingress), undefined, policies.guards)
    for (const { index, paths = [] } of ingress.rules) {
      for (const path of paths) checkPath(ingress, index, path, terms, false, found)
    }
  }
  const ingresses = pickIngresses(refused, resources, settings, found).filter((one) => findCanary(one) === undefined)
  const targets = new Set<TranslatedUpstream>()
  for (const ingress of ingresses) {
    checkForeignAnnotations(ingress, settings, found)
    checkAliases(ingress, found)
    for (const [backend, path] of listBackends(ingress)) {
      if (backend.name === '') continue
      const { target, problem } = resolver.resolve(createReference(ingress.meta.namespace, backend))
      // The check of shapes has reported a port that is missing or has the wrong type.
      const isKnown = backend.type === 'service' && 'number' in backend.port && backend.port.number === 0
      if (problem && !(isKnown && problem.code === 'PORTICO_REF_PORT_NOT_FOUND')) {
        reportBackend(problem, ingress, path, found)
      }
      if (target) targets.add(target)
    }
  }
  for (const target of targets) reportProtocol(target, found)
  binder.check(ingresses, found)
  const known = new Set(diagnostics.items.map(identify))
  const wrong = new Set(diagnostics.items.filter(({ severity }) => severity === 'error').map(placeOf))
  // A malformed name has been reported, so that no object has it needs no second report. A number without quotes may be wrong with
  // quotes too.
  const isNew = (item: Diagnostic) => !known.has(identify(item))
  const isFurther = (item: Diagnostic) => item.code === 'PORTICO_ANN_VALUE' || !wrong.has(placeOf(item))
  diagnostics.addAll(found.items.filter((item) => isNew(item) && isFurther(item)))
}

/** A host that requests may name. */
const HOST = /^(?:\*\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/

/**
 * The claims of a refused Ingress with a guard: its guarded requests must not fall to another Ingress without a guard. Undefined if
 * it has no guard.
 */
export function claimClosed(
  ingress: Ingress,
  settings: TranslationSettings,
  policies: TargetPolicies,
  defaults: DefaultFilters,
): Claimant | undefined {
  const own = findGuard(ingress) ?? findClientMatch(ingress)
  const isAttached = [policies, ...policies.sections].some(
    ({ guards, mentions, lost }) => guards || mentions.has(ADDRESSES) || lost?.isClients === true,
  )
  const guards = [
    ...findClosingGuards(ingress, settings),
    ...(own === undefined ? [] : [describeOwnGuard(own)]),
    ...(isAttached ? [{ ...describeOwnGuard(ANNOTATION_DOMAIN), name: 'RoutePolicy' }] : []),
  ]
  const [guard] = guards
  if (guard === undefined || findCanary(ingress) !== undefined) return undefined
  const rules = ingress.rules.flatMap((rule) => {
    const host = readHost(rule.host)
    if (host !== '' && !HOST.test(host)) return []
    const paths = rule.paths?.map((each) => ({ ...each, path: readPath(each.path) }))
    return [Object.freeze({ ...rule, host, ...(paths && { paths }) })]
  })
  const closed: Ingress = Object.freeze({ ...ingress, rules, tls: [] })
  const references = listReferences(closed, [])
  const resolutions = references.map((reference) => closeReference(reference, guard))
  return {
    ingress: closed,
    claims: {
      ...claimRoutes(closed, references, resolutions, guards, { whole: policies, sections: [] }, defaults),
      diagnostics: [],
    },
  }
}

/** A guard of Portico's own, as the others are. */
function describeOwnGuard(name: string): ForeignAnnotation {
  const [domain = '', key = ''] = name.split('/')
  return { name, domain, key, value: '', kind: 'guard', isIdle: false, isOfHost: false }
}

/** The host meant by an invalid one: with a port, in capitals, or `*` for all hosts. */
function readHost(host: string): string {
  const plain = host.trim().toLowerCase().replace(/:\d+$/, '').replace(/\.$/, '')
  return plain === '*' ? '' : plain
}

/** The path meant by an invalid one; a path with dot segments may mean any path. */
function readPath(path: string): string {
  if (/(?:^|\/)\.\.?(?:\/|$)/.test(path)) return '/'
  return path === '' || path.startsWith('/') || path.startsWith('^') ? path : `/${path}`
}

function listBackends({ rules, defaultBackend }: Ingress): readonly (readonly [IngressBackend, FieldPath])[] {
  const ofPaths = rules.flatMap(({ paths = [], index }) =>
    paths.map((path) => [path.backend, ['spec', 'rules', index, 'http', 'paths', path.index, 'backend']] as const),
  )
  return defaultBackend ? [...ofPaths, [defaultBackend, ['spec', 'defaultBackend']]] : ofPaths
}

function identify({ code, message, position, resource }: Diagnostic): string {
  return JSON.stringify([code, message, resource, position && printPosition(position)])
}

function placeOf({ position }: Diagnostic): string | undefined {
  return position && printPosition(position)
}
