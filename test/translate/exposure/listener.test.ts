import t from 'tap'
import { DiagnosticList } from '../../../lib/base/diagnostics.ts'
import { decodeDocuments } from '../../../lib/kubernetes/decode.ts'
import { type ResourceSet, ResourceStore } from '../../../lib/kubernetes/store.ts'
import { isServiceListener, type ServiceListener } from '../../../lib/model/listener.ts'
import type { Settings } from '../../../lib/settings/table.ts'
import { sourceFromText } from '../../../lib/source/read-source.ts'
import { Translator } from '../../../lib/translate/translate.ts'
import { parseDocuments } from '../../helpers/documents.ts'
import { makeSettings } from '../../helpers/settings.ts'
import { fixedClock, translateText } from '../manifests.ts'
import { reach, service } from '../service-text.ts'

const GATEWAY = 'apiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\n'

function listen(text: string, settings = ''): readonly ServiceListener[] {
  return translateText(`${text}---\n${GATEWAY}${settings}\n`).model.listeners.filter(isServiceListener)
}

function manner({ layer, tls, proxyProtocol }: ServiceListener): string {
  return `${layer}${tls ? ' tls' : ''}${proxyProtocol ? ' proxy' : ''}`
}

t.test('appProtocol and the annotations say how a port is listened on', async (t) => {
  const read = (port: string, annotations = '') =>
    listen(
      service('web', `type: NodePort, ports: [{port: 80, nodePort: 30080${port}}]`, `, annotations: {${annotations}}`),
    ).map(manner)
  const table: readonly [port: string, annotations: string, expected: string][] = [
    ['', '', 'L4'],
    [', appProtocol: http', '', 'L7'],
    [', appProtocol: ws', '', 'L7'],
    [', appProtocol: kubernetes.io/ws', '', 'L7'],
    [', appProtocol: HTTP', '', 'L7'],
    [', appProtocol: https', '', 'L7 tls'],
    [', appProtocol: wss', '', 'L7 tls'],
    [', appProtocol: kubernetes.io/wss', '', 'L7 tls'],
    [', appProtocol: kubernetes.io/h2c', '', 'L4'],
    [', appProtocol: grpc', '', 'L4'],
    [', appProtocol: mysql', '', 'L4'],
    [', appProtocol: http, protocol: UDP', '', 'L4'],
    [', appProtocol: http', 'portico.dev/layer: L4', 'L4'],
    ['', 'portico.dev/layer: L7', 'L7'],
    [', appProtocol: https', 'portico.dev/layer: L7', 'L7 tls'],
    [', protocol: UDP', 'portico.dev/layer: L7', 'L4'],
    ['', 'portico.dev/accept-proxy-protocol: "true"', 'L4 proxy'],
    ['', 'portico.dev/accept-proxy-protocol: "false"', 'L4'],
    [', protocol: UDP', 'portico.dev/accept-proxy-protocol: "true"', 'L4'],
  ]
  for (const [port, annotations, expected] of table) t.same(read(port, annotations), [expected], port + annotations)
})

t.test('values of the annotations that mean nothing are told, and count as not written', async (t) => {
  const annotations = 'portico.dev/layer: L5, portico.dev/accept-proxy-protocol: "yes"'
  const { problems, helps, listeners } = reach({
    services: [
      service('web', 'type: NodePort, ports: [{port: 80, nodePort: 30080}]', `, annotations: {${annotations}}`),
    ],
  })
  t.same(problems, [
    'PORTICO_ANN_VALUE portico.dev/layer: "L5" is neither L4 nor L7',
    'PORTICO_ANN_VALUE portico.dev/accept-proxy-protocol: "yes" is neither true nor false',
  ])
  t.equal(helps[0], 'write "L4" or "L7"; this one counts as absent')
  t.equal(listeners.length, 1)
})

t.test('a required PROXY header without trusted proxies is reported: every connection would be cut', async (t) => {
  const text = ['a', 'b']
    .map((name) =>
      service(
        name,
        'type: NodePort, ports: [{port: 80}]',
        ', annotations: {portico.dev/accept-proxy-protocol: "true"}',
      ),
    )
    .join('---\n')
  const told = (settings: string) =>
    translateText(`${text}---\n${GATEWAY}${settings}\n`).diagnostics.map(
      ({ severity, message, resource, help }) => `${severity} ${resource} ${message} | ${help}`,
    )
  t.same(told(''), [
    'warning Service default/a portico.dev/accept-proxy-protocol: trustedProxies is empty: no PROXY header is believed, so every connection is cut | set trustedProxies to the addresses of the proxies in front of this port',
  ])
  t.same(told('trustedProxies: [10.0.0.0/8]'), [])
})

t.test('all of a listener', async (t) => {
  const text = service(
    'web',
    'type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.0/8], externalIPs: [192.0.2.1], ports: [{name: dns, port: 53, protocol: UDP, nodePort: 30053}]',
  )
  const listeners = listen(text, 'externalIPs: {enabled: true}\nloadBalancers: {address: 127.0.0.1}')
  const shared = {
    transport: 'UDP',
    layer: 'L4',
    tls: false,
    upstream: 'default/web:53/UDP',
    proxyProtocol: false,
    owner: { kind: 'Service', namespace: 'default', name: 'web' },
  }
  const id = 'default/web:53/UDP'
  t.match(listeners, [
    {
      ...shared,
      id: `ExternalIP ${id} 192.0.2.1:53`,
      kind: 'ExternalIP',
      address: '192.0.2.1',
      port: 53,
      sourceRanges: [],
    },
    {
      ...shared,
      id: `LoadBalancer ${id} 127.0.0.1:53`,
      kind: 'LoadBalancer',
      address: '127.0.0.1',
      port: 53,
      sourceRanges: ['10.0.0.0/8'],
    },
    { ...shared, id: `NodePort ${id} [::]:30053`, kind: 'NodePort', address: '::', port: 30_053, sourceRanges: [] },
  ])
  t.match(listeners[0], { owner: { kind: 'Service', name: 'web' }, field: ['spec', 'ports', 0, 'port'] })
})

t.test('P38 a change of the path policy makes other listeners at L7 alone', async (t) => {
  const http = service('web', 'type: NodePort, ports: [{name: http, port: 80, appProtocol: http}]')
  const text = `${http}---\n${service('db', 'type: NodePort, ports: [{port: 5432}]')}`
  const list = new DiagnosticList()
  const { resources } = decodeDocuments(parseDocuments(sourceFromText('in.yaml', text), list).documents, list)
  const set = new ResourceStore().update(resources, 1, list, [])
  const translator = new Translator()
  const translate = (changes: Readonly<Record<string, unknown>>) =>
    translator.translate(set, { settings: makeSettings(changes), clock: fixedClock }, new DiagnosticList()).listeners
  const before = translate({})
  const changes = { 'paths.mergeSlashes': 'never', 'https.paths.mergeSlashes': 'match' }
  const after = translate(changes)
  const changed = after.filter((listener) => !before.includes(listener))
  t.same(
    changed.map(({ id, paths }) => `${id.replace(/ \[.*/, '')} ${paths?.mergeSlashes}`),
    ['http never', 'NodePort default/web:80/TCP never'],
  )
  t.equal(translate(changes), after)
})

t.test('S19 externalIPs are off unless the settings say so', async (t) => {
  const services = [
    service('a', 'externalIPs: [192.0.2.1, "2001:db8:0::1"], ports: [{port: 80}]'),
    service('b', 'externalIPs: [192.0.2.1], ports: [{name: x, port: 80}, {name: z, port: 81}]'),
    service('c', 'clusterIP: None, externalIPs: [192.0.2.1], ports: [{port: 82}]'),
  ].map((text) => text.replace('2001:db8:0::1', '2001:db8::1'))
  const off = reach({ services })
  t.same(off.listeners, [])
  t.same(off.problems, Array(2).fill('PORTICO_SVC_UNHEARD externalIPs are not listened on'))
  const on = reach({ services, settings: 'externalIPs: {enabled: true}' })
  t.same(on.listeners, [
    'ExternalIP default/a:80/TCP 192.0.2.1:80',
    'ExternalIP default/a:80/TCP [2001:db8::1]:80',
    'ExternalIP default/b:81/TCP 192.0.2.1:81',
  ])
  t.same(on.problems, ['PORTICO_SVC_PORT_TAKEN port 80/TCP of 192.0.2.1 is taken: it is not opened'])
  t.match(on.notes, [/^Service default\/a \(ExternalIP\) has it/])
})

t.test('SCTP is not listened on, which is said', async (t) => {
  const spec = 'ports: [{name: a, port: 80, protocol: SCTP}, {name: b, port: 80}]'
  const { problems, listeners } = reach({
    services: [service('a', `type: NodePort, ${spec}`), service('b', spec)],
  })
  t.same(problems, ['PORTICO_SVC_PROTOCOL port 80/SCTP is not listened on'])
  t.equal(listeners.length, 1)
})

const SLICE = `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: "", port: 8080}]
endpoints: [{addresses: [10.0.0.1], nodeName: here}, {addresses: [10.0.0.2], nodeName: there}]
`

/** The endpoints that each listener leads to, by kind. */
function findTargets(policies: string, settings: string): Record<string, string> {
  const spec = `type: NodePort, ports: [{port: 80, nodePort: 30080}]${policies}`
  const { model } = translateText(
    `${service('web', spec)}---\n${SLICE}---\n${GATEWAY}clusterNetwork: {enabled: true}\n${settings}\n`,
  )
  return Object.fromEntries(
    model.listeners.filter(isServiceListener).map(({ kind, upstream }) => {
      const hosts = model.upstreams.get(upstream)?.endpoints.map(({ host }) => host)
      return [kind, `${upstream} ${hosts?.join()}`]
    }),
  )
}

t.test('S21 S22 traffic from outside and from inside have policies of their own', async (t) => {
  const both = '10.0.0.1,10.0.0.2'
  const here = 'nodeName: here'
  const external = ', externalTrafficPolicy: Local'
  const internal = ', internalTrafficPolicy: Local'
  t.same(findTargets('', here), { ClusterIP: `default/web:80 ${both}`, NodePort: `default/web:80 ${both}` })
  t.same(findTargets(external, here), {
    ClusterIP: `default/web:80 ${both}`,
    NodePort: 'default/web:80 (external) 10.0.0.1',
  })
  t.same(findTargets(internal, here), {
    ClusterIP: 'default/web:80 10.0.0.1',
    NodePort: `default/web:80 (external) ${both}`,
  })
  t.same(findTargets(external + internal, here), {
    ClusterIP: 'default/web:80 10.0.0.1',
    NodePort: 'default/web:80 10.0.0.1',
  })
  t.same(findTargets(external, ''), { ClusterIP: `default/web:80 ${both}`, NodePort: `default/web:80 ${both}` }, 'S23')
  t.same(
    findTargets(external, `${here}\nendpoints: {default/web: ["127.0.0.1:1"]}`),
    { ClusterIP: 'default/web:80 127.0.0.1', NodePort: 'default/web:80 127.0.0.1' },
    'what people write stands above both',
  )
})

t.test('S23 without a node name Local is Cluster, which is said once', async (t) => {
  const spec = 'type: NodePort, externalTrafficPolicy: Local, ports: [{port: 80}]'
  const services = [service('a', spec), service('b', spec)]
  t.same(reach({ services }).problems, [
    'PORTICO_REF_POLICY_LOCAL externalTrafficPolicy Local is treated as Cluster: this gateway has no node name',
  ])
  t.same(reach({ services, settings: 'nodeName: here' }).problems, [])
})

t.test('UDP ports have upstreams of their own, joined by name and protocol', async (t) => {
  const text = `${service('dns', 'ports: [{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53}]')}---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: dns-1, labels: {kubernetes.io/service-name: dns}}
addressType: IPv4
ports: [{name: dns, port: 5353, protocol: UDP}, {name: dns-tcp, port: 5354}]
endpoints: [{addresses: [10.0.0.1]}]
`
  const { model } = translateText(text)
  t.same(
    [...model.upstreams].map(([key, { endpoints, transport, port }]) => [
      key,
      transport,
      port.name,
      endpoints[0]?.port,
    ]),
    [
      ['default/dns:53', undefined, 'dns-tcp', 5354],
      ['default/dns:53/UDP', 'UDP', 'dns', 5353],
    ],
  )
})

/** Translates again and again. */
function createWorld() {
  const store = new ResourceStore()
  const translator = new Translator()
  let generation = 0
  const decoded = new Map<string, ReturnType<typeof decodeDocuments>['resources']>()
  return (texts: readonly string[], settings: Settings) => {
    const diagnostics = new DiagnosticList()
    const resources = texts.flatMap((text, index) => {
      const known = decoded.get(text)
      if (known) return known
      const { documents } = parseDocuments(sourceFromText(`${index}.yaml`, text), diagnostics)
      const { resources: own } = decodeDocuments(documents, diagnostics)
      decoded.set(text, own)
      return own
    })
    const set: ResourceSet = store.update(resources, ++generation, diagnostics, [])
    const model = translator.translate(set, { settings, clock: fixedClock }, diagnostics)
    return { model, allocations: translator.allocations, diagnostics }
  }
}

t.test('unchanged listeners stay the same objects', async (t) => {
  const world = createWorld()
  const settings = makeSettings({ 'clusterNetwork.enabled': true })
  const a = service('a', 'type: NodePort, ports: [{port: 80}]', ', annotations: {portico.dev/endpoints: "127.0.0.1:1"}')
  const b = service('b', 'type: LoadBalancer, ports: [{port: 81}]')
  const first = world([a, b], settings)
  const same = world([a, b], settings)
  t.equal(same.model.listeners, first.model.listeners)
  t.equal(same.model.services, first.model.services)
  t.equal(same.allocations, first.allocations)

  const more = world([a, b, service('c', 'ports: [{port: 82}]')], settings)
  t.not(more.model.listeners, first.model.listeners)
  for (const listener of first.model.listeners) t.ok(more.model.listeners.includes(listener), listener.id)
  for (const view of first.model.services) t.ok(more.model.services.includes(view), view.name)

  const changed = a.replace(':1"', ':2"')
  const moved = world([changed, b, service('c', 'ports: [{port: 82}]')], settings)
  for (const listener of more.model.listeners.filter(isServiceListener)) {
    if (listener.owner.name !== 'a') t.ok(moved.model.listeners.includes(listener), listener.id)
  }
  t.same(
    moved.model.listeners.map(({ id }) => id),
    more.model.listeners.map(({ id }) => id),
    'another endpoint moves no port',
  )
  t.equal(moved.allocations, more.allocations)

  const ready = world([changed, b, service('c', 'ports: [{port: 82}]'), SLICE.replaceAll('web', 'c')], settings)
  t.equal(ready.model.upstreams.get('default/c:82')?.endpoints.length, 2)
  t.equal(ready.model.listeners, moved.model.listeners, 'endpoints that came make no other listener')
})

t.test('a Service that breaks for a while has its ports again when it is mended', async (t) => {
  const world = createWorld()
  const settings = makeSettings()
  const a = service('a', 'type: NodePort, ports: [{port: 80}]')
  const before = world([a], settings).model.listeners.map(({ id }) => id)
  const others = Array.from({ length: 50 }, (_, index) => service(`x${index}`, 'type: NodePort, ports: [{port: 80}]'))
  t.equal(world(others, settings).model.listeners.filter(isServiceListener).length, 50)
  const after = world([a, ...others], settings).model.listeners.map(({ id }) => id)
  t.ok(before.every((id) => after.includes(id)))
})

t.test('of 20,000 Services a change of one makes one listener', { timeout: 120_000 }, async (t) => {
  const world = createWorld()
  const settings = makeSettings({ 'clusterNetwork.enabled': true })
  const texts = Array.from({ length: 20_000 }, (_, index) =>
    service(
      `s${index}`,
      `type: ${index % 10 === 0 ? 'NodePort' : 'ClusterIP'}, ports: [{port: ${index % 20 === 0 ? 80 : 90}}]`,
    ),
  )
  const first = world(texts, settings)
  t.equal(first.model.listeners.filter(isServiceListener).length, 22_000)
  const began = performance.now()
  const next = world([...texts.slice(0, -1), service('s19999', 'ports: [{port: 91}]')], settings)
  t.comment(`${Math.round(performance.now() - began)} ms`)
  const old = new Set(first.model.listeners)
  t.equal(next.model.listeners.filter(isServiceListener).filter((listener) => old.has(listener)).length, 21_999)
})
