import fc from 'fast-check'
import t from 'tap'
import { DiagnosticList } from '../../lib/base/diagnostics.ts'
import { type Decoded, decodeDocuments } from '../../lib/kubernetes/decode.ts'
import { type ResourceSet, ResourceStore } from '../../lib/kubernetes/store.ts'
import { isServiceListener } from '../../lib/model/listener.ts'
import type { Model } from '../../lib/model/model.ts'
import { findRouteId } from '../../lib/model/route.ts'
import { findIngressTable } from '../../lib/model/route-table.ts'
import { locateField, locateHost, locateRoute } from '../../lib/report/place.ts'
import { printModel } from '../../lib/report/print.ts'
import type { Settings } from '../../lib/settings/table.ts'
import { sourceFromText } from '../../lib/source/read-source.ts'
import { Translator, translate } from '../../lib/translate/translate.ts'
import { makeCertificate } from '../helpers/certificates.ts'
import { parseDocuments } from '../helpers/documents.ts'
import { makeSettings } from '../helpers/settings.ts'
import { fixedClock, printDiagnostics } from './manifests.ts'

const FILES = 4
const SLOTS = 3

const { certificate, key } = await makeCertificate({ names: ['a.test', '*.b.test'] })

/** Small numbers, so that objects meet: the same names, hosts, paths, ports. */
const pick = <T>(items: readonly T[], seed: number, turn: number): T =>
  items[Math.floor(seed / 7 ** turn) % items.length] as T

const PRINTERS: readonly ((number: number, seed: number) => string)[] = [
  printIngress,
  printIngress,
  printIngress,
  printService,
  printService,
  printSlice,
  printPod,
  printSecret,
  printClass,
  printLooseEndpoints,
  printConfigMap,
  printPolicy,
  printPolicy,
]

function printMeta(kind: string, name: string, seed: number, more: readonly string[] = []): string {
  const [group, version] = kind === 'Ingress' || kind === 'IngressClass' ? ['networking.k8s.io/', 'v1'] : ['', 'v1']
  const annotations = more.filter((line) => line !== '')
  return `apiVersion: ${kind === 'EndpointSlice' ? 'discovery.k8s.io/v1' : group + version}
kind: ${kind}
metadata:
  name: ${name}
  namespace: ${pick(['x', 'x', 'y'], seed, 0)}
${pick(['', '', '  creationTimestamp: "2025-01-01T00:00:00Z"\n', '  creationTimestamp: "2024-01-01T00:00:00Z"\n'], seed, 1)}${annotations.length > 0 ? `  annotations: {${annotations.join(', ')}}\n` : ''}`
}

function printIngress(number: number, seed: number): string {
  const backend = (turn: number): string =>
    pick(
      [
        `{service: {name: s${(seed + turn) % 4}, port: {number: 80}}}`,
        `{service: {name: s${(seed + turn) % 3}, port: {number: 80}}}`,
        `{service: {name: s0, port: {name: http}}}`,
        `{service: {name: s1, port: {number: 8080}}}`,
        '{resource: {kind: Bucket, name: files, apiGroup: storage.test}}',
      ],
      seed,
      turn,
    )
  const host = (turn: number): string => pick(['a.test', 'w.b.test', '"*.b.test"', '""', 'c.test'], seed, turn)
  const path = (turn: number): string =>
    `{path: ${pick(['/', '/api', '/api/', '/%zz', '/[a-z]+'], seed, turn)}, pathType: ${pick(['Prefix', 'Exact', 'ImplementationSpecific', 'Prefix', 'Wrong'], seed, turn + 1)}, backend: ${backend(turn)}}`
  return `${printMeta('Ingress', `i${number}`, seed, [
    pick(['', '', 'nginx.ingress.kubernetes.io/ssl-redirect: "true"', 'portico.dev/wrong: "1"'], seed, 2),
    pick(
      [
        '',
        '',
        '',
        '',
        'nginx.ingress.kubernetes.io/auth-url: "http://auth.test"',
        'nginx.ingress.kubernetes.io/auth-tls-secret: x/ca',
        'alb.ingress.kubernetes.io/canary: "true"',
      ],
      seed,
      6,
    ),
    pick(
      [
        '',
        '',
        '',
        'nginx.ingress.kubernetes.io/canary: "true", nginx.ingress.kubernetes.io/canary-weight: "10"',
        'nginx.ingress.kubernetes.io/server-alias: "alias.test, a.test"',
        'nginx.ingress.kubernetes.io/use-regex: "true"',
        'nginx.ingress.kubernetes.io/rewrite-target: /$1, nginx.ingress.kubernetes.io/from-to-www-redirect: "true"',
        'nginx.ingress.kubernetes.io/force-ssl-redirect: "false", portico.dev/https-redirect: "false"',
      ],
      seed,
      9,
    ),
    pick(['', '', 'portico.dev/respond-body-from: c0/a', 'portico.dev/respond-body-from: c1/a'], seed, 7),
    pick(
      [
        '',
        '',
        'nginx.ingress.kubernetes.io/load-balance: ewma',
        'nginx.ingress.kubernetes.io/affinity: cookie',
        'nginx.ingress.kubernetes.io/upstream-hash-by: $uri, nginx.ingress.kubernetes.io/load-balance: ewma',
        'nginx.ingress.kubernetes.io/backend-protocol: HTTPS, nginx.ingress.kubernetes.io/proxy-ssl-secret: x/t0',
        'nginx.ingress.kubernetes.io/backend-protocol: HTTPS, nginx.ingress.kubernetes.io/proxy-ssl-secret: t1',
      ],
      seed,
      8,
    ),
  ])}spec:
${pick(['', '', '  ingressClassName: portico\n', '  ingressClassName: other\n'], seed, 3)}${pick(['', `  defaultBackend: ${backend(2)}\n`], seed, 4)}${pick(
  [
    '',
    `  tls: [{hosts: [${host(3)}], secretName: t${seed % 3}}]\n`,
    `  tls: [{secretName: t${seed % 3}}]\n`,
    '  tls: [{hosts: [a.test]}]\n',
  ],
  seed,
  5,
)}  rules:
    - host: ${host(1)}
      http: {paths: [${path(1)}, ${path(2)}]}
    - host: ${host(2)}
      http: {paths: [${path(3)}]}
`
}

function printService(number: number, seed: number): string {
  const spec = pick(
    [
      `selector: {app: p${seed % 2}${pick(['', ', tier: web'], seed, 5)}}, ports: [{name: http, port: 80, appProtocol: ${pick(['http', 'gopher', 'https'], seed, 4)}}]`,
      'ports: [{name: http, port: 80}, {name: dns, port: 53, protocol: UDP}]',
      `type: NodePort, ports: [{port: 80, nodePort: 3000${seed % 2}}]`,
      'type: ExternalName, externalName: localhost',
      'type: ExternalName, externalName: example.com',
      'internalTrafficPolicy: Local, ports: [{name: web, port: 8080}]',
      `type: NodePort, externalTrafficPolicy: Local, ports: [{name: http, port: 80, appProtocol: http}, {name: u, port: 80, protocol: UDP}]`,
      `type: LoadBalancer, externalIPs: [192.0.2.${seed % 2}1], ports: [{port: ${pick(['80', '8443'], seed, 5)}}]`,
      `clusterIP: 127.96.0.${(seed % 2) + 1}, ports: [{port: ${pick(['80', '30001'], seed, 5)}}]`,
    ],
    seed,
    3,
  )
  const endpoints = pick(
    ['', '', 'portico.dev/endpoints: "127.0.0.1:3000"', 'portico.dev/endpoints: "127.0.0.1:3001"'],
    seed,
    2,
  )
  const filters = pick(
    [
      '',
      '',
      'portico.dev/respond-body-from: c0/a',
      'portico.dev/rate-limit: 1/s',
      'portico.dev/rate-limit: none',
      'portico.dev/respond-status: "204", portico.dev/rate-limit: 2/s',
    ],
    seed,
    7,
  )
  const tls = pick(
    ['', '', '', 'portico.dev/protocol: https, portico.dev/tls-secret: t0', 'portico.dev/protocol: http'],
    seed,
    8,
  )
  return `${printMeta('Service', `s${number}`, seed, [endpoints, filters, tls, pick(['', '', '', 'konghq.com/plugins: key-auth', 'konghq.com/path: /x'], seed, 6)])}spec: {${spec}}\n`
}

function printSlice(number: number, seed: number): string {
  return `${printMeta('EndpointSlice', `e${number}`, seed).replace('metadata:\n', `metadata:\n  labels: {kubernetes.io/service-name: s${seed % 4}}\n`)}addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.${pick(['0', '2'], seed, 4)}.0.${(seed % 5) + 1}], targetRef: {kind: Pod, name: p${seed % 3}}, conditions: {ready: ${pick(['true', 'false'], seed, 3)}}}]
`
}

function printLooseEndpoints(number: number, seed: number): string {
  return `${printMeta('Endpoints', `s${number}`, seed)}subsets: [{addresses: [{ip: 10.1.0.${(seed % 5) + 1}}], ports: [{name: http, port: 8080}]}]\n`
}

function printPod(number: number, seed: number): string {
  return `${printMeta('Pod', `p${number}`, seed).replace('metadata:\n', `metadata:\n  labels: {app: p${seed % 2}${pick(['', ', tier: web'], seed, 2)}}\n`)}spec: {containers: [{name: main, image: x, ports: [{containerPort: 80}]${pick(['', ', readinessProbe: {tcpSocket: {port: 80}}'], seed, 3)}}]}
status: {podIP: 10.2.0.${(seed % 5) + 1}}
`
}

function printSecret(number: number, seed: number): string {
  const pem = pick([certificate, 'no certificate'], seed, 2)
  const indent = (text: string): string =>
    text
      .trim()
      .split('\n')
      .map((line) => `    ${line}`)
      .join('\n')
  return `${printMeta('Secret', `t${number % 3}`, seed)}type: kubernetes.io/tls
stringData:
  tls.crt: |
${indent(pem)}
  tls.key: |
${indent(key)}
`
}

function printConfigMap(number: number, seed: number): string {
  const content = pick(['data: {a: one}', 'data: {a: two}', 'data: {b: one}', 'binaryData: {a: "?"}'], seed, 2)
  return `${printMeta('ConfigMap', `c${number % 2}`, seed)}${content}\n`
}

function printPolicy(number: number, seed: number): string {
  const target = (turn: number): string =>
    pick(
      [
        `{kind: Ingress, name: i${(seed + turn) % 4}}`,
        `{kind: Service, name: s${(seed + turn) % 4}}`,
        `{kind: Ingress, name: i${(seed + turn) % 4}, sectionName: a.test}`,
        `{kind: Ingress, name: i${(seed + turn) % 4}, sectionName: ${pick(['a.test/api', '"*"', 'w.b.test/', 'd.test'], seed, turn + 1)}}`,
        '{kind: Gateway, name: x}',
      ],
      seed,
      turn,
    )
  const options = pick(
    [
      'rateLimit: 1/s',
      'rateLimit: 2/s, respondStatus: 204',
      'rateLimit: none',
      'rateLimti: 1/s',
      'respondBodyFrom: c0/a',
      'compress: [br, gzip]',
      'foo: 1',
      'matchMethods: GET, tries: 2',
      'matchMethods: [POST], priority: 3, balancer: random',
      'matchClientAddresses: x',
      'split: {s0: 1, s1: 2}, timeoutsRequest: 5s',
      'protocol: https, tlsSecret: t1',
    ],
    seed,
    4,
  )
  const meta = printMeta('RoutePolicy', `p${number}`, seed).replace(
    'apiVersion: v1',
    'apiVersion: portico.dev/v1alpha1',
  )
  return `${meta}spec: {targetRefs: [${target(2)}, ${target(3)}], ${options}}\n`
}

function printClass(number: number, seed: number): string {
  const isDefault = pick(['', 'ingressclass.kubernetes.io/is-default-class: "true"'], seed, 2)
  return `${printMeta('IngressClass', pick(['portico', 'other'], number, 0), seed, [isDefault])}spec: {controller: ${pick(['portico.dev/ingress-controller', 'nginx.test/x'], seed, 3)}}\n`
}

const SETTINGS: readonly Settings[] = [
  makeSettings(),
  makeSettings(),
  makeSettings({ 'https.redirect': false }),
  makeSettings({ ingressClasses: ['portico'] }),
  makeSettings({ unsupportedGuards: 'serve' }),
  makeSettings({ routes: { compress: true, rateLimit: '9/s' } }),
  makeSettings({ routes: { rateLimit: '9' } }),
  makeSettings({ endpoints: { 'x/s0': ['127.0.0.1:9999'], 'x/nobody': ['127.0.0.1:1'] } }),
  makeSettings({ nodeName: 'here', 'externalNames.allowPrivate': true }),
  makeSettings({ 'clusterNetwork.enabled': true, 'externalIPs.enabled': true, nodeName: 'here' }),
  makeSettings({ 'loadBalancers.pool': ['127.0.1.1-127.0.1.2'], 'nodePorts.range': '30000-30003' }),
  makeSettings({ 'paths.mergeSlashes': 'never' }),
  makeSettings({ 'upstream.protocol': 'https', 'upstream.tlsSecret': 't0' }),
  makeSettings({ 'paths.encodedSlash': 'reject', 'http.paths.encodedSlash': 'decode', 'https.enabled': false }),
]

/** What a configuration comes to, in words, diagnostics included. */
function describe(model: Model, { locate }: ResourceSet, diagnostics: DiagnosticList): string {
  const upstreams = [...model.upstreams].map(([name, { endpoints, protocol, tls, denied, policy }]) =>
    JSON.stringify([name, protocol, tls, denied, policy, endpoints]),
  )
  const listeners = model.listeners.map((listener) => JSON.stringify(listener))
  const services = model.services.map((service) => JSON.stringify(service))
  const routes = findIngressTable(model).hosts.flatMap((host) => [
    JSON.stringify(locateHost(host, locate)),
    ...host.routes.map((route) => JSON.stringify([findRouteId(route), locateRoute(route, locate), route])),
  ])
  const places = [...model.listeners.filter(isServiceListener), ...model.certificates].map((each) =>
    JSON.stringify(locateField(each, locate)),
  )
  const bindings = model.certificates.map((binding) => JSON.stringify([binding.host, binding.reason, binding.owner]))
  return [
    printModel(model),
    ...upstreams,
    ...listeners,
    ...services,
    ...routes,
    ...bindings,
    ...places,
    JSON.stringify(model.counts),
    printDiagnostics(diagnostics.sorted()),
  ].join('\n')
}

type Edit = Readonly<{ file: number; slot: number; what: number; number: number; seed: number }>

const edits = fc.array(
  fc.record<Edit>({
    file: fc.nat(FILES - 1),
    slot: fc.nat(SLOTS - 1),
    // Beyond the printers: the slot is emptied, or the settings change.
    what: fc.nat(PRINTERS.length + 1),
    number: fc.nat(3),
    seed: fc.nat(1_000_000_000),
  }),
  { minLength: 5, maxLength: 30, size: 'max' },
)

class World {
  settings = SETTINGS[0] as Settings
  readonly #slots: string[][] = Array.from({ length: FILES }, () => Array.from({ length: SLOTS }, () => ''))
  readonly #decoded = new Map<number, Decoded & { diagnostics: DiagnosticList }>()

  apply({ file, slot, what, number, seed }: Edit): void {
    const print = PRINTERS[what]
    if (what === PRINTERS.length) this.settings = SETTINGS[seed % SETTINGS.length] as Settings
    else (this.#slots[file] as string[])[slot] = print === undefined ? '' : print(number, seed)
    this.#decoded.delete(file)
  }

  /** All files; those not edited are decoded once. */
  read(): readonly (Decoded & { diagnostics: DiagnosticList })[] {
    return this.#slots.map((slots, file) => {
      const known = this.#decoded.get(file)
      if (known !== undefined) return known
      const diagnostics = new DiagnosticList()
      const source = sourceFromText(`${file}.yaml`, slots.filter((slot) => slot !== '').join('---\n'))
      const decoded = { ...decodeDocuments(parseDocuments(source, diagnostics).documents, diagnostics), diagnostics }
      this.#decoded.set(file, decoded)
      return decoded
    })
  }
}

t.test('a model made from the one before is the model made from nothing', { timeout: 120_000 }, async (t) => {
  let kept = 0
  fc.assert(
    fc.property(edits, (steps) => {
      const world = new World()
      const store = new ResourceStore()
      const translator = new Translator()
      let before: Model | undefined
      for (const [index, step] of steps.entries()) {
        world.apply(step)
        const files = world.read()
        const resources = files.flatMap((file) => file.resources)
        const refused = files.flatMap((file) => file.refused)
        const { settings } = world
        const { allocations } = translator
        const grown = new DiagnosticList()
        const set: ResourceSet = store.update(resources, index + 1, grown, refused)
        const model = translator.translate(set, { settings, clock: fixedClock }, grown)
        const fresh = new DiagnosticList()
        const freshSet = new ResourceStore().update(resources, 1, fresh, refused)
        const scratch = translate(freshSet, { settings, clock: fixedClock }, fresh, allocations)
        const expected = describe(scratch, freshSet, fresh)
        const actual = describe(model, set, grown)
        if (expected !== actual)
          throw new Error(`after step ${index}:\n--- expected\n${expected}\n--- actual\n${actual}`)
        if (before !== undefined) kept += countKept(before, model)
        before = model
      }
    }),
    { numRuns: 150, seed: 20_260_101 },
  )
  t.ok(kept > 1_000, `unchanged parts keep their identity (${kept})`)
})

function countKept(before: Model, after: Model): number {
  const old = new Set<unknown>([
    ...before.tables,
    ...findIngressTable(before).hosts,
    ...before.upstreams.values(),
    ...before.certificates,
    ...before.services,
    ...before.listeners,
  ])
  const now = [
    ...after.tables,
    ...findIngressTable(after).hosts,
    ...after.upstreams.values(),
    ...after.certificates,
    ...after.services,
    ...after.listeners,
  ]
  return now.filter((part) => old.has(part)).length
}
