import t from 'tap'
import { DiagnosticList } from '../../../lib/base/diagnostics.ts'
import { decodeDocuments } from '../../../lib/kubernetes/decode.ts'
import type { Pod, Resource } from '../../../lib/kubernetes/resource.ts'
import { ResourceStore } from '../../../lib/kubernetes/store.ts'
import type { Model } from '../../../lib/model/model.ts'
import type { Endpoint } from '../../../lib/model/upstream.ts'
import { sourceFromText } from '../../../lib/source/read-source.ts'
import { Translator } from '../../../lib/translate/translate.ts'
import { parseDocuments } from '../../helpers/documents.ts'
import { makeSettings } from '../../helpers/settings.ts'
import { fixedClock, printDiagnostics, translateText } from '../manifests.ts'

const PODS = `---
apiVersion: v1
kind: Pod
metadata: {name: set-0, labels: {app: set}}
spec: {hostname: set-0, subdomain: set, containers: [{name: c, image: i}]}
status: {podIP: 10.4.0.1, podIPs: [{ip: 10.4.0.1}, {ip: "fd00:4::1"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: set-1, labels: {app: set}}
spec: {hostname: set-1, subdomain: other, containers: [{name: c, image: i}]}
status: {podIP: 10.4.0.2}
`

function service(spec: string): string {
  return `apiVersion: v1\nkind: Service\nmetadata: {name: set}\nspec: {clusterIP: None, selector: {app: set}, ${spec}}\n`
}

function show(endpoints: readonly Endpoint[] | undefined): readonly string[] {
  return (endpoints ?? []).map(({ host, otherAddress, hostname }) => [host, otherAddress, hostname].join(' '))
}

t.test('a Pod lends its hostname to the Service that is its subdomain', async (t) => {
  const { model } = translateText(service('ports: [{port: 80}]') + PODS)
  t.same(show(model.upstreams.get('default/set:80')?.endpoints), ['10.4.0.1  set-0', '10.4.0.2  '])
})

t.test(
  'of a Pod with addresses of both families one carries traffic; a dual-stack Service knows the other too',
  async (t) => {
    const dual = translateText(service('ipFamilyPolicy: PreferDualStack, ports: [{port: 80}]') + PODS)
    t.same(show(dual.model.upstreams.get('default/set:80')?.endpoints), ['10.4.0.1 fd00:4::1 set-0', '10.4.0.2  '])
    const six = translateText(service('ipFamilies: [IPv6, IPv4], ports: [{port: 80}]') + PODS)
    t.same(show(six.model.upstreams.get('default/set:80')?.endpoints), ['fd00:4::1 10.4.0.1 set-0', '10.4.0.2  '])
  },
)

t.test('the same of slices of both families', async (t) => {
  const slice = (family: string, name: string, endpoints: string) => `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${name}, labels: {kubernetes.io/service-name: set}}
addressType: ${family}
ports: [{port: 80}]
endpoints: [${endpoints}]
`
  const text = `${service('ports: [{port: 80}]')}${slice('IPv6', 'six', '{addresses: ["fd00::1"], targetRef: {kind: Pod, name: a}}, {addresses: ["fd00::2"]}')}${slice('IPv4', 'four', '{addresses: [10.0.0.1], targetRef: {kind: Pod, name: a}}')}`
  t.same(show(translateText(text).model.upstreams.get('default/set:80')?.endpoints), ['10.0.0.1 fd00::1 ', 'fd00::2  '])
})

t.test(
  'a headless Service without ports publishes its endpoints; one with ports, or a cluster IP, has upstreams',
  async (t) => {
    const [bare] = translateText(service('publishNotReadyAddresses: true') + PODS).model.services
    t.same(show(bare?.portless), ['10.4.0.1  set-0', '10.4.0.2  '])
    t.match(bare, {
      headless: true,
      publishNotReadyAddresses: true,
      clusterIP: 'None',
      clusterIPs: [],
      externalName: '',
    })
    const [ported] = translateText(service('ports: [{port: 80}]') + PODS).model.services
    t.same(ported?.portless, [])
  },
)

const ports = 'ports: [{port: 80, targetPort: 8080}]'
const pod = (name: string, labels: string, address: string) =>
  `---\napiVersion: v1\nkind: Pod\nmetadata: {name: ${name}, labels: ${labels}}\nspec: {containers: [{name: c, image: i}]}\nstatus: {podIP: ${address}}\n`
const selecting = (name: string, selector: string, more = ports) =>
  `---\napiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {selector: ${selector}, ${more}}\n`

t.test('Services that select the same Pods, and take them alike, share the list of their endpoints', async (t) => {
  const text = [
    pod('x-0', '{app: x, tier: web}', '10.5.0.1'),
    pod('x-1', '{app: x, tier: db}', '10.5.0.2'),
    pod('y-0', '{app: y, tier: web}', '10.5.0.3'),
    selecting('a', '{app: x}'),
    selecting('b', '{app: x}'),
    selecting('web', '{app: x, tier: web}'),
    selecting('other', '{app: x}', 'ports: [{port: 80, targetPort: 9090}]'),
    selecting('early', '{app: x}', `publishNotReadyAddresses: true, ${ports}`),
    selecting('none', '{app: z}'),
  ]
  const { upstreams } = translateText(text.join('')).model
  const find = (name: string) => upstreams.get(`default/${name}:80`)?.endpoints ?? []
  t.equal(find('a'), find('b'))
  for (const name of ['other', 'early']) {
    t.not(find(name), find('a'))
    t.equal(find(name).length, 2)
  }
  t.same(show(find('web')), ['10.5.0.1  '])
  t.same([find('other')[0]?.port, find('none')], [9090, []])
})

t.test('a Service looks at Pods that have one of its labels, and at no other', async (t) => {
  const count = 300
  const each = Array.from({ length: count }, (_, index) => index)
  const address = (index: number) => `10.6.${index >> 8}.${index & 255}`
  const selectors: Readonly<Record<string, (index: number) => string>> = {
    'a Pod each': (index) => `{app: a${index}, tier: web}`,
    'all of them': () => '{tier: web}',
    'none of them': (index) => `{app: b${index}, tier: web}`,
  }
  for (const [name, selector] of Object.entries(selectors)) {
    const text = each.map(
      (index) =>
        pod(`p${index}`, `{app: a${index}, tier: web}`, address(index)) + selecting(`s${index}`, selector(index)),
    )
    let reads = 0
    const world = new World(text.join(''), (labels) => {
      reads++
      return labels
    })
    const endpoints = [...world.translate().upstreams.values()].flatMap((upstream) => upstream.endpoints)
    t.ok(reads <= 5 * count, `${name}: ${reads} reads of labels`)
    t.equal(new Set(endpoints).size, name === 'none of them' ? 0 : count, `${name}: an endpoint for each Pod`)
    t.equal(endpoints.length, { 'a Pod each': count, 'all of them': count * count }[name] ?? 0)
  }
})

t.test('a Pod that changes touches the upstreams that it is an endpoint of, and no other', async (t) => {
  const slice = (of: string, target: string, ip: string) => `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${of}, labels: {kubernetes.io/service-name: ${of}}}
addressType: IPv4
ports: [{port: 8080}]
endpoints: [{addresses: [${ip}], targetRef: {kind: Pod, name: ${target}}}]
`
  const world = new World(
    [
      pod('one', '{app: one, tier: web}', '10.5.0.1'),
      pod('two', '{app: two, tier: web}', '10.5.0.2'),
      ...['one', 'two'].map((name) => selecting(name, `{app: ${name}}`)),
      selecting('both', '{tier: web}'),
      ...['one', 'two'].map((name) => selecting(`slice-${name}`, '{app: none}')),
      slice('slice-one', 'one', '10.5.0.1'),
      slice('slice-two', 'two', '10.5.0.2'),
    ].join(''),
  )
  let upstreams = world.translate().upstreams
  const renew = (text: string) => {
    const before = upstreams
    world.put(text)
    upstreams = world.translate().upstreams
    return [...upstreams].filter(([key, upstream]) => before.get(key) !== upstream).map(([key]) => key)
  }
  const touched = (name: string) => ['both', name, `slice-${name}`].map((each) => `default/${each}:80`).sort()
  t.same(renew(pod('one', '{app: one, tier: web}', '10.5.0.3')), touched('one'))
  t.same(renew(pod('three', '{app: three}', '10.5.0.4')), [], 'a Pod that nothing selects')
  t.same(renew(pod('two', '{app: two}', '10.5.0.2')), touched('two'))
  t.same(show(upstreams.get('default/both:80')?.endpoints), ['10.5.0.3  '])
})

type Watcher = (labels: Pod['meta']['labels']) => Pod['meta']['labels']

/** Objects of one translator, which change; all reads of the labels of Pods can be watched. */
class World {
  readonly #translator = new Translator()
  readonly #store = new ResourceStore()
  readonly #resources = new Map<string, Resource>()
  readonly #onRead: Watcher

  constructor(text: string, onRead: Watcher = (labels) => labels) {
    this.#onRead = onRead
    this.put(text)
  }

  put(text: string): void {
    const list = new DiagnosticList()
    const { documents } = parseDocuments(sourceFromText('in.yaml', text), list)
    for (const resource of decodeDocuments(documents, list).resources) {
      this.#resources.set(
        `${resource.kind} ${resource.meta.name}`,
        resource.kind === 'Pod' ? this.#watch(resource) : resource,
      )
    }
    t.same(printDiagnostics(list.sorted()), '')
  }

  translate(): Model {
    const list = new DiagnosticList()
    const resources = this.#store.update([...this.#resources.values()], 1, list, [])
    return this.#translator.translate(resources, { settings: makeSettings(), clock: fixedClock }, list)
  }

  #watch(pod: Pod): Pod {
    const { labels } = pod.meta
    const onRead = this.#onRead
    const meta = {
      ...pod.meta,
      get labels() {
        return onRead(labels)
      },
    }
    return { ...pod, meta }
  }
}
