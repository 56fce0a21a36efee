/** The listeners of the settings. */
import type { GatewayListener } from '../../model/listener.ts'
import { INGRESS_TABLE } from '../../model/route-table.ts'
import type { Settings } from '../../settings/table.ts'

/** HTTPS first: a redirect names its port, which must be known before plain HTTP serves. */
export const GATEWAY_LISTENERS = ['https', 'http'] as const

/** Both serve the Ingresses. */
export function makeGatewayListener(
  id: (typeof GATEWAY_LISTENERS)[number],
  { address, port, proxyProtocol }: Pick<Settings['http'], 'address' | 'port' | 'proxyProtocol'>,
): GatewayListener {
  return Object.freeze({
    kind: 'Gateway',
    id,
    transport: 'TCP',
    layer: 'L7',
    tls: id === 'https',
    address,
    port,
    sourceRanges: NO_RANGES,
    proxyProtocol: proxyProtocol !== 'none',
    table: INGRESS_TABLE,
  })
}

const NO_RANGES: readonly string[] = Object.freeze([])
