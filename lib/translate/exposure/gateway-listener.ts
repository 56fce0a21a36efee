/** The listeners of the settings. */
import type { PathPolicy } from '../../base/path.ts'
import type { GatewayListener } from '../../model/listener.ts'
import { INGRESS_TABLE } from '../../model/route-table.ts'
import type { Settings } from '../../settings/table.ts'

/** HTTPS first: a redirect names its port, which must be known before plain HTTP serves. */
export const GATEWAY_LISTENERS = ['https', 'http'] as const

type GatewayListenerId = (typeof GATEWAY_LISTENERS)[number]

/** Both serve the Ingresses. */
export function makeGatewayListener(
  id: GatewayListenerId,
  { address, port, proxyProtocol }: Pick<Settings['http'], 'address' | 'port' | 'proxyProtocol'>,
  paths: PathPolicy,
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
    paths,
    table: INGRESS_TABLE,
  })
}

/** What the settings of a listener say, and `paths` where they say `inherit`. */
export function resolvePaths(settings: Pick<Settings, 'paths' | GatewayListenerId>, id: GatewayListenerId): PathPolicy {
  const { encodedSlash, mergeSlashes } = settings[id].paths
  return Object.freeze({
    encodedSlash: encodedSlash === 'inherit' ? settings.paths.encodedSlash : encodedSlash,
    mergeSlashes: mergeSlashes === 'inherit' ? settings.paths.mergeSlashes : mergeSlashes,
  })
}

const NO_RANGES: readonly string[] = Object.freeze([])
