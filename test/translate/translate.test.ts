import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { findIngressTable } from '../../lib/model/route-table.ts'
import { printModel } from '../../lib/report/print.ts'
import { makeCertificate } from '../helpers/certificates.ts'
import { fixedClock, printDiagnostics, translateText } from './manifests.ts'

const ROOT = join(process.cwd(), 'test/fixtures/translate')

/** True if a value is frozen with everything in it, Maps included. */
function isDeeplyFrozen(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true
  if (value instanceof Map) return [...value.values()].every(isDeeplyFrozen)
  return Object.isFrozen(value) && Object.values(value).every(isDeeplyFrozen)
}

t.test('I-40 the order of documents never decides', async (t) => {
  for (const name of readdirSync(ROOT)) {
    const text = readFileSync(join(ROOT, name, 'in.yaml'), 'utf8')
    const reversed = text.split('---\n').reverse().join('---\n')
    t.equal(printModel(translateText(reversed).model), printModel(translateText(text).model), name)
  }
})

t.test('the translated model is frozen', async (t) => {
  for (const name of readdirSync(ROOT)) {
    const { model } = translateText(readFileSync(join(ROOT, name, 'in.yaml'), 'utf8'))
    for (const part of ['tables', 'upstreams', 'certificates', 'listeners', 'counts'] as const) {
      t.ok(isDeeplyFrozen(model[part]), `${name}: ${part}`)
    }
  }
})

t.test('nothing at all serves nothing', async (t) => {
  t.equal(printModel(translateText('').model), 'default  → 404\n')
})

t.test('a printed model never shows a private key', async (t) => {
  const pem = await makeCertificate({ names: ['a.com'], notAfter: new Date(fixedClock.now() + 90 * 86_400_000) })
  const secret = JSON.stringify({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'tls' },
    type: 'kubernetes.io/tls',
    stringData: { 'tls.crt': pem.certificate, 'tls.key': pem.key },
  })
  const ingress = `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec: {tls: [{hosts: [a.com], secretName: tls}], rules: [{host: a.com}]}
`
  const text = printModel(translateText(`${ingress}---\n${secret}\n`).model)
  t.match(text, /certificate a.com → default\/tls \(a.com; key \[redacted\]\)/)
  t.notMatch(text, /BEGIN/)
})

t.test('Services are shown as kubectl shows them', async (t) => {
  const { model } = translateText(`
apiVersion: v1
kind: Service
metadata: {name: plain, namespace: b}
spec: {ports: [{name: http, port: 80, targetPort: web}, {name: dns, port: 53, protocol: UDP}]}
---
apiVersion: v1
kind: Service
metadata: {name: headless}
spec: {clusterIP: None, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: waiting}
spec: {type: LoadBalancer, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: asked}
spec: {type: LoadBalancer, loadBalancerIP: 192.0.2.1, externalIPs: [192.0.2.9], ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: given}
spec: {type: LoadBalancer, loadBalancerClass: acme.example/lb, clusterIP: 10.96.0.7, ports: [{port: 80, nodePort: 30080}]}
status: {loadBalancer: {ingress: [{ip: 192.0.2.2}, {hostname: lb.example}]}}
---
apiVersion: v1
kind: Service
metadata: {name: outside}
spec: {type: ExternalName, externalName: api.example.com}
`)
  const rows = model.services.map(({ namespace, name, type, clusterIP, externalIP, upstreams }) =>
    [namespace, name, type, clusterIP, externalIP, upstreams.join(' ')].join(' | '),
  )
  t.same(rows, [
    'b | plain | ClusterIP |  |  | b/plain:80 b/plain:53/UDP',
    'default | asked | LoadBalancer |  | localhost,192.0.2.9 | default/asked:80',
    'default | given | LoadBalancer | 10.96.0.7 | 192.0.2.2,lb.example | default/given:80',
    'default | headless | ClusterIP | None |  | default/headless:80',
    'default | outside | ExternalName |  | api.example.com | ',
    'default | waiting | LoadBalancer |  | <pending> | default/waiting:80',
  ])
  t.match(model.services[0]?.ports, [
    { port: 80, targetPort: 'web', protocol: 'TCP' },
    { name: 'dns', port: 53, protocol: 'UDP' },
  ])
})

t.test('S33 addresses found for an external name are guarded unless the settings allow them', async (t) => {
  const guarded = (settings: string, annotation: string): boolean | undefined => {
    const text = `
apiVersion: v1
kind: Service
metadata: {name: out, annotations: {${annotation}}}
spec: {type: ExternalName, externalName: api.example.com, ports: [{port: 443}]}
---
${settings}`
    return translateText(text).model.upstreams.get('default/out:443')?.guardAddresses
  }
  const gateway = 'apiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\n'
  t.equal(guarded('', ''), true)
  t.equal(guarded(`${gateway}externalNames: {allowPrivate: true}`, ''), false)
  t.equal(guarded('', 'portico.dev/endpoints: "127.0.0.1:1"'), false)
  t.equal(guarded(`${gateway}endpoints: {default/out: ["127.0.0.1:1"]}`, ''), false)
})

t.test('S33 spellings of a private address that only resolvers know are private', async (t) => {
  const text = ['0x7f.1', '2130706433', '127.1', 'localhost.', 'db.localhost']
    .map(
      (name, index) => `
apiVersion: v1
kind: Service
metadata: {name: s${index}}
spec: {type: ExternalName, externalName: "${name}"}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: i${index}}
spec: {rules: [{host: h${index}.com, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: s${index}, port: {number: 80}}}}]}}]}
`,
    )
    .join('---')
  const { model, diagnostics } = translateText(text)
  for (const { host, routes } of findIngressTable(model).hosts)
    t.match(routes[0]?.action, { type: 'unavailable', code: 'PORTICO_UP_NO_SERVICE' }, host)
  t.equal(diagnostics.length, 5, printDiagnostics(diagnostics))
})

t.test('the model counts its parts', async (t) => {
  const { model } = translateText(readFileSync(join(ROOT, 'default-backends', 'in.yaml'), 'utf8'))
  t.same(model.counts, { resources: 6, ingresses: 3, routes: 6 })
})

t.test('S33 an upstream that no route may lead to says why', async (t) => {
  const denied = (settings: string, annotation: string): string | undefined => {
    const text = `
apiVersion: v1
kind: Service
metadata: {name: out, annotations: {${annotation}}}
spec: {type: ExternalName, externalName: localhost, ports: [{port: 80}]}
---
${settings}`
    return translateText(text).model.upstreams.get('default/out:80')?.denied
  }
  const gateway = 'apiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\n'
  t.equal(denied('', ''), 'externalName "localhost" is a loopback address: not allowed')
  t.equal(denied(`${gateway}externalNames: {allowPrivate: true}`, ''), undefined)
  t.equal(denied('', 'portico.dev/endpoints: "127.0.0.1:1"'), undefined)
})

t.test('nothing of a refused Ingress is in the model', async (t) => {
  const text = `
apiVersion: v1
kind: Service
metadata: {name: out}
spec: {type: ExternalName, externalName: api.example.com}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: refused}
spec:
  tls: [{hosts: [a.test], secretName: lost}]
  rules: [{host: a.test, http: {paths: [{path: x, pathType: Prefix, backend: {service: {name: out, port: {number: 8081}}}}]}}]
`
  const { model, diagnostics } = translateText(text)
  t.same([findIngressTable(model).hosts, model.certificates, [...model.upstreams.keys()]], [[], [], []])
  t.same(
    diagnostics.map(({ code }) => code),
    ['PORTICO_REF_SECRET_NOT_FOUND', 'PORTICO_RES_FIELD_VALUE'],
  )
})

t.test(
  'policy of a Service: `services` in the settings goes before annotations, and these before `upstream`',
  async (t) => {
    const policies = (settings: string) => {
      const { model, diagnostics } = translateText(`
apiVersion: v1
kind: Service
metadata: {name: web, annotations: {portico.dev/tries: "3", portico.dev/max-queue: "7"}}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: api}
spec: {ports: [{port: 80}]}
---
apiVersion: portico.dev/v1alpha1
kind: GatewayConfiguration
${settings}
`)
      t.same(diagnostics, [])
      return [...model.upstreams.values()].map(({ policy }) => policy && { ...policy })
    }
    t.same(policies(''), [undefined, { tries: 3, maxQueue: 7 }])
    t.same(policies('services: {default/web: {tries: 4}, default/api: {tries: 1}}'), [
      { tries: 1 },
      { tries: 4, maxQueue: 7 },
    ])
  },
)

t.test('an Ingress can set, for its routes, what concerns a single request', async (t) => {
  const { model, diagnostics } = translateText(`
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
    portico.dev/tries: "4"
    portico.dev/retry-conditions: connect-failure, 503
    portico.dev/timeouts-response-headers: 2s
    portico.dev/retry-try-timeout: soon
    portico.dev/max-requests: "3"
spec:
  rules:
    - host: a.test
      http:
        paths:
          - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
          - {path: /b, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: plain}
spec:
  defaultBackend: {service: {name: web, port: {number: 80}}}
`)
  const [longer, shorter] = findIngressTable(model).hosts[0]!.routes
  t.same(
    { ...longer?.policy },
    { tries: 4, 'retry.conditions': ['connect-failure', '503'], 'timeouts.responseHeaders': 2_000 },
  )
  t.equal(longer?.policy, shorter?.policy, 'one object for all of them')
  t.equal(findIngressTable(model).defaultRoute?.policy, undefined)
  t.same(
    diagnostics
      .filter(({ code }) => code.startsWith('PORTICO_ANN'))
      .map(({ code, message, help, position }) => `${position?.line} ${code} ${message} | ${help}`),
    [
      '15 PORTICO_ANN_VALUE portico.dev/retry-try-timeout: "soon" is not a duration | write it with its unit: 500ms, 10s, 5m or 1h; until then it counts as not written',
      '16 PORTICO_ANN_UNKNOWN annotation "portico.dev/max-requests" means nothing on Ingress | it belongs on Service',
    ],
  )
})

t.test('an annotation of a Service that cannot be used is reported and left out', async (t) => {
  const { model, diagnostics } = translateText(`
apiVersion: v1
kind: Service
metadata:
  name: web
  annotations:
    portico.dev/tries: many
    portico.dev/max-queues: "7"
    portico.dev/zzz: "/x"
    portico.dev/circuit-max-open-time: 2m
    portico.dev/retry-timeout: 5s
spec: {ports: [{port: 80}]}
`)
  t.equal(model.upstreams.get('default/web:80')?.policy, undefined)
  t.match(
    diagnostics.map(({ code, message, help, position }) => `${position?.line} ${code} ${message} | ${help}`),
    [
      '7 PORTICO_ANN_VALUE portico.dev/tries: "many" is not a whole number | write digits alone',
      '8 PORTICO_ANN_UNKNOWN unknown annotation "portico.dev/max-queues" | did you mean "portico.dev/max-queue"?',
      '9 PORTICO_ANN_UNKNOWN unknown annotation "portico.dev/zzz" | a Service takes portico.dev/endpoints, the settings under upstream, as portico.dev/balancer, and filters, as portico.dev/maintenance (docs/filters.md)',
      '10 PORTICO_ANN_UNKNOWN portico.dev/circuit-max-open-time is no longer a setting: it is always 1m | take it out',
      '11 PORTICO_ANN_UNKNOWN portico.dev/retry-timeout has another name now | write portico.dev/timeouts-request',
    ],
  )
})

t.test('a backend that nobody asks, since a filter answers, is not said to answer 503', async (t) => {
  const service = (name: string) => `---
apiVersion: v1
kind: Service
metadata: {name: ${name}}
spec: {ports: [{port: 80}]}
`
  const backend = 'backend: {service: {name: gone, port: {number: 80}}}'
  const rule = `rules: [{host: a.test, http: {paths: [{path: /, pathType: Prefix, ${backend}}]}}]`
  const rest = 'defaultBackend: {service: {name: gone, port: {number: 80}}}'
  for (const [annotations, spec, more, help] of [
    ['{portico.dev/respond-status: "404"}', rest, '', 'requests that respond does not answer get 503 until it exists'],
    ['{portico.dev/respond-status: "404"}', rule, '', 'requests that respond does not answer get 503 until it exists'],
    [
      '{portico.dev/redirect-host: b.test}',
      rule,
      service('gome'),
      'did you mean "gome"? requests that redirect does not answer get 503 until the service exists',
    ],
    [
      '{portico.dev/redirect-host: b.test}',
      rule,
      service('gone'),
      'requests that redirect does not answer get 503; say',
    ],
    ['{portico.dev/compress: gzip}', rule, '', 'the route answers 503 until it exists'],
    ['{}', rule, service('gone'), 'the route answers 503; say'],
  ] as const) {
    const ingress = `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: a, annotations: ${annotations}}
spec: {${spec}}
`
    const found = translateText(ingress + more).diagnostics.filter(({ code }) => code.startsWith('PORTICO_REF_'))
    t.equal(found.length, 1)
    t.equal(found[0]?.help?.slice(0, help.length), help)
  }
})

t.test('a setting that does nothing beside another of its Service is told of', async (t) => {
  const said = (annotations: Record<string, string>, policy = '', spec = '', settings = '{}') => {
    const named = Object.fromEntries(Object.entries(annotations).map(([name, value]) => [`portico.dev/${name}`, value]))
    return translateText(`apiVersion: v1
kind: Service
metadata: {name: web, annotations: ${JSON.stringify(named)}}
spec: {ports: [{port: 80, name: one}, {port: 81, name: other}]${spec}}
---
apiVersion: portico.dev/v1alpha1
kind: GatewayConfiguration
upstream: ${settings}
${policy && `---\napiVersion: portico.dev/v1alpha1\nkind: RoutePolicy\nmetadata: {name: p}\nspec: {targetRefs: [{kind: Service, name: web}], ${policy}}\n`}`).diagnostics.filter(
      ({ message }) => message.includes('it does nothing'),
    )
  }
  const found = said({ 'hash-by': 'uri' })
  t.equal(found.length, 1)
  t.match(found[0], {
    code: 'PORTICO_ANN_VALUE',
    severity: 'warning',
    message: 'portico.dev/hash-by: it does nothing for Service default/web, whose balancer is round-robin',
    help: 'add portico.dev/balancer: hash, or leave it out',
    resource: 'Service default/web',
  })
  t.match(said({ 'affinity-type': 'client-ip' }, 'hashBy: uri, affinityCookieName: a'), [
    {
      code: 'PORTICO_RES_FIELD_VALUE',
      message: 'spec.hashBy: it does nothing for Service default/web, whose balancer is round-robin',
      help: 'add spec.balancer: hash, or leave it out',
      resource: 'RoutePolicy default/p',
    },
    {
      message: 'spec.affinityCookieName: it does nothing for Service default/web, whose affinity.type is client-ip',
      help: 'add spec.affinityType: cookie, or leave it out',
    },
  ])
  t.same(said({ 'hash-by': 'uri', balancer: 'hash' }), [])
  t.same(said({ 'hash-by': 'uri' }, 'balancer: hash'), [], 'a policy says the other')
  t.same(said({ balancer: 'hash' }, 'hashBy: uri'), [])
  t.same(said({ 'hash-by': 'uri' }, '', '', '{balancer: hash}'), [], 'the settings say it for all')
  t.same(said({ 'affinity-timeout': '1m' }, '', ', sessionAffinity: ClientIP'), [], 'the Service says it in its spec')
  t.equal(said({ 'affinity-timeout': '1m' }).length, 1)
  t.equal(said({ 'hash-by': 'uri', balancer: 'random' }, '', '', '{balancer: hash}').length, 1)
})

t.test('a Service without endpoints is reported once, with every Ingress whose routes lead to it', async (t) => {
  const ingress = (name: string, hosts: readonly string[]) => `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: ${name}}
spec:
  rules: [${hosts.map((host) => `{host: ${host}, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}`)}]
---`
  const service = '\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n'
  const report = (...ingresses: string[]) =>
    translateText(ingresses.join('') + service).diagnostics.map(({ code, resource, help }) => [
      code,
      resource,
      help?.slice(0, help.indexOf(';')),
    ])
  const code = 'PORTICO_REF_NO_ENDPOINTS'
  t.same(report(ingress('a', ['a.test', 'b.test'])), [[code, 'Ingress default/a', 'the route answers 503']])
  const others = Array.from({ length: 7 }, (_, at) => ingress(`b${at}`, [`b${at}.test`]))
  t.same(report(ingress('a', ['a.test', 'c.test']), others[0]!, others[1]!), [
    [code, 'Ingress default/a', 'the route answers 503, and so do routes of Ingress default/b0, default/b1'],
  ])
  const [[, , help] = []] = report(ingress('a', ['a.test']), ...others)
  t.match(help, /default\/b3, default\/b4 and 2 more$/)
})
