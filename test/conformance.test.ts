/**
 * Every scenario of ingress-controller-conformance, on the wire: manifests as a cluster has them, endpoints by the setting
 * that puts them on this machine, a client that follows redirects to the gateway itself.
 */
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { findIngressTable } from '../lib/model/route-table.ts'
import { findAll } from './helpers/raw-client.ts'
import {
  endpointsOf,
  makeSecretYaml,
  type RunningGateway,
  runGateway,
  startEchoes,
  visit,
} from './helpers/running-gateway.ts'

/** A gateway over the manifests of a feature, each of its Services with an upstream of that name. */
async function runFeature<N extends string>(t: Test, feature: string, services: readonly N[], manifests: string = '') {
  const upstreams = await startEchoes(t, ...services)
  const running = await runGateway(t, manifests, {
    sources: [join(process.cwd(), 'test/fixtures/translate', `conformance-${feature}`, 'in.yaml')],
    endpoints: endpointsOf(upstreams),
  })
  return { running, upstreams }
}

const USER_AGENT = 'User-Agent: Go-http-client/1.1\r\n'

t.test('default_backend', async (t) => {
  const { running } = await runFeature(t, 'default-backend', ['echo-service'])
  const noHost = `127.0.0.1:${running.http}`
  const scenarios = [
    ['default_backend 1: GET my-host /', 'GET', 'my-host', '/'],
    ['default_backend 2: GET my-host /sub-path', 'GET', 'my-host', '/sub-path'],
    ['default_backend 3: POST some-host /', 'POST', 'some-host', '/'],
    ['default_backend 4: PUT without a host name /resource', 'PUT', noHost, '/resource'],
    ['default_backend 5: DELETE some-host /resource', 'DELETE', 'some-host', '/resource'],
    ['default_backend 6: PATCH my-host /resource', 'PATCH', 'my-host', '/resource'],
  ] as const
  for (const [name, method, host, path] of scenarios) {
    t.test(name, async (t) => {
      const { status, response, echo } = await visit(running, `http://${host}${path}`, { method, fields: USER_AGENT })
      t.equal(status, 200)
      t.match(response, { complete: true })
      for (const field of ['content-length', 'content-type', 'date', 'server']) {
        t.equal(response.all(field).length, 1, `${field} is sent once`)
        t.not(response.header(field), '', `${field} says something`)
      }
      t.match(echo, { name: 'echo-service', method, url: path, httpVersion: '1.1' })
      t.same(findAll(echo?.headers ?? [], 'user-agent'), ['Go-http-client/1.1'])
      t.same(findAll(echo?.headers ?? [], 'host'), [host])
    })
  }
})

t.test('host_rules', async (t) => {
  const { running } = await runFeature(
    t,
    'host-rules',
    ['wildcard-foo-com', 'foo-bar-com'],
    await makeSecretYaml('conformance-tls', ['foo.bar.com', 'second.test']),
  )
  t.test('host_rules 1: https to the exact host with a port by name shows its certificate', async (t) => {
    const { status, echo, names } = await visit(running, 'https://foo.bar.com/')
    t.equal(status, 200)
    t.equal(names[0], 'foo.bar.com', 'the first SAN')
    t.equal(echo?.name, 'foo-bar-com')
    t.same(findAll(echo?.headers ?? [], 'host'), ['foo.bar.com'])
  })
  t.test('host_rules 2: http to the exact host is 200 after the redirect', async (t) => {
    const { status, echo, names, redirects } = await visit(running, 'http://foo.bar.com/', { follow: true })
    t.equal(status, 200)
    t.equal(echo?.name, 'foo-bar-com')
    t.same(redirects, [`https://foo.bar.com:${running.https}/`])
    t.equal(names[0], 'foo.bar.com')
    t.match(findAll(echo?.headers ?? [], 'host'), [/^foo\.bar\.com(:\d+)?$/])
  })
  await testAnswers(t, running, [
    ['host_rules 3: another host of its domain is 404', 'http://subdomain.bar.com/', 404],
    ['host_rules 4: one label below the wildcard', 'http://bar.foo.com/', 'wildcard-foo-com'],
    ['host_rules 5: two labels below the wildcard are 404', 'http://baz.bar.foo.com/', 404],
    ['host_rules 6: the suffix of the wildcard is 404', 'http://foo.com/', 404],
  ])
  t.test('host_rules 4: the host is kept', async (t) => {
    const { echo } = await visit(running, 'http://bar.foo.com/')
    t.same(findAll(echo?.headers ?? [], 'host'), ['bar.foo.com'])
  })
})

t.test('ingress_class: an Ingress of a class that does not exist is never served', async (t) => {
  const { running, upstreams } = await runFeature(t, 'ingress-class', ['web'])
  t.equal((await visit(running, 'http://a.com/')).status, 404)
  t.equal((await visit(running, 'https://a.com/')).status, 404)
  await running.gateway.reload()
  t.equal((await visit(running, 'http://a.com/')).status, 404, 'nor after a reload')
  t.same(upstreams.web.requests, [])
  t.same(findIngressTable(running.gateway.served.model).hosts, [])
  const codes = running.gateway.configuration.diagnostics.map(({ code }) => code)
  t.ok(codes.includes('PORTICO_REF_CLASS_NOT_FOUND'), 'and its author is told')
})

t.test('load_balancing: 100 requests reach all 10 endpoints and no other', async (t) => {
  const names = Array.from({ length: 10 }, (_, index) => `pod-${index}`)
  const pods = await startEchoes(t, ...names)
  const running = await runGateway(t, '', {
    sources: [join(process.cwd(), 'test/fixtures/translate/conformance-load-balancing/in.yaml')],
    endpoints: { 'echo-service': Object.values(pods).map(({ port }) => port) },
  })
  const seen = new Map<string | number, number>()
  for (let sent = 0; sent < 100; sent++) {
    const { answeredBy } = await visit(running, 'http://load-balancing/')
    seen.set(answeredBy, (seen.get(answeredBy) ?? 0) + 1)
  }
  t.same([...seen.keys()].sort(), names)
  t.same([...new Set(seen.values())], [10], 'in turn')
})

t.test('path_rules', async (t) => {
  const { running } = await runFeature(t, 'path-rules', [
    'foo-exact',
    'foo-prefix',
    'foo-slash-exact',
    'aaa-prefix',
    'aaa-slash-bbb-prefix',
    'aaa-slash-bbb-slash-prefix',
  ])
  await testAnswers(t, running, [
    ['path_rules 1: Exact /foo takes /foo', 'http://exact-path-rules/foo', 'foo-exact'],
    ['path_rules 2: Exact /foo leaves /foo/', 'http://exact-path-rules/foo/', 404],
    ['path_rules 3: Exact /foo leaves /FOO', 'http://exact-path-rules/FOO', 404],
    ['path_rules 4: Exact /foo leaves /bar', 'http://exact-path-rules/bar', 404],
    ['path_rules 5: Prefix /foo takes /foo', 'http://prefix-path-rules/foo', 'foo-prefix'],
    ['path_rules 6: Prefix /foo takes /foo/', 'http://prefix-path-rules/foo/', 'foo-prefix'],
    ['path_rules 7: Prefix /foo leaves /FOO', 'http://prefix-path-rules/FOO', 404],
    ['path_rules 8: Prefix /aaa/bbb is the longer', 'http://prefix-path-rules/aaa/bbb', 'aaa-slash-bbb-prefix'],
    ['path_rules 9: and takes what is below it', 'http://prefix-path-rules/aaa/bbb/ccc', 'aaa-slash-bbb-prefix'],
    ['path_rules 10: Prefix /aaa takes the rest', 'http://prefix-path-rules/aaa/ccc', 'aaa-prefix'],
    ['path_rules 11: but whole elements alone', 'http://prefix-path-rules/aaaccc', 404],
    ['path_rules 12: Prefix /foo takes /foo/ once more', 'http://prefix-path-rules/foo/', 'foo-prefix'],
    ['path_rules 13: Exact goes before a Prefix that is listed first', 'http://mixed-path-rules/foo', 'foo-exact'],
    [
      'path_rules 14: Prefix /aaa/bbb/ takes /aaa/bbb',
      'http://trailing-slash-path-rules/aaa/bbb',
      'aaa-slash-bbb-slash-prefix',
    ],
    [
      'path_rules 15: Prefix /aaa/bbb/ takes /aaa/bbb/',
      'http://trailing-slash-path-rules/aaa/bbb/',
      'aaa-slash-bbb-slash-prefix',
    ],
    ['path_rules 16: Exact /foo/ leaves /foo', 'http://trailing-slash-path-rules/foo', 404],
  ])
})

/** One named case for each: who answers, and that the path goes on as it was sent. */
async function testAnswers(
  t: Test,
  running: RunningGateway,
  cases: readonly (readonly [string, string, string | number])[],
) {
  for (const [name, url, expected] of cases) {
    t.test(name, async (t) => {
      const { answeredBy, echo } = await visit(running, url)
      t.equal(answeredBy, expected)
      if (typeof expected === 'string') t.equal(echo?.url, new URL(url).pathname)
    })
  }
}
