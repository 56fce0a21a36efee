/** Every scenario of ingress-controller-conformance that is about which Service answers; manifests in test/fixtures/translate. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseAuthority } from '../../lib/base/hostname.ts'
import { normalizePath, USUAL_PATHS } from '../../lib/base/path.ts'
import type { Model } from '../../lib/model/model.ts'
import { findIngressTable } from '../../lib/model/route-table.ts'
import { HostIndex } from '../../lib/routing/host-index.ts'
import { compileTable, findRoute } from '../../lib/routing/table.ts'
import { BARE } from '../helpers/routed-request.ts'
import { translateText } from './manifests.ts'

function load(name: string): Model {
  const file = join(process.cwd(), 'test/fixtures/translate', name, 'in.yaml')
  return translateText(readFileSync(file, 'utf8')).model
}

/** The backend that serves a request; undefined is 404. */
function route(model: Model, host: string, path: string): string | undefined {
  const table = compileTable(findIngressTable(model), ({ action }) => action.backend)
  return findRoute(table, parseAuthority(host)!.hostname, normalizePath(path, USUAL_PATHS)!.matchPath, BARE)
}

t.test('default_backend: whatever the host, path and method', async (t) => {
  const model = load('conformance-default-backend')
  for (const [host, path] of [
    ['my-host', '/'],
    ['my-host', '/sub-path'],
    ['some-host', '/'],
    ['', '/resource'],
    ['some-host', '/resource'],
    ['my-host', '/resource'],
  ] as const) {
    t.equal(route(model, host, path), 'default/echo-service:8080', `${host}${path}`)
  }
})

t.test('host_rules', async (t) => {
  const model = load('conformance-host-rules')
  const find = (host: string): string | undefined => route(model, host, '/')
  t.equal(find('foo.bar.com'), 'default/foo-bar-com:http', 'host_rules 1 and 2: exact host, port by name')
  t.equal(find('subdomain.bar.com'), undefined, 'host_rules 3: 404')
  t.equal(find('bar.foo.com'), 'default/wildcard-foo-com:8080', 'host_rules 4: wildcard')
  t.equal(find('baz.bar.foo.com'), undefined, 'host_rules 5: one label only')
  t.equal(find('foo.com'), undefined, 'host_rules 6: not the suffix itself')
  t.equal(find('FOO.bar.com.:8443'), 'default/foo-bar-com:http', 'P7, P9: case, port and last dot do not matter')
  const hosts = new HostIndex(findIngressTable(model).hosts.map((host) => [host.host, host]))
  t.match(hosts.find('foo.bar.com')?.filters, [{ name: 'https-redirect' }], 'a host with a tls section is redirected')
  t.equal(hosts.find('bar.foo.com')?.filters, undefined, 'one without is not')
})

t.test('ingress_class: an Ingress of a class that does not exist is not served', async (t) => {
  const model = load('conformance-ingress-class')
  t.equal(model.counts.ingresses, 0)
  t.equal(route(model, 'a.com', '/'), undefined)
})

t.test('load_balancing: all ten endpoints are there', async (t) => {
  const model = load('conformance-load-balancing')
  const endpoints = model.upstreams.get('default/echo-service:8080')?.endpoints ?? []
  t.equal(new Set(endpoints.filter(({ ready }) => ready).map(({ host }) => host)).size, 10)
  t.ok(endpoints.every(({ port, weight }) => port === 3000 && weight === 1))
})

t.test('path_rules', async (t) => {
  const model = load('conformance-path-rules')
  const rows: readonly (readonly [string, string, string, string | undefined])[] = [
    ['1', 'exact-path-rules', '/foo', 'foo-exact'],
    ['2', 'exact-path-rules', '/foo/', undefined],
    ['3', 'exact-path-rules', '/FOO', undefined],
    ['4', 'exact-path-rules', '/bar', undefined],
    ['5', 'prefix-path-rules', '/foo', 'foo-prefix'],
    ['6', 'prefix-path-rules', '/foo/', 'foo-prefix'],
    ['7', 'prefix-path-rules', '/FOO', undefined],
    ['8', 'prefix-path-rules', '/aaa/bbb', 'aaa-slash-bbb-prefix'],
    ['9', 'prefix-path-rules', '/aaa/bbb/ccc', 'aaa-slash-bbb-prefix'],
    ['10', 'prefix-path-rules', '/aaa/ccc', 'aaa-prefix'],
    ['11', 'prefix-path-rules', '/aaaccc', undefined],
    ['13', 'mixed-path-rules', '/foo', 'foo-exact'],
    ['14', 'trailing-slash-path-rules', '/aaa/bbb', 'aaa-slash-bbb-slash-prefix'],
    ['15', 'trailing-slash-path-rules', '/aaa/bbb/', 'aaa-slash-bbb-slash-prefix'],
    ['16', 'trailing-slash-path-rules', '/foo', undefined],
  ]
  for (const [row, host, path, service] of rows) {
    const expected = service && `default/${service}:8080`
    t.equal(route(model, host, path), expected, `path_rules ${row}: ${host}${path}`)
  }
})
