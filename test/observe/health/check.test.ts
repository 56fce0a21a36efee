import t from 'tap'
import type { EndpointProbe } from '../../../lib/model/upstream.ts'
import { listChecks } from '../../../lib/observe/health/check.ts'
import { resolvePolicy } from '../../../lib/settings/policy.ts'
import { makeSettings } from '../../helpers/settings.ts'
import { makeUpstream, type UpstreamWords } from '../../helpers/snapshot.ts'

const PROBE: EndpointProbe = {
  type: 'http',
  host: '',
  port: 8081,
  path: '/ready',
  scheme: 'HTTP',
  headers: [['Host', 'a.test']],
  service: '',
  interval: 5_000,
  timeout: 2_000,
  healthyThreshold: 2,
  unhealthyThreshold: 4,
}

function list(words: UpstreamWords, changes: Record<string, unknown> = {}) {
  const upstream = makeUpstream('web', words)
  const policy = resolvePolicy(makeSettings(changes).upstream, upstream.policy)
  return upstream.endpoints.flatMap((endpoint) => listChecks(upstream, endpoint, policy))
}

t.test('by default an endpoint is asked as its Pod says, and one without a Pod is not', async (t) => {
  const checks = list({
    endpoints: [{ host: '10.0.0.1', port: 80, probes: [PROBE, { ...PROBE, type: 'tcp', host: '10.0.0.9' }] }, 81],
  })
  t.match(checks, [
    {
      probe: {
        type: 'http',
        address: '10.0.0.1',
        port: 8081,
        path: '/ready',
        headers: [['Host', 'a.test']],
        tls: undefined,
        statuses: [{ from: 200, to: 399 }],
        followsRedirects: true,
      },
      interval: 5_000,
      timeout: 2_000,
      healthyThreshold: 2,
      unhealthyThreshold: 4,
    },
    { probe: { type: 'tcp', address: '10.0.0.9', port: 8081 } },
  ])
  t.equal(checks.length, 2)
  t.match(list({ endpoints: [{ port: 80, probes: [{ ...PROBE, scheme: 'HTTPS' }] }] }), [
    { probe: { tls: { serverName: '', verify: false, caFile: '' } } },
  ])
  t.match(list({ endpoints: [{ port: 80, probes: [{ ...PROBE, type: 'grpc', service: 'a' }] }] }), [
    { probe: { type: 'grpc', service: 'a', port: 8081 } },
  ])
})

t.test('a Service has checks of its own in place of these', async (t) => {
  const endpoints = [{ port: 80, probes: [PROBE] }]
  t.same(list({ endpoints, policy: { 'health.check': 'none' } }), [])
  t.match(list({ endpoints, policy: { 'health.check': 'tcp', 'health.port': 9_000 } }), [
    { probe: { type: 'tcp', address: '127.0.0.1', port: 9_000 }, interval: 10_000, timeout: 1_000 },
  ])
  t.match(list({ endpoints }, { 'upstream.health.check': 'grpc', 'upstream.health.service': 'orders' }), [
    { probe: { type: 'grpc', port: 80, service: 'orders' } },
  ])
  const policy = {
    'health.check': 'http',
    'health.path': '/live',
    'health.statuses': '200,204',
    'health.interval': 500,
    'health.unhealthyThreshold': 7,
  }
  t.match(list({ endpoints: ['127.0.0.1:80', '[::1]:81'], policy }), [
    {
      probe: {
        path: '/live',
        headers: [['host', '127.0.0.1:80']],
        statuses: [
          { from: 200, to: 200 },
          { from: 204, to: 204 },
        ],
        followsRedirects: false,
      },
      interval: 500,
      unhealthyThreshold: 7,
    },
    { probe: { address: '::1', headers: [['host', '[::1]:81']] } },
  ])
  const secure = { protocol: 'https', endpoints: [443], policy: { 'health.check': 'http' } } as const
  t.match(list(secure), [{ probe: { tls: { serverName: 'web.default.svc', verify: true, caFile: '' } } }])
  t.match(list(secure, { 'upstream.verifyTls': false, 'upstream.caFile': '/ca' }), [
    { probe: { tls: { verify: false, caFile: '/ca' } } },
  ])
})

t.test('an address of a name is asked under that name', async (t) => {
  const endpoints = [{ host: '10.0.0.1', port: 8443, name: 'web.test' }]
  t.match(list({ endpoints, protocol: 'https', policy: { 'health.check': 'http' } }), [
    { probe: { address: '10.0.0.1', headers: [['host', 'web.test:8443']], tls: { serverName: 'web.test' } } },
  ])
})

t.test('names, and addresses that no request may go to, are not asked', async (t) => {
  const policy = { 'health.check': 'tcp' }
  t.same(list({ endpoints: ['web.test:80'], policy }), [])
  t.same(list({ endpoints: [80], policy, guardAddresses: true }), [])
  t.equal(list({ endpoints: ['93.184.216.34:80'], policy, guardAddresses: true }).length, 1)
  const upstream = makeUpstream('web', { endpoints: [80], policy })
  const merged = resolvePolicy(makeSettings().upstream, policy)
  t.same(listChecks({ ...upstream, denied: 'loopback' }, upstream.endpoints[0]!, merged), [])
  t.same(listChecks({ ...upstream, transport: 'UDP' }, upstream.endpoints[0]!, merged), [])
  t.match(
    listChecks(
      { ...upstream, transport: 'UDP' },
      upstream.endpoints[0]!,
      resolvePolicy(merged, { 'health.port': 8080 }),
    ),
    [{ probe: { port: 8080 } }],
  )
})

t.test('equal checks have equal keys', async (t) => {
  const [one, two] = list({
    endpoints: [
      { port: 80, probes: [PROBE] },
      { port: 81, probes: [{ ...PROBE }] },
    ],
  })
  t.equal(one!.key, two!.key)
  const [other] = list({ endpoints: [{ port: 80, probes: [{ ...PROBE, unhealthyThreshold: 9 }] }] })
  t.not(one!.key, other!.key)
})
