/** Finds the checks of an endpoint: from its Service's settings, or else from its Pod's readinessProbes. */
import { isIP } from 'node:net'
import { isPrivateAddress } from '../../base/cidr.ts'
import { printEndpointAddress } from '../../base/endpoint-address.ts'
import { parseStatusRanges } from '../../base/status-ranges.ts'
import type { Endpoint, EndpointProbe, Upstream } from '../../model/upstream.ts'
import type { UpstreamPolicy } from '../../settings/service.ts'
import type { Probe, ProbeTls } from './question.ts'

/** A probe that is made again and again. Equal ones have equal keys: they are made once for all endpoints that they concern. */
export type Check = Readonly<{
  key: string
  probe: Probe
  /** Milliseconds. */
  interval: number
  timeout: number
  /** Results in a row that turn the verdict; the first result decides by itself. */
  healthyThreshold: number
  unhealthyThreshold: number
}>

const NONE: readonly Check[] = Object.freeze([])
/** What the kubelet takes for success. */
const READY_STATUSES = [{ from: 200, to: 399 }]

/** None for a name that is to be resolved yet, and for an address that no request may be sent to. */
export function listChecks(
  upstream: Upstream,
  endpoint: Endpoint,
  { health, host: hostPolicy, sni, verifyTls, caFile }: UpstreamPolicy,
): readonly Check[] {
  const { host, probes } = endpoint
  if (isIP(host) === 0 || upstream.denied !== undefined || health.check === 'none') return NONE
  if (upstream.guardAddresses && isPrivateAddress(host) !== undefined) return NONE
  if (health.check === 'auto') return (probes ?? []).map((probe) => checkOfPod(host, probe))
  // Nothing answers on a UDP port that no datagram of its protocol came to.
  if (upstream.transport === 'UDP' && health.port === 0) return NONE
  const { interval, timeout, healthyThreshold, unhealthyThreshold } = health
  const limits = { interval, timeout, healthyThreshold, unhealthyThreshold }
  const place = { address: host, port: health.port || endpoint.port }
  switch (health.check) {
    case 'tcp':
      return [makeCheck({ ...place, type: 'tcp' }, limits)]
    case 'grpc':
      return [makeCheck({ ...place, type: 'grpc', service: health.service }, limits)]
    case 'http': {
      const tls: ProbeTls | undefined =
        upstream.protocol === 'https'
          ? { serverName: sni || nameOf(upstream, endpoint), verify: verifyTls, caFile, secret: upstream.tls }
          : undefined
      const isOwn = hostPolicy === 'client' || hostPolicy === 'endpoint'
      const own = printEndpointAddress(endpoint.name ?? host, place.port)
      const header = health.host || (isOwn ? own : hostPolicy)
      const probe: Probe = {
        ...place,
        type: 'http',
        path: health.path,
        headers: [['host', header]],
        tls,
        statuses: parseStatusRanges(health.statuses) ?? READY_STATUSES,
        followsRedirects: false,
      }
      return [makeCheck(probe, limits)]
    }
  }
}

/** As the kubelet asks: over TLS without a look at the certificate. */
function checkOfPod(address: string, given: EndpointProbe): Check {
  const { type, host, port, path, scheme, headers, service, ...limits } = given
  const place = { address: host === '' ? address : host, port }
  if (type === 'tcp') return makeCheck({ ...place, type }, limits)
  if (type === 'grpc') return makeCheck({ ...place, type, service }, limits)
  const tls = scheme === 'HTTPS' ? { serverName: '', verify: false, caFile: '', secret: undefined } : undefined
  const probe: Probe = { ...place, type, path, headers, tls, statuses: READY_STATUSES, followsRedirects: true }
  return makeCheck(probe, limits)
}

function makeCheck(probe: Probe, limits: Omit<Check, 'key' | 'probe'>): Check {
  const key = JSON.stringify([probe, limits], (name, value) => (name === 'secret' ? value?.digest : value))
  return Object.freeze({ key, probe: Object.freeze(probe), ...limits })
}

/** The name that requests verify the endpoint under (upstream/choice/registry). */
function nameOf({ service }: Upstream, { name }: Endpoint): string {
  return name ?? `${service.name}.${service.namespace}.svc`
}
