/** What the appProtocol of a Service port means (S14). Endpoints are spoken to in HTTP/1.1 alone: h2c, gRPC and unknown ones are reported. */
import type { ServicePort } from '../../kubernetes/resource.ts'
import type { UpstreamProtocol } from '../../model/upstream.ts'

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
