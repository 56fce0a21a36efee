/** What the appProtocol of a Service port means (S14). Endpoints are spoken to in HTTP/1.1 alone: h2c, gRPC and unknown ones are reported. */
import type { Service, ServicePort } from '../../kubernetes/resource.ts'
import type { UpstreamProtocol } from '../../model/upstream.ts'
import { ANNOTATION_DOMAIN } from '../../settings/service.ts'

const PROTOCOLS: ReadonlyMap<string, UpstreamProtocol> = new Map([
  ['http', 'http'],
  ['ws', 'http'],
  ['kubernetes.io/ws', 'http'],
  ['https', 'https'],
  ['wss', 'https'],
  ['kubernetes.io/wss', 'https'],
])

/** Those that can be spoken. */
export const APP_PROTOCOLS: readonly string[] = [...PROTOCOLS.keys()]

/** Undefined where none is written, or one that cannot be spoken. */
export function readAppProtocol({ appProtocol }: ServicePort): UpstreamProtocol | undefined {
  return PROTOCOLS.get(appProtocol?.toLowerCase() ?? '')
}

/** How a port of the Service is spoken to, as the Service itself says it: in its annotation, or by the appProtocol of the port. */
export function readOwnProtocol({ meta }: Service, port: ServicePort): UpstreamProtocol {
  const written = meta.annotations[`${ANNOTATION_DOMAIN}protocol`]?.trim()
  return written === 'http' || written === 'https' ? written : (readAppProtocol(port) ?? 'http')
}
