/** What is said of servers that filters ask: Services that cannot answer, and hosts that seem to be misspelt. */
import { addOutcome, type DiagnosticList } from '../../base/diagnostics.ts'
import { printResource } from '../../kubernetes/resource.ts'
import type { FilterConfig } from '../../model/filter.ts'
import type { UpstreamKey } from '../../model/upstream.ts'
import { adviseEndpoints, DENIAL_HELP } from '../service/endpoint-override.ts'
import type { TranslatedUpstream } from '../service/upstream.ts'
import { type AskedServer, findAsked } from './asked-server.ts'
import type { ContentName, ContentProblem } from './content.ts'
import { locateValue } from './mention.ts'

/** Objects that one warning names. */
const MOST_OWNERS = 5

/** Reports, once for each upstream and outcome, the servers that cannot answer, and each host that seems to be misspelt. */
export function reportAsked(
  filters: Iterable<FilterConfig>,
  findTarget: (name: ContentName, key: UpstreamKey) => TranslatedUpstream | undefined,
  diagnostics: DiagnosticList,
): void {
  const starving = new Map<string, Readonly<{ target: TranslatedUpstream; servers: AskedServer[] }>>()
  for (const filter of filters) {
    for (const server of findAsked(filter)) {
      const { service, upstream, doubt, outcome } = server
      if (doubt !== undefined) report(server, doubt, diagnostics)
      const target = service && findTarget(service, upstream)
      if (target === undefined || !(target.isEmpty || target.upstream.denied !== undefined)) continue
      // What is wrong with a Secret is said of the Service.
      if (target.tls !== undefined && target.upstream.denied !== undefined) continue
      const key = `${upstream} ${outcome}`
      const group = starving.get(key) ?? { target, servers: [] }
      starving.set(key, group)
      group.servers.push(server)
    }
  }
  for (const { target, servers } of starving.values()) reportStarving(target, servers, diagnostics)
}

function reportStarving(
  { upstream: { key, denied }, service, gap }: TranslatedUpstream,
  [first, ...others]: readonly AskedServer[],
  diagnostics: DiagnosticList,
): void {
  const { outcome } = first!
  const why = denied === undefined ? `has no endpoints${gap ? `: ${gap}` : ''}` : `cannot be asked: ${denied}`
  const names = others.slice(0, MOST_OWNERS).map(({ owner }) => printResource(owner))
  const more = others.length > MOST_OWNERS ? ` and ${others.length - MOST_OWNERS} more` : ''
  const too = names.length === 0 ? '' : `, and the same holds for ${names.join(', ')}${more}`
  const problem: ContentProblem = {
    code: denied === undefined ? 'PORTICO_REF_NO_ENDPOINTS' : 'PORTICO_REF_EXTERNAL_NAME_DENIED',
    message: `service "${key}" ${why}`,
    help: addOutcome(denied === undefined ? adviseEndpoints(service) : DENIAL_HELP, `until then ${outcome}${too}`),
    notes: [{ message: 'the Service is here', position: service.origin.locate(['metadata', 'name']) }],
  }
  report(first!, problem, diagnostics)
}

function report(
  server: AskedServer,
  { code, message, help, notes }: ContentProblem,
  diagnostics: DiagnosticList,
): void {
  const { owner, label } = server
  diagnostics.add(code, `${label}: ${message}`, {
    // A host that is no name of a Service may have an address all the same.
    ...(code === 'PORTICO_REF_SERVICE_NOT_FOUND' && { severity: 'warning' as const }),
    position: locateValue(server),
    ...(owner.kind !== 'Setting' && { resource: printResource(owner) }),
    help,
    notes,
  })
}
