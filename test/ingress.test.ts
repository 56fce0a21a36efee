/**
 * The rules of Ingress v1 that show on the wire (docs/semantics.md), against a running gateway: which Ingresses count, hosts, paths
 * with every example of the Kubernetes documentation, backends, TLS, and the merge of several Ingresses.
 */
import { connect as connectHttp2 } from 'node:http2'
import { connect as connectTcp } from 'node:net'
import t, { type Test } from 'tap'
import type { EchoUpstream } from './helpers/echo-upstream.ts'
import { findFreePort } from './helpers/free-ports.ts'
import { connectH2, requestH2 } from './helpers/h2-client.ts'
import { connectRawTls } from './helpers/raw-client.ts'
import { startRawUpstream } from './helpers/raw-upstream.ts'
import {
  endpointsOf,
  makeSecretYaml,
  type RunningGateway,
  runGateway,
  startEchoes,
  visit,
} from './helpers/running-gateway.ts'

/** What a backend, a path, a rule and the metadata come to in YAML flow style. */
const to = (service: string, port: string = 'number: 80') => `{service: {name: ${service}, port: {${port}}}}`
const route = (type: string, path: string, service: string) =>
  `{pathType: ${type}, path: ${JSON.stringify(path)}, backend: ${to(service)}}`
const rule = (host: string, ...paths: string[]) => `{host: "${host}", http: {paths: [${paths.join(', ')}]}}`
const serviceYaml = (name: string, more: string = '', spec: string = 'ports: [{name: http, port: 80}]') => `---
apiVersion: v1
kind: Service
metadata: {name: ${name}${more}}
spec: {${spec}}
`
const ingressYaml = (metadata: string, spec: string) => `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {${metadata}}
spec: {${spec}}
`
const classYaml = (name: string, controller: string, annotations: string = '') => `---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: ${name}, annotations: {${annotations}}}
spec: {controller: ${controller}}
`
const DEFAULT_CLASS = 'ingressclass.kubernetes.io/is-default-class'

/** A gateway over the Ingresses, with a Service and an upstream for each name. */
async function runIngresses<N extends string>(
  t: Test,
  names: readonly N[],
  ingresses: string,
  flags: Readonly<Record<string, string>> = {},
): Promise<RunningGateway & { upstreams: Readonly<Record<N, EchoUpstream>> }> {
  const upstreams = await startEchoes(t, ...names)
  const services = names.map((name) => serviceYaml(name)).join('')
  const running = await runGateway(t, services + ingresses, { endpoints: endpointsOf(upstreams), flags })
  return { ...running, upstreams }
}

type Case = readonly [name: string, url: string, expected: string | number]

/** One named case for each. */
async function testAnswers(t: Test, running: RunningGateway, cases: readonly Case[]): Promise<void> {
  for (const [name, url, expected] of cases) {
    await t.test(`${name}: ${url.replace(/^\w+:\/\//, '')} → ${expected}`, async (t) => {
      t.equal((await visit(running, url)).answeredBy, expected)
    })
  }
}

t.test('classes', async (t) => {
  const served = (name: string, metadata: string, spec: string = '') =>
    ingressYaml(`name: ${name}${metadata}`, `${spec}rules: [${rule(`${name}.test`, route('Prefix', '/', 'web'))}]`)
  const annotated = (name: string) => `, annotations: {kubernetes.io/ingress.class: ${name}}`
  const ingresses = [
    served('mine', '', 'ingressClassName: portico, '),
    served('foreign', '', 'ingressClassName: nginx, '),
    served('missing', '', 'ingressClassName: nowhere, '),
    served('old', annotated('portico')),
    served('old-foreign', annotated('nginx')),
    served('both', annotated('portico'), 'ingressClassName: portico, '),
    served('classless', ''),
  ].join('')
  const classes = (annotations: string) =>
    classYaml('portico', 'portico.dev/ingress-controller', annotations) + classYaml('nginx', 'k8s.io/ingress-nginx')
  const running = await runIngresses(t, ['web'], ingresses + classes(`${DEFAULT_CLASS}: "true"`))
  await testAnswers(t, running, [
    ['I-1 a class of this controller', 'http://mine.test/', 'web'],
    ['I-1 I-5 a class of another controller', 'http://foreign.test/', 404],
    ['I-1 a class that does not exist', 'http://missing.test/', 404],
    ['I-2 the annotation is honoured', 'http://old.test/', 'web'],
    ['I-2 also where it names another controller', 'http://old-foreign.test/', 404],
    ['I-2 field and annotation of equal value', 'http://both.test/', 'web'],
    ['I-3 without a class the default class counts', 'http://classless.test/', 'web'],
  ])
  const notDefault = await runIngresses(t, ['web'], ingresses + classes(`${DEFAULT_CLASS}: "True"`))
  await testAnswers(t, notDefault, [
    ['I-3 the value of the annotation is exactly "true"', 'http://classless.test/', 404],
    ['I-3 the others stay as they are', 'http://mine.test/', 'web'],
  ])
  const two = ['2024-01-01', '2025-01-01'].map((day, index) =>
    classYaml(
      `default-${index}`,
      index === 1 ? 'portico.dev/ingress-controller' : 'k8s.io/ingress-nginx',
      `${DEFAULT_CLASS}: "true"`,
    ).replace('metadata: {', `metadata: {creationTimestamp: "${day}T00:00:00Z", `),
  )
  await testAnswers(t, await runIngresses(t, ['web'], ingresses + two.join('')), [
    ['I-3 of several default classes the newest counts', 'http://classless.test/', 'web'],
  ])
})

t.test('hosts', async (t) => {
  const all = (host: string, service: string) => rule(host, route('Prefix', '/', service))
  const running = await runIngresses(
    t,
    ['exact', 'wildcard', 'every', 'bare'],
    ingressYaml(
      'name: hosts',
      `rules: [${[
        all('exact.test', 'exact'),
        all('*.wild.test', 'wildcard'),
        all('*.deep.wild.test', 'every'),
        rule('a.wild.test', route('Prefix', '/only', 'exact')),
        `{http: {paths: [${route('Prefix', '/', 'every')}]}}`,
      ].join(', ')}]`,
    ) + ingressYaml('name: bare', `defaultBackend: ${to('bare')}, rules: [{host: bare.test}]`),
  )
  await testAnswers(t, running, [
    ['I-6 an exact host', 'http://exact.test/', 'exact'],
    ['I-6 without its port', 'http://exact.test:8080/', 'exact'],
    ['I-6 in any case', 'http://EXACT.Test/', 'exact'],
    ['I-7 one label below the wildcard', 'http://x.wild.test/', 'wildcard'],
    ['I-7 not two labels', 'http://y.x.wild.test/', 'every'],
    ['I-7 not the suffix itself', 'http://wild.test/', 'every'],
    ['I-8 exact goes before wildcard', 'http://a.wild.test/only', 'exact'],
    ['I-8 of two wildcards only one can match', 'http://x.deep.wild.test/', 'every'],
    ['I-9 a rule without a host takes every other host', 'http://other.test/', 'every'],
    [
      'I-10 neither the wildcard nor every host is asked once the exact host matched',
      'http://a.wild.test/other',
      'bare',
    ],
    ['I-11 a rule without http sends all to the default backend', 'http://bare.test/any/path', 'bare'],
  ])
})

/** Each example of the documentation: its rules, then what is asked and who answers. */
const EXAMPLES: readonly (readonly [
  readonly (readonly [string, string, string])[],
  readonly (readonly [string, string])[],
])[] = [
  [
    [['Prefix', '/', 'a']],
    [
      ['/', 'a'],
      ['/any', 'a'],
      ['/any/path/', 'a'],
    ],
  ],
  [
    [['Exact', '/foo', 'a']],
    [
      ['/foo', 'a'],
      ['/bar', 'rest'],
      ['/foo/', 'rest'],
    ],
  ],
  [
    [['Exact', '/foo/', 'a']],
    [
      ['/foo', 'rest'],
      ['/foo/', 'a'],
    ],
  ],
  [
    [['Prefix', '/foo', 'a']],
    [
      ['/foo', 'a'],
      ['/foo/', 'a'],
    ],
  ],
  [
    [['Prefix', '/foo/', 'a']],
    [
      ['/foo', 'a'],
      ['/foo/', 'a'],
    ],
  ],
  [[['Prefix', '/aaa/bb', 'a']], [['/aaa/bbb', 'rest']]],
  [
    [['Prefix', '/aaa/bbb', 'a']],
    [
      ['/aaa/bbb', 'a'],
      ['/aaa/bbb/', 'a'],
      ['/aaa/bbb/ccc', 'a'],
      ['/aaa/bbbxyz', 'rest'],
    ],
  ],
  [[['Prefix', '/aaa/bbb/', 'a']], [['/aaa/bbb', 'a']]],
  [
    [
      ['Prefix', '/', 'a'],
      ['Prefix', '/aaa', 'b'],
    ],
    [['/aaa/ccc', 'b']],
  ],
  [
    [
      ['Prefix', '/', 'a'],
      ['Prefix', '/aaa', 'b'],
      ['Prefix', '/aaa/bbb', 'c'],
    ],
    [
      ['/aaa/bbb', 'c'],
      ['/ccc', 'a'],
    ],
  ],
  [[['Prefix', '/aaa', 'a']], [['/ccc', 'rest']]],
  [
    [
      ['Prefix', '/foo', 'a'],
      ['Exact', '/foo', 'b'],
    ],
    [['/foo', 'b']],
  ],
]

t.test('documentation examples', async (t) => {
  const rules = EXAMPLES.map(([paths], index) =>
    rule(`example-${index}.test`, ...paths.map(([type, path, service]) => route(type, path, service))),
  )
  const running = await runIngresses(
    t,
    ['a', 'b', 'c', 'rest'],
    ingressYaml('name: examples', `rules: [${rules.join(', ')}]`) +
      ingressYaml('name: rest', `defaultBackend: ${to('rest')}`),
  )
  for (const [index, [paths, requests]] of EXAMPLES.entries()) {
    const shown = paths.map(([type, path]) => `${type} ${path}`).join(' + ')
    await testAnswers(
      t,
      running,
      requests.map(([path, expected]): Case => [`4.3 ${shown}`, `http://example-${index}.test${path}`, expected]),
    )
  }
})

t.test('paths', async (t) => {
  const running = await runIngresses(
    t,
    ['one', 'two', 'three', 'rest'],
    ingressYaml(
      'name: paths',
      `rules: [${[
        rule('exact.test', route('Exact', '/foo', 'one')),
        rule('prefix.test', route('Prefix', '/foo', 'one')),
        rule('specific.test', route('ImplementationSpecific', '/foo', 'one')),
        rule('longest.test', route('Prefix', '/a', 'one'), route('Prefix', '/a/b/c', 'three')),
        rule('slash.test', route('Prefix', '/foo', 'one'), route('Prefix', '/foo/', 'two')),
        rule('types.test', route('ImplementationSpecific', '/foo', 'one'), route('Prefix', '/foo', 'two')),
        rule('exact-first.test', route('Prefix', '/foo/', 'one'), route('Exact', '/foo', 'two')),
      ].join(', ')}]`,
    ) +
      ingressYaml('name: more', `rules: [${rule('longest.test', route('Prefix', '/a/b', 'two'))}]`) +
      ingressYaml(
        'name: rest',
        `defaultBackend: ${to('rest')}, rules: [${rule('rest.test', route('Prefix', '/foo', 'one'))}]`,
      ),
  )
  await testAnswers(t, running, [
    ['I-12 Exact is byte for byte', 'http://exact.test/foo', 'one'],
    ['I-12 case counts', 'http://exact.test/Foo', 'rest'],
    ['I-12 so does a trailing slash', 'http://exact.test/foo/', 'rest'],
    ['I-13 Prefix takes whole elements', 'http://prefix.test/foo/x', 'one'],
    ['I-13 not parts of one', 'http://prefix.test/foobar', 'rest'],
    ['I-13 case counts', 'http://prefix.test/FOO', 'rest'],
    ['I-14 ImplementationSpecific is Prefix', 'http://specific.test/foo/x', 'one'],
    ['I-14 by whole elements', 'http://specific.test/foobar', 'rest'],
    ['I-15 the longest path over all Ingresses of a host', 'http://longest.test/a/b/c/d', 'three'],
    ['I-15 then the next', 'http://longest.test/a/b/x', 'two'],
    ['I-15 then the shortest', 'http://longest.test/a/x', 'one'],
    ['I-15 /foo/ is longer than /foo', 'http://slash.test/foo/x', 'two'],
    ['I-15 /foo/ is longer than /foo', 'http://slash.test/foo', 'two'],
    ['I-15 Prefix goes before ImplementationSpecific', 'http://types.test/foo', 'two'],
    ['I-16 Exact /foo goes before Prefix /foo/', 'http://exact-first.test/foo', 'two'],
    ['I-17 no path matches: the default backend', 'http://rest.test/bar', 'rest'],
    ['I-17 that of another Ingress where its own has none', 'http://exact.test/bar', 'rest'],
  ])
  t.test('I-18 the query takes no part', async (t) => {
    for (const query of ['?', '?x=1', '?/foo/../bar', '?a=/x?y']) {
      const { answeredBy, echo } = await visit(running, `http://exact.test/foo${query}`)
      t.equal(answeredBy, 'one', query)
      t.equal(echo?.url, `/foo${query}`, 'and is forwarded as sent')
    }
    t.equal((await visit(running, 'http://exact.test/bar?/foo')).answeredBy, 'rest')
  })
  t.test('I-19 no method and no field takes part', async (t) => {
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'PURGE', 'M-SEARCH']) {
      const { answeredBy, echo } = await visit(running, 'http://exact.test/foo', { method, fields: 'X-Any: 1\r\n' })
      t.equal(answeredBy, 'one', method)
      t.equal(echo?.method, method)
    }
    t.equal((await visit(running, 'http://exact.test/foo', { method: 'HEAD' })).status, 200)
  })
})

t.test('default backends', async (t) => {
  const old = 'creationTimestamp: "2020-01-01T00:00:00Z"'
  const young = 'creationTimestamp: "2024-01-01T00:00:00Z"'
  const own = ingressYaml(
    `name: own, ${old}`,
    `defaultBackend: ${to('own')}, rules: [${rule('own.test', route('Prefix', '/a', 'web'))}]`,
  )
  const catchAll = (name: string, created: string, service: string) =>
    ingressYaml(`name: ${name}, ${created}`, `defaultBackend: ${to(service)}`)
  const names = ['web', 'own', 'first', 'second'] as const
  const both = await runIngresses(
    t,
    names,
    own + catchAll('a-young', young, 'second') + catchAll('z-old', old, 'first'),
  )
  await testAnswers(t, both, [
    ['I-22 without rules it takes every host that no other rule takes', 'http://other.test/', 'first'],
    ['I-22 with rules it takes what its own hosts leave', 'http://own.test/b', 'own'],
    ['I-22 and nothing that a path takes', 'http://own.test/a', 'web'],
    ['I-23 of several the oldest wins', 'http://another.test/', 'first'],
  ])
  const alone = await runIngresses(t, names, own)
  await testAnswers(t, alone, [
    ['I-22 with rules it also takes the other hosts where no other does', 'http://other.test/', 'own'],
  ])
  const none = await runIngresses(
    t,
    names,
    ingressYaml('name: web', `rules: [${rule('a.test', route('Prefix', '/a', 'web'))}]`),
  )
  t.test('I-17 I-24 without any default backend the answer is 404', async (t) => {
    for (const url of ['http://a.test/b', 'http://b.test/']) {
      const { status, response } = await visit(none, url)
      t.equal(status, 404)
      t.equal(JSON.parse(response.body.toString()).code, 'PORTICO_REQ_NO_ROUTE')
    }
  })
})

const sliceYaml = (service: string, ports: string, endpoints: string, name: string = `${service}-1`) => `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${name}, labels: {kubernetes.io/service-name: ${service}}}
addressType: IPv4
ports: [${ports}]
endpoints: [${endpoints}]
`

t.test('backends', async (t) => {
  const { web, admin } = await startEchoes(t, 'web', 'admin')
  const closed = await findFreePort()
  const backends: Readonly<Record<string, string>> = {
    number: to('web'),
    name: to('web', 'name: admin'),
    'target-port': to('web', `number: ${web.port}`),
    bucket: '{resource: {apiGroup: k8s.example.com, kind: StorageBucket, name: static}}',
    'no-service': to('nowhere'),
    'no-port': to('web', 'number: 81'),
    'no-port-name': to('web', 'name: nothing'),
    elsewhere: to('remote'),
    empty: to('empty'),
    'not-ready': to('not-ready'),
    dead: to('dead'),
    'no-slice-port': to('web', 'name: metrics'),
    udp: to('udp', 'number: 53'),
  }
  const rules = Object.entries(backends).map(
    ([host, backend]) => `{host: ${host}.test, http: {paths: [{path: /, pathType: Prefix, backend: ${backend}}]}}`,
  )
  const manifests = [
    ingressYaml('name: backends', `rules: [${rules.join(', ')}]`),
    serviceYaml(
      'web',
      '',
      `ports: [{name: http, port: 80, targetPort: ${web.port}}, {name: admin, port: 9000}, {name: metrics, port: 9090}]`,
    ),
    sliceYaml('web', `{name: http, port: ${web.port}}, {name: admin, port: ${admin.port}}`, '{addresses: [127.0.0.1]}'),
    serviceYaml('remote', `, namespace: other, annotations: {portico.dev/endpoints: "127.0.0.1:${web.port}"}`),
    serviceYaml('empty'),
    serviceYaml('not-ready'),
    sliceYaml('not-ready', `{name: http, port: ${web.port}}`, '{addresses: [127.0.0.1], conditions: {ready: false}}'),
    serviceYaml('dead', `, annotations: {portico.dev/endpoints: "127.0.0.1:${closed}"}`),
    serviceYaml('udp', '', 'ports: [{name: dns, port: 53, protocol: UDP}]'),
  ]
  const running = await runGateway(t, manifests.join(''))
  await testAnswers(t, running, [
    ['I-20 S7 a port by number is reached at the port of the slice', 'http://number.test/', 'web'],
    ['I-20 S12 a port by name', 'http://name.test/', 'admin'],
    ['S13 a number that is only a targetPort', 'http://target-port.test/', 503],
    ['I-20 a Service of another namespace', 'http://elsewhere.test/', 503],
    ['I-21 a resource', 'http://bucket.test/', 404],
    ['I-25 no such Service', 'http://no-service.test/', 503],
    ['I-25 no such port', 'http://no-port.test/', 503],
    ['I-25 no such port name', 'http://no-port-name.test/', 503],
    ['I-25 no endpoints', 'http://empty.test/', 503],
    ['I-25 S27 no ready endpoints', 'http://not-ready.test/', 503],
    ['I-25 an endpoint that refuses', 'http://dead.test/', 502],
    ['I-26 a port of the Service that its slices lack', 'http://no-slice-port.test/', 503],
    ['S38 a UDP port', 'http://udp.test/', 503],
  ])
  t.test('I-25 no answer names an upstream', async (t) => {
    for (const host of Object.keys(backends)) {
      const { response, answeredBy } = await visit(running, `http://${host}.test/`)
      if (typeof answeredBy === 'string') continue
      const body = JSON.parse(response.body.toString())
      t.match(body, { status: response.status, code: /^PORTICO_/ }, host)
      t.notMatch(response.body.toString(), new RegExp(`127\\.0\\.0\\.1|${closed}|${web.port}`), host)
    }
  })
})

t.test('I-25 an endpoint that does not answer in time is 504', async (t) => {
  const silent = await startRawUpstream(() => {})
  t.teardown(() => silent.close())
  const running = await runGateway(
    t,
    serviceYaml('web') + ingressYaml('name: web', `rules: [${rule('web.test', route('Prefix', '/', 'web'))}]`),
    { endpoints: { web: [silent.port] }, flags: { 'timeouts.responseHeaders': '150ms' } },
  )
  const { response } = await visit(running, 'http://web.test/')
  t.equal(response.status, 504)
  t.notMatch(response.body.toString(), String(silent.port))
})

t.test('TLS', async (t) => {
  const secure = (name: string, hosts: readonly string[], tls: string, more: string = '') =>
    ingressYaml(
      `name: ${name}${more}`,
      `tls: [${tls}], rules: [${hosts.map((host) => rule(host, route('Prefix', '/', 'web'))).join(', ')}]`,
    )
  const old = ', creationTimestamp: "2020-01-01T00:00:00Z"'
  const young = ', creationTimestamp: "2024-01-01T00:00:00Z"'
  const manifests = [
    secure('exact', ['exact.test'], '{hosts: [exact.test], secretName: exact}'),
    secure(
      'wild',
      ['*.wild.test', 'own.wild.test'],
      '{hosts: ["*.wild.test"], secretName: wild}, {hosts: [own.wild.test], secretName: own}',
    ),
    secure('bare', ['bare.test'], '{hosts: [bare.test]}'),
    secure('lost', ['lost.test'], '{hosts: [lost.test], secretName: nowhere}'),
    secure('broken', ['broken.test'], '{hosts: [broken.test], secretName: broken}'),
    secure('uncovered', ['uncovered.test'], '{hosts: [uncovered.test], secretName: exact}'),
    secure('candidate', ['candidate.test', 'uncandidate.test'], '{secretName: candidate}'),
    secure('covering', ['x.cover.test', 'y.x.cover.test'], '{secretName: covering}'),
    secure('unruled', ['ruled.test'], '{hosts: [unruled.test], secretName: unruled}'),
    secure('a-young', ['shared.test'], '{hosts: [shared.test], secretName: young}', young),
    secure('z-old', ['shared.test'], '{hosts: [shared.test], secretName: old}', old),
    ingressYaml('name: plain', `rules: [${rule('plain.test', route('Prefix', '/', 'plain'))}]`),
    await makeSecretYaml('exact', ['exact.test']),
    await makeSecretYaml('wild', ['*.wild.test']),
    await makeSecretYaml('own', ['own.wild.test']),
    await makeSecretYaml('candidate', ['candidate.test']),
    await makeSecretYaml('covering', ['*.cover.test']),
    await makeSecretYaml('unruled', ['unruled.test']),
    await makeSecretYaml('young', ['shared.test', 'young.test']),
    await makeSecretYaml('old', ['shared.test', 'old.test'], { type: 'Opaque' }),
    '---\n{apiVersion: v1, kind: Secret, metadata: {name: broken}, type: kubernetes.io/tls, stringData: {tls.crt: x, tls.key: y}}\n',
  ].join('')
  const running = await runIngresses(t, ['web', 'plain'], manifests)
  const fallback = (await visit(running, 'https://unknown.example/')).names

  const certificates: readonly (readonly [string, string, readonly string[]])[] = [
    ['I-27 the certificate of the Secret', 'exact.test', ['exact.test']],
    ['I-28 a wildcard host', 'x.wild.test', ['*.wild.test']],
    ['I-28 P17 a name with an underscore', 'a_b.wild.test', ['*.wild.test']],
    ['I-28 exact goes before wildcard', 'own.wild.test', ['own.wild.test']],
    ['I-28 two labels below the wildcard', 'y.x.wild.test', fallback],
    ['I-30 a section without a Secret', 'bare.test', fallback],
    ['I-30 a section without hosts, a host its certificate covers', 'candidate.test', ['candidate.test']],
    ['I-30 a section without hosts, a host it does not cover', 'uncandidate.test', fallback],
    ['I-30 a section without hosts, a host below its wildcard', 'x.cover.test', ['*.cover.test']],
    ['I-30 a section without hosts, a host two labels below', 'y.x.cover.test', fallback],
    ['I-31 a Secret that does not exist', 'lost.test', fallback],
    ['I-31 E6 a Secret that holds no certificate', 'broken.test', fallback],
    ['I-31 a certificate that does not cover the host', 'uncovered.test', fallback],
    [
      'I-32 I-39 the older Ingress brings the certificate; E5 an Opaque Secret will do',
      'shared.test',
      ['shared.test', 'old.test'],
    ],
    ['I-33 an unknown name', 'plain.test', fallback],
  ]
  for (const [name, host, names] of certificates) {
    t.test(`${name}: ${host}`, async (t) => t.same((await visit(running, `https://${host}/`)).names, names))
  }
  t.test('I-33 a client that names no host is served with the default certificate', async (t) => {
    t.same((await visit(running, 'https://exact.test/', { servername: '' })).names, fallback)
    t.equal((await visit(running, 'https://exact.test/', { servername: '' })).answeredBy, 'web')
  })
  t.test('I-29 SNI picks the certificate alone, Host the route', async (t) => {
    const { names, answeredBy } = await visit(running, 'https://plain.test/', { servername: 'exact.test' })
    t.same(names, ['exact.test'])
    t.equal(answeredBy, 'plain')
  })
  t.test('I-31 hosts with a TLS section are redirected with 308 to the port of HTTPS, others are not', async (t) => {
    for (const host of [
      'exact.test',
      'x.wild.test',
      'bare.test',
      'lost.test',
      'broken.test',
      'candidate.test',
      'shared.test',
    ]) {
      const { status, response } = await visit(running, `http://${host}/p?q`)
      t.equal(status, 308, host)
      t.equal(response.header('location'), `https://${host}:${running.https}/p?q`)
    }
    t.equal((await visit(running, 'http://plain.test/')).answeredBy, 'plain')
    t.equal((await visit(running, 'http://ruled.test/')).answeredBy, 'web', 'the section speaks of another host')
  })
  t.test('I-31 the setting turns the redirect off', async (t) => {
    const open = await runIngresses(t, ['web', 'plain'], manifests, { 'https.redirect': 'false' })
    t.equal((await visit(open, 'http://exact.test/')).answeredBy, 'web')
  })
  t.test('I-32 a host that only a TLS section names routes nothing', async (t) => {
    t.equal((await visit(running, 'https://unruled.test/')).status, 404)
    t.equal((await visit(running, 'http://unruled.test/')).status, 404)
  })
  t.test('I-34 TLS offers h2 and http/1.1', async (t) => {
    for (const [offered, chosen] of [
      [['h2', 'http/1.1'], 'h2'],
      [['http/1.1'], 'http/1.1'],
    ] as const) {
      const client = await connectRawTls(running.https, { servername: 'exact.test', ALPNProtocols: [...offered] })
      t.equal((client.socket as { alpnProtocol?: unknown }).alpnProtocol, chosen)
      client.destroy()
    }
    const { status, headers } = await requestH2(connectH2(t, running.https, { tls: true }), {
      ':authority': 'exact.test',
      ':path': '/',
    })
    t.equal(status, 200)
    t.equal(headers['x-echo'], 'web')
  })
  t.test('I-34 cleartext is HTTP/1.1: HTTP/2 with prior knowledge is refused', async (t) => {
    const session = connectHttp2('http://127.0.0.1', {
      createConnection: () => connectTcp(running.http, '127.0.0.1'),
    })
    t.teardown(() => session.destroy())
    await t.rejects(
      new Promise((resolve, reject) => {
        session.on('error', reject)
        session.on('close', () => reject(new Error('closed')))
        session.request({ ':path': '/', ':authority': 'plain.test' }).on('error', reject).on('response', resolve)
      }),
    )
    t.equal((await visit(running, 'http://plain.test/')).answeredBy, 'plain')
  })
  t.test('I-35 a changed Secret needs no restart', async (t) => {
    const secret = (name: string) => makeSecretYaml('exact', ['exact.test', name])
    const ingress = secure('exact', ['exact.test'], '{hosts: [exact.test], secretName: exact}') + serviceYaml('web')
    await running.change(ingress + (await secret('second.test')))
    t.same((await visit(running, 'https://exact.test/')).names, ['exact.test', 'second.test'])
    await running.change(ingress + (await secret('third.test')))
    t.same((await visit(running, 'https://exact.test/')).names, ['exact.test', 'third.test'])
  })
})

t.test('several Ingresses', async (t) => {
  const at = (year: number) => `, creationTimestamp: "${year}-01-01T00:00:00Z"`
  const shared = (path: string, service: string, type: string = 'Prefix') =>
    `rules: [${rule('a.test', route(type, path, service))}]`
  const { port } = (await startEchoes(t, 'elsewhere')).elsewhere
  const ingresses = [
    ingressYaml(`name: z-old${at(2020)}`, shared('/', 'one')),
    ingressYaml(`name: a-young${at(2024)}`, shared('/', 'two')),
    ingressYaml('name: b-equal', shared('/equal', 'two')),
    ingressYaml('name: a-equal', shared('/equal', 'one')),
    ingressYaml('name: types', shared('/types', 'one')),
    ingressYaml('name: types-exact', shared('/types', 'two', 'Exact')),
    ingressYaml('name: far, namespace: far', shared('/far', 'web')),
    serviceYaml('web', `, namespace: far, annotations: {portico.dev/endpoints: "127.0.0.1:${port}"}`),
  ]
  const cases: readonly Case[] = [
    ['I-36 rules of one host are merged over namespaces', 'http://a.test/far', 'elsewhere'],
    ['I-37 the oldest wins', 'http://a.test/', 'one'],
    ['I-38 the same path with two types: Exact', 'http://a.test/types', 'two'],
    ['I-38 the same path with two types: Prefix', 'http://a.test/types/x', 'one'],
    ['I-40 with equal age the first by namespace/name wins', 'http://a.test/equal', 'one'],
  ]
  const running = await runIngresses(t, ['one', 'two'], ingresses.join(''))
  await testAnswers(t, running, cases)
  const reversed = await runIngresses(t, ['one', 'two'], [...ingresses].reverse().join(''))
  await testAnswers(
    t,
    reversed,
    cases.map(([name, url, expected]): Case => [`${name}, read the other way round`, url, expected]),
  )
  t.test('I-37 the loser is told who won', async (t) => {
    const conflicts = running.gateway.configuration.diagnostics.filter(({ code }) => code === 'PORTICO_ROUTE_CONFLICT')
    t.same(
      conflicts.map(({ message }) => message),
      [
        'host "a.test" and path "/" (Prefix) are already defined in Ingress default/z-old',
        'host "a.test" and path "/equal" (Prefix) are already defined in Ingress default/a-equal',
      ],
    )
  })
  t.test('I-41 of two Ingresses of one name the first is served, with a warning', async (t) => {
    const twice = await runIngresses(
      t,
      ['one', 'two'],
      ingressYaml('name: same', `rules: [${rule('first.test', route('Prefix', '/', 'one'))}]`) +
        ingressYaml('name: same', `rules: [${rule('second.test', route('Prefix', '/', 'two'))}]`),
    )
    t.equal((await visit(twice, 'http://first.test/')).answeredBy, 'one')
    t.equal((await visit(twice, 'http://second.test/')).status, 404)
    t.match(
      twice.gateway.configuration.diagnostics.map(({ code }) => code),
      ['PORTICO_RES_DUPLICATE'],
    )
  })
})
