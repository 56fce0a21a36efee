/** What the readinessProbes of Pods come to as health checks of endpoints. */
import type { Pod, ReadinessProbe, Service } from '../../kubernetes/resource.ts'
import type { EndpointProbe } from '../../model/upstream.ts'

/** Longer time limits make no sense, and probes that hang hold up others (observe/health/schedule). */
const MAX_SECONDS = 86_400
const MAX_TIMEOUT_SECONDS = 300
const MAX_RESULTS = 1_000

/** Of a Pod behind a Service; none where the Service wants its Pods ready or not (publishNotReadyAddresses). */
export function describeProbes(
  pod: Pod,
  { publishNotReadyAddresses }: Pick<Service, 'publishNotReadyAddresses'>,
): Readonly<{ probes?: readonly EndpointProbe[] }> {
  if (publishNotReadyAddresses) return {}
  const probes = pod.readinessProbes.flatMap((probe) => describeProbe(probe) ?? [])
  return probes.length === 0 ? {} : { probes: Object.freeze(probes) }
}

/** Whether it says when it is ready, and only commands could find out. */
export function isProbedByCommand({ readinessProbes }: Pod): boolean {
  return readinessProbes.length > 0 && readinessProbes.every(({ type }) => type === 'exec')
}

/** Undefined where it cannot be asked from here: a command runs inside the container, and no port leads nowhere. */
function describeProbe(probe: ReadinessProbe): EndpointProbe | undefined {
  const { type, host, port, path, scheme, headers, service } = probe
  if (type === 'exec' || port < 1 || port > 65_535) return undefined
  return Object.freeze({
    type,
    host,
    port,
    path,
    scheme,
    headers,
    service,
    interval: limit(probe.periodSeconds, MAX_SECONDS) * 1_000,
    timeout: limit(probe.timeoutSeconds, MAX_TIMEOUT_SECONDS) * 1_000,
    healthyThreshold: limit(probe.successThreshold, MAX_RESULTS),
    unhealthyThreshold: limit(probe.failureThreshold, MAX_RESULTS),
  })
}

function limit(value: number, most: number): number {
  return Math.min(Math.max(1, value), most)
}
