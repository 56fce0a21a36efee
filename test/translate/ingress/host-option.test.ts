/** What an Ingress, or a RoutePolicy, says of hosts as a whole: further names, www, expressions, HTTPS by route. */
import t from 'tap'
import { findIngressTable } from '../../../lib/model/route-table.ts'
import { translateText } from '../manifests.ts'
import { askHost, printIngresses, printService, startNginx, translateNginx } from './nginx/nginx-ingress.ts'

const policy = (spec: string): string => `---
apiVersion: portico.dev/v1alpha1
kind: RoutePolicy
metadata: {name: p}
spec: {targetRefs: [{kind: Ingress, name: a}], ${spec}}
`

t.test('host-aliases and host-www, on an Ingress and in a RoutePolicy', async (t) => {
  const own = { 'portico.dev/host-aliases': 'b.test, *.c.test', 'portico.dev/host-www': 'redirect' }
  const ofIngress = translateNginx({ a: { nginx: own } })
  const ofPolicy = translateNginx({ a: { nginx: {} } }, policy('hostAliases: [b.test, "*.c.test"], hostWww: redirect'))
  for (const { hosts, diagnostics } of [ofIngress, ofPolicy]) {
    t.same(hosts, ['a.test', 'b.test', 'www.a.test', '*.c.test'])
    t.same(diagnostics, [])
  }
})

t.test('values that cannot be used are errors with their place, and are left out', async (t) => {
  const cases: readonly (readonly [annotations: Record<string, string>, message: RegExp])[] = [
    [{ 'portico.dev/host-aliases': 'b.test, not_a_host' }, /host-aliases: "not_a_host" is no host$/],
    [{ 'portico.dev/host-www': 'true' }, /host-www: "true" says nothing of hosts$/],
    [
      { 'portico.dev/host-aliases': Array.from({ length: 101 }, (_, at) => `h${at}.test`).join() },
      /more than 100 names$/,
    ],
  ]
  for (const [nginx, message] of cases) {
    const { diagnostics, hosts } = translateNginx({ a: { nginx } })
    t.match(diagnostics, [{ code: 'PORTICO_ANN_VALUE', severity: 'error', message, position: { line: 3 } }])
    t.equal(hosts.includes('www.a.test'), false)
    t.ok(hosts.length <= 101)
  }
  const { diagnostics } = translateNginx({ a: { nginx: {} } }, policy('hostAliases: [not_a_host]'))
  t.match(diagnostics, [{ code: 'PORTICO_RES_FIELD_VALUE', severity: 'error', message: /hostAliases: "not_a_host"/ }])
})

t.test('hosts beside those of rules come and go with them', async (t) => {
  const print = (alias: string, hosts: readonly string[]) =>
    printIngresses(
      Object.fromEntries(
        hosts.map((name) => [name, { nginx: name === 'a' ? { 'portico.dev/host-aliases': alias } : {} }]),
      ),
    )
  const listHosts = (text: string) =>
    findIngressTable(translateText(`${text}---\n${printService('web')}`).model).hosts.map(({ host }) => host)
  t.same(listHosts(print('b.test', ['a'])), ['a.test', 'b.test'])
  t.same(listHosts(print('b.test', ['a', 'b'])), ['a.test', 'b.test'], 'a rule has the name itself')
  t.same(listHosts(print('c.test', ['a', 'b'])), ['a.test', 'b.test', 'c.test'])
})

t.test('path-type: host-regex, on an Ingress and in a RoutePolicy', async (t) => {
  const paths = [['/foo', 'Exact']] as const
  const ofIngress = translateNginx({ a: { nginx: { 'portico.dev/path-type': 'host-regex' }, paths } })
  const ofPolicy = translateNginx({ a: { nginx: {}, paths } }, policy('pathType: host-regex'))
  for (const { routes, diagnostics } of [ofIngress, ofPolicy]) {
    t.match(routes, [{ match: { type: 'regex', path: '(?i)/foo' } }])
    t.same(diagnostics, [])
  }
})

t.test('https-redirect of a route goes before what its host says', async (t) => {
  const doors = await startNginx(t, {
    open: { nginx: { 'portico.dev/https-redirect': 'false' }, host: 'a.test', paths: [['/open']], tls: ['a.test'] },
    rest: { nginx: {}, host: 'a.test', paths: [['/rest']] },
    forced: { nginx: { 'portico.dev/https-redirect': 'true' } },
  })
  for (const door of doors.names) {
    const isPlain = !/TLS|HTTP\/2/.test(door)
    const cases: readonly (readonly [host: string, target: string, plain: number, secure: number])[] = [
      ['a', '/open', 200, 200],
      ['a', '/rest', 308, 200],
      // No route takes it, and the host has no filter of its own any more.
      ['a', '/none', 404, 404],
      ['forced', '/x', 308, 200],
    ]
    for (const [host, target, plain, secure] of cases) {
      t.equal(
        (await askHost(doors, door, host, { target })).status,
        isPlain ? plain : secure,
        `${door} ${host} ${target}`,
      )
    }
  }
  const { diagnostics, routes } = translateNginx({ a: { nginx: { 'portico.dev/https-redirect': 'off' } } })
  t.equal(routes[0]?.filters, undefined)
  t.match(diagnostics, [{ code: 'PORTICO_ANN_VALUE', severity: 'error' }])
})
