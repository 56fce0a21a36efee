import t from 'tap'
import { findStaticBand } from '../../../lib/translate/exposure/allocation.ts'
import { reach, service } from '../service-text.ts'

const NETWORK = 'clusterNetwork: {enabled: true}'
const PORT = 'ports: [{port: 80}]'

function addressOf(line: string | undefined): string {
  return line?.split(' ')[1] ?? ''
}

t.test('off, clusterIPs are shown as they are written, and nothing listens', async (t) => {
  const { services, listeners, allocations } = reach({
    services: [
      service('a', `clusterIP: 10.96.0.7, ${PORT}`),
      service('b', PORT),
      service('c', `clusterIP: None, ${PORT}`),
    ],
  })
  t.same(services, ['a 10.96.0.7 - 80/TCP', 'b - - 80/TCP', 'c None - 80/TCP'])
  t.same([listeners, allocations.size], [[], 0])
})

t.test('each Service has an address that it listens on, headless and external ones have none', async (t) => {
  const { services, listeners, problems } = reach({
    services: [
      service('a', 'ports: [{name: t, port: 53}, {name: u, port: 53, protocol: UDP}]'),
      service('b', `clusterIP: None, ${PORT}`),
      service('c', 'type: ExternalName, externalName: example.com'),
      service('d', `type: NodePort, ports: [{port: 80, nodePort: 30080}]`),
    ],
    settings: NETWORK,
  })
  t.match(services[0], /^a 127\.96\.\d+\.\d+ - 53\/TCP,53\/UDP$/)
  t.same(services.slice(1, 3), ['b None - 80/TCP', 'c - example.com '])
  const [a, d] = [addressOf(services[0]), addressOf(services[3])]
  t.same(listeners, [
    `ClusterIP default/a:53/TCP ${a}:53`,
    `ClusterIP default/a:53/UDP ${a}:53`,
    `ClusterIP default/d:80/TCP ${d}:80`,
    'NodePort default/d:80/TCP [::]:30080',
  ])
  t.same(problems, [])
})

t.test('V23 of two Services that ask for one address the first by name has it', async (t) => {
  const { services, problems, notes, listeners } = reach({
    services: [
      service('b', `clusterIP: 127.96.0.10, clusterIPs: [127.96.0.10], ${PORT}`),
      service('a', `clusterIP: 127.96.0.10, ${PORT}`),
    ],
    settings: NETWORK,
  })
  t.same(problems, [
    'PORTICO_RES_FIELD_VALUE spec.clusterIPs: Invalid value: ["127.96.0.10"]: failed to allocate IP 127.96.0.10: provided IP is already allocated',
  ])
  t.same(notes, ['Service default/a has it 9:19'])
  t.same(services, ['a 127.96.0.10 - 80/TCP', 'b - - 80/TCP'])
  t.same(listeners, ['ClusterIP default/a:80/TCP 127.96.0.10:80'])
})

t.test('an address of another network is replaced, which is said', async (t) => {
  const { services, problems, allocations } = reach({
    services: [service('a', `clusterIP: 10.96.0.7, ${PORT}`)],
    settings: NETWORK,
  })
  const address = addressOf(services[0])
  t.match(address, /^127\.96\./)
  t.same(problems, [`PORTICO_SVC_ADDRESS clusterIP 10.96.0.7 is not in 127.96.0.0/16: ${address} is used here`])
  t.same([...allocations], [['ClusterIP default/a', { value: address }]])
  const inside = reach({
    services: [service('a', `clusterIP: 10.96.0.7, ${PORT}`)],
    settings: 'clusterNetwork: {enabled: true, range: 10.96.0.0/12}',
  })
  t.same([inside.services, inside.problems], [['a 10.96.0.7 - 80/TCP'], []])
})

t.test('S34 the lowest addresses are left for manifests that write them, until all others are taken', async (t) => {
  const bands = [65_534, 16, 17, 254, 1024].map((size) => findStaticBand(size, 16, 256))
  t.same(bands, [256, 0, 16, 16, 64])
  const services = Array.from({ length: 32 }, (_, index) => service(`s${index}`, PORT))
  const settings = 'clusterNetwork: {enabled: true, range: 127.96.0.0/27}'
  const last = (line: string): number => Number(addressOf(line).split('.')[3])
  t.ok(reach({ services: services.slice(0, 14), settings }).services.every((line) => last(line) > 16))
  const all = reach({ services, settings })
  t.equal(all.services.filter((line) => addressOf(line) !== '-').length, 30)
  t.same(all.problems, ['PORTICO_SVC_EXHAUSTED failed to allocate a serviceIP: range is full'])
  t.same(all.helps, ['widen clusterNetwork.range (127.96.0.0/27); 1 other Services are without one too'])
})

t.test('the network has one family, and a Service that asks for another is reported', async (t) => {
  const { problems } = reach({
    services: [
      service('a', `ipFamilyPolicy: RequireDualStack, ${PORT}`),
      service('b', `ipFamilies: [IPv6], ${PORT}`),
      service('c', `ipFamilyPolicy: PreferDualStack, ${PORT}`),
    ],
    settings: NETWORK,
  })
  t.same(problems, [
    'PORTICO_SVC_FAMILY spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
    'PORTICO_SVC_FAMILY spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster',
  ])
  const six = reach({
    services: [service('b', `ipFamilies: [IPv6], ${PORT}`)],
    settings: 'clusterNetwork: {enabled: true, range: "fd00::/112"}',
  })
  t.same(six.problems, [])
  t.match(six.listeners, [/^ClusterIP default\/b:80\/TCP \[fd00::[0-9a-f]+\]:80$/])
})

t.test('a port that is open on every address cannot be opened on a clusterIP too: said once', async (t) => {
  const services = ['a', 'b', 'c'].map((name) => service(name, 'ports: [{port: 8080}]'))
  const { problems, notes, helps, listeners } = reach({ services, settings: NETWORK })
  t.match(problems, [
    /^PORTICO_SVC_PORT_TAKEN port 8080\/TCP of 127\.96\.\d+\.\d+ is taken: clients that connect there, or to 2 other clusterIPs, reach the http listener of this gateway$/,
  ])
  t.same(notes, ['the http listener of this gateway has it'])
  t.same(helps, ['give the gateway another port: http.port, or give each an address of its own: http.address'])
  t.same(listeners, [])
  const apart = reach({ services, settings: `${NETWORK}\nhttp: {address: 127.0.0.1}` })
  t.equal(apart.listeners.length, 3)
})

t.test('a Service that has a port on every address has it on its clusterIP', async (t) => {
  const { problems, listeners } = reach({
    services: [service('a', 'type: LoadBalancer, allocateLoadBalancerNodePorts: false, ports: [{port: 80}]')],
    settings: NETWORK,
  })
  t.same([problems, listeners], [[], ['LoadBalancer default/a:80/TCP [::]:80']])
  const ranged = reach({
    services: [
      service(
        'a',
        'type: LoadBalancer, allocateLoadBalancerNodePorts: false, loadBalancerSourceRanges: [10.0.0.0/8], ports: [{port: 80}]',
      ),
    ],
    settings: NETWORK,
  })
  t.equal(ranged.problems.length, 1, 'unless it lets some clients in alone')
})
