import t from 'tap'
import type { Endpoint } from '../../../lib/model/upstream.ts'
import { translateText } from '../manifests.ts'

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
