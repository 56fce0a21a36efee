/** What tells endpoints apart. */
import type { Endpoint, UpstreamKey } from './upstream.ts'

/** Names an endpoint of one upstream, over reloads and in all processes. */
export type EndpointKey = string & { readonly __brand?: 'EndpointKey' }

/** An address that was found by another name is another endpoint. */
export function findEndpointKey(
  upstream: UpstreamKey,
  { host, port, name }: Pick<Endpoint, 'host' | 'port' | 'name'>,
): EndpointKey {
  return `${upstream} ${host} ${port}${name ? ` ${name}` : ''}`
}
