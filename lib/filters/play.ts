/** What filters do with one request, told without sending it; `portico explain` asks for it. */
import { GatewayError, type RequestErrorCode } from '../base/errors.ts'
import type { NormalPath } from '../base/path.ts'
import { parseParameters } from '../base/query.ts'
import { findField, findRequestField } from '../http1/field-line.ts'
import type { FilterConfig } from '../model/filter.ts'
import { FilterChain } from './chain.ts'
import { Notes } from './notes.ts'
import { findFilter } from './registry.ts'
import {
  type Filter,
  type FilterDraft,
  type FilterEnvironment,
  FilterHead,
  type FilterRequest,
  PendingOutcome,
} from './spec.ts'

/** A request that is not sent. `target` is path and query as sent; a method, fields and a client have usual values where they are left out. */
export type PlayedRequest = Readonly<{
  scheme: 'http' | 'https'
  /** With a port where it has one. */
  authority: string
  /** The host of it in normal form. */
  hostname: string
  path: NormalPath
  query: string
  target: string
  method?: string
  /** Field lines of the client; see filters/field-lines. */
  lines?: string
  client?: string
}>

/** The request as filters and conditions see it. A route is yet to be found. */
export function describeRequest(request: PlayedRequest): FilterRequest {
  const { scheme, authority, hostname, path, query, target } = request
  const { method = 'GET', lines = '', client = '127.0.0.1' } = request
  return {
    id: '',
    method,
    scheme,
    clientHostname: hostname,
    clientAuthority: authority,
    pathname: path.path,
    matchPath: path.matchPath,
    query,
    target,
    match: { type: 'prefix', path: '/' },
    protocol: 'HTTP/1.1',
    startedAt: 0,
    tls: undefined,
    route: '',
    clientAddress: client,
    clientNetwork: client,
    lines,
    header: (name) => findRequestField(lines, name),
    parameter: (name) => parseParameters(query).get(name),
    notes: new Notes(),
    connectionNotes: new Notes(),
    holdToEnd: (lease) => lease.release(),
    ask: () => ({ answer: new Promise(() => {}), cancel: () => {} }),
  }
}

export type PlayedAnswer = Readonly<{
  status: number
  /** Undefined: the filter answers as it is meant to. */
  code: RequestErrorCode | undefined
  reason: string
  location?: string
}>

export type Play = Readonly<{
  /** Undefined: the request goes on. */
  answer: PlayedAnswer | undefined
  /** Names of the filters before the answer that were not played: something else than the request decides what they do. */
  notPlayed: readonly string[]
}>

/**
 * Plays the filters on the request; if it goes on, `draft` becomes what an endpoint is asked. `httpsPort` is 0 if the port is not
 * known before the start: an answer that names it has no location.
 */
export function playFilters(
  configs: readonly FilterConfig[],
  request: FilterRequest,
  draft: FilterDraft,
  httpsPort: number,
): Play {
  let isPortMissing = false
  const environment: FilterEnvironment = {
    clock: { now: () => 0, monotonic: () => 0 },
    processes: 1,
    httpsPort: () => {
      isPortMissing ||= httpsPort === 0
      return httpsPort
    },
    warn: () => {},
    shared: (make) => make(),
  }
  const names = new Map<Filter, string>()
  const notPlayed: string[] = []
  const filters = configs.map(({ name, options }) => {
    const { create, dependsOn } = findFilter(name)
    const filter = create(options, environment)
    const played = dependsOn === undefined ? filter : hideOutcomes(filter)
    names.set(played, name)
    return played
  })
  const chain = new FilterChain(
    filters,
    configs.map(({ owner }) => owner),
  )
  for (const { request: ask, filters: asked } of chain.ofRequest) {
    const outcome = ask(request)
    const own = asked.map((filter) => names.get(filter)!)
    if (outcome instanceof PendingOutcome) notPlayed.push(...own.filter((name) => isUnknown(name, notPlayed)))
    else if (outcome instanceof GatewayError) {
      const { status, code, detail } = outcome
      return { answer: { status, code, reason: `the filter ${own.join(' or ')} refuses it: ${detail}` }, notPlayed }
    } else if (outcome !== undefined) {
      const { status, lines } = outcome
      const head = new FilterHead(status, true, lines)
      chain.changeResponse(head, request)
      const location = isPortMissing ? undefined : findField(head.lines, 'location')
      const reason = `the filter ${own.join(' or ')} answers`
      return { answer: { status, code: undefined, reason, ...(location !== undefined && { location }) }, notPlayed }
    }
  }
  chain.changeRequest(draft, request)
  return { answer: undefined, notPlayed }
}

function isUnknown(name: string, told: readonly string[]): boolean {
  return findFilter(name).dependsOn !== undefined && !told.includes(name)
}

const NEVER = new PendingOutcome(new Promise(() => {}), () => {})

/** The same filter with outcomes that stay unknown, since more than the request decides them. */
function hideOutcomes({ request, check, joinsChecks }: Filter): Filter {
  return {
    ...(request && { request: () => NEVER }),
    ...(check && { check: () => NEVER }),
    ...(joinsChecks && { joinsChecks }),
  }
}
