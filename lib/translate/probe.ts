/** What the readinessProbes of Pods come to as health checks of endpoints. */
import type { Pod, ReadinessProbe, Service } from '../kubernetes/resource.ts'
import type { EndpointProbe } from '../model/upstream.ts'

/** Of a Pod behind a Service; none where the Service wants its Pods ready or not (publishNotReadyAddresses). */
export function describeProbes(pod: Pod, service: Service): Readonly<{ probes?: readonly EndpointProbe[] }> {
  if (service.publishNotReadyAddresses) return {}
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
    interval: probe.periodSeconds * 1_000,
    timeout: probe.timeoutSeconds * 1_000,
    healthyThreshold: probe.successThreshold,
    unhealthyThreshold: probe.failureThreshold,
  })
}
