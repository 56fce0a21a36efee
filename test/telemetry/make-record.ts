/** A finished request, with single facts changed. */
import type { RequestRecord, RouteLabels } from '../../lib/telemetry/record.ts'

export function makeLabels(changes: Partial<RouteLabels> = {}): RouteLabels {
  return {
    ingress: 'default/shop',
    route: 'default/shop|shop.test|Prefix /api',
    upstream: 'default/api:80',
    ...changes,
  }
}

export function makeRecord(changes: Partial<RequestRecord> = {}): RequestRecord {
  return {
    id: 'abc',
    startedAt: 1_700_000_000_000,
    durationMs: 12.3456,
    upstreamMs: 10,
    protocol: 'HTTP/1.1',
    scheme: 'https',
    method: 'GET',
    authority: 'shop.test',
    target: '/api?x=1',
    status: 200,
    bytesIn: 0,
    bytesOut: 5,
    peerAddress: '10.0.0.1',
    clientAddress: '203.0.113.7',
    userAgent: 'curl/8',
    labels: makeLabels(),
    endpoint: '10.1.1.1:80',
    tries: 1,
    retries: undefined,
    error: undefined,
    detail: undefined,
    tunnel: false,
    filter: undefined,
    isLogged: true,
    ...changes,
  }
}
