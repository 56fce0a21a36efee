/** Upstreams that filters reach by a URL, and that no Service stands for: auth servers. */
import { findUsualPort } from '../../base/hostname.ts'
import type { FilterConfig } from '../../model/filter.ts'
import type { Upstream, UpstreamKey } from '../../model/upstream.ts'
import { createEndpoint } from './endpoint-override.ts'

/** `http://auth.example.com:4180`, always with its port. */
export function findUrlKey(url: URL): UpstreamKey {
  return `${url.protocol}//${url.hostname}:${findPort(url)}`
}

export function findPort({ protocol, port }: URL): number {
  return port === '' ? findUsualPort(protocol === 'https:' ? 'https' : 'http') : Number(port)
}

/** The keys of such upstreams among those that the filters ask. */
export function listUrlKeys(filters: Iterable<FilterConfig>): ReadonlySet<UpstreamKey> {
  const keys = new Set<UpstreamKey>()
  for (const { upstreams = [] } of filters) for (const key of upstreams) if (isUrlKey(key)) keys.add(key)
  return keys
}

function isUrlKey(key: UpstreamKey): boolean {
  return key.includes('://')
}

/** The certificate of an auth server is verified whatever holds for the endpoints of Services: it decides who is let in. */
const POLICY = Object.freeze({
  verifyTls: true,
  sni: '',
  host: 'client',
  proxyProtocol: 'none',
  'health.check': 'auto',
})

export function createUrlUpstream(key: UpstreamKey): Upstream {
  const url = new URL(key)
  const port = findPort(url)
  // Without the brackets of an IPv6 address.
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const endpoint = createEndpoint({ host, port, weight: 1 }, 'URL', key)
  return Object.freeze({
    key,
    service: Object.freeze({ kind: 'URL', namespace: '', name: key, type: 'URL' }),
    port: Object.freeze({ number: port, name: '', targetPort: port }),
    protocol: url.protocol === 'https:' ? ('https' as const) : ('http' as const),
    endpoints: Object.freeze([Object.freeze(endpoint)]),
    guardAddresses: false,
    policy: POLICY,
  })
}
