import t from 'tap'
import { reach, service } from '../service-text.ts'

/** A LoadBalancer Service without nodePorts. */
function balancer(name: string, port: number, more = ''): string {
  return service(name, `type: LoadBalancer, allocateLoadBalancerNodePorts: false, ports: [{port: ${port}}]${more}`)
}

t.test('without a pool all share the addresses of the machine', async (t) => {
  const { listeners, services, problems } = reach({ services: [balancer('a', 80), balancer('b', 5432)] })
  t.same(listeners, ['LoadBalancer default/a:80/TCP [::]:80', 'LoadBalancer default/b:5432/TCP [::]:5432'])
  t.same(services, ['a - localhost 80/TCP', 'b - localhost 5432/TCP'])
  t.same(problems, [])
  const one = reach({ services: [balancer('a', 80)], settings: 'loadBalancers: {address: 127.0.0.1}' })
  t.same([one.listeners, one.services], [['LoadBalancer default/a:80/TCP 127.0.0.1:80'], ['a - 127.0.0.1 80/TCP']])
})

t.test(
  'of two Services that share an address and want one port the later waits, and its diagnostic names the owner',
  async (t) => {
    const both =
      'type: LoadBalancer, allocateLoadBalancerNodePorts: false, ports: [{name: x, port: 80}, {name: z, port: 81}]'
    for (const services of [
      [balancer('a', 80), service('b', both)],
      [service('b', both), balancer('a', 80)],
    ]) {
      const reached = reach({ services })
      t.same(
        reached.listeners,
        ['LoadBalancer default/a:80/TCP [::]:80'],
        'a Service has all of its ports, or it waits',
      )
      t.same(reached.services, ['a - localhost 80/TCP', 'b - <pending> 80/TCP,81/TCP'])
      t.same(reached.problems, ['PORTICO_SVC_PORT_TAKEN port 80/TCP is taken: EXTERNAL-IP is <pending>'])
      t.match(reached.notes, [/^Service default\/a \(LoadBalancer\) has it \d+:\d+$/])
      t.same(reached.helps, ['change the port of one, or give each an address of its own: loadBalancers.pool'])
    }
  },
)

t.test('a port of the gateway itself is not for Services', async (t) => {
  const { listeners, services, problems, notes, helps } = reach({
    services: [balancer('a', 8443), balancer('b', 9901)],
  })
  t.same(listeners, [])
  t.same(services, ['a - <pending> 8443/TCP', 'b - <pending> 9901/TCP'])
  t.same(problems, [
    'PORTICO_SVC_PORT_TAKEN port 8443/TCP is taken: EXTERNAL-IP is <pending>',
    'PORTICO_SVC_PORT_TAKEN port 9901/TCP is taken: EXTERNAL-IP is <pending>',
  ])
  t.same(notes, ['the https listener of this gateway has it', 'the admin listener of this gateway has it'])
  t.same(helps, [
    'give the gateway another port: https.port, or give each an address of its own: https.address and loadBalancers.pool',
    'give the gateway another port: admin.port, or give each an address of its own: admin.address and loadBalancers.pool',
  ])
  const off = reach({ services: [balancer('a', 8443)], settings: 'https: {enabled: false}' })
  t.same(off.services, ['a - localhost 8443/TCP'])
  t.same(reach({ services: [balancer('a', 8443)], settings: 'https: {port: 0}' }).services, ['a - localhost 8443/TCP'])
})

t.test('the port of the DNS server is not for Services either, UDP and TCP', async (t) => {
  const spec = 'type: LoadBalancer, allocateLoadBalancerNodePorts: false, ports: [{port: 8053, protocol: UDP}]'
  const services = [balancer('a', 8053), service('b', spec)]
  const on = reach({ services, settings: 'dns: {enabled: true}' })
  t.same(on.listeners, [])
  t.same(on.problems, [
    'PORTICO_SVC_PORT_TAKEN port 8053/TCP is taken: EXTERNAL-IP is <pending>',
    'PORTICO_SVC_PORT_TAKEN port 8053/UDP is taken: EXTERNAL-IP is <pending>',
  ])
  t.match(on.helps[0], /dns\.port.*dns\.address and loadBalancers\.pool/)
  t.same(reach({ services }).problems, [], 'off by default')
  const pool = reach({ services, settings: 'dns: {enabled: true}\nloadBalancers: {pool: [127.0.1.1, 127.0.1.2]}' })
  t.same(pool.problems, [], 'it listens on 127.0.0.1 alone')
})

t.test('from a pool each has an address of its own, the same every time', async (t) => {
  const settings = 'loadBalancers: {pool: [127.0.1.1-127.0.1.3]}'
  const all = [balancer('a', 80), balancer('b', 80), balancer('c', 80), balancer('d', 80)]
  const three = reach({ services: all.slice(0, 3), settings })
  const addresses = three.services.map((line) => line.split(' ')[2])
  t.same([...addresses].sort(), ['127.0.1.1', '127.0.1.2', '127.0.1.3'])
  t.same(
    three.listeners,
    ['a', 'b', 'c'].map((name, index) => `LoadBalancer default/${name}:80/TCP ${addresses[index]}:80`),
  )
  t.same(three.problems, [])
  const four = reach({ services: all, settings, allocations: three.allocations })
  t.same(
    four.services.map((line) => line.split(' ')[2]),
    [...addresses, '<pending>'],
  )
  t.same(four.problems, ['PORTICO_SVC_EXHAUSTED no address is left in loadBalancers.pool: EXTERNAL-IP is <pending>'])
  t.same(four.helps, ['add addresses to loadBalancers.pool, which has 3'])
})

t.test('S20 loadBalancerIP is granted if it is in the pool', async (t) => {
  const settings = 'loadBalancers: {pool: [127.0.1.0/30]}'
  const { services, problems, notes } = reach({
    services: [
      balancer('a', 80),
      balancer('b', 80, ', loadBalancerIP: 127.0.1.2'),
      balancer('c', 80, ', loadBalancerIP: 127.0.1.2'),
      balancer('d', 80, ', loadBalancerIP: 203.0.113.1'),
    ],
    settings,
  })
  const [a, b, c, d] = services.map((line) => line.split(' ')[2])
  t.same([b, c], ['127.0.1.2', '<pending>'])
  t.same(
    [a, d].every((address) => /^127\.0\.1\.[013]$/.test(address ?? '')),
    true,
  )
  t.same(problems, [
    'PORTICO_SVC_PORT_TAKEN loadBalancerIP 127.0.1.2 is taken: EXTERNAL-IP is <pending>',
    `PORTICO_SVC_ADDRESS loadBalancerIP 203.0.113.1 is not in loadBalancers.pool: ${d} is used`,
  ])
  t.match(notes, [/^Service default\/b has it \d+:\d+$/])
})

t.test('S20 without a pool loadBalancerIP is granted if it is an address of this machine', async (t) => {
  const { services, problems } = reach({
    services: [
      balancer('a', 80, ', loadBalancerIP: 127.0.0.9'),
      balancer('b', 81, ', loadBalancerIP: 192.0.2.4'),
      balancer('c', 82, ', loadBalancerIP: 192.0.2.5'),
      balancer('d', 83, ', loadBalancerIP: somewhere'),
    ],
    local: ['192.0.2.4'],
  })
  t.same(services, ['a - 127.0.0.9 80/TCP', 'b - 192.0.2.4 81/TCP', 'c - localhost 82/TCP', 'd - localhost 83/TCP'])
  t.same(problems, [
    'PORTICO_SVC_ADDRESS loadBalancerIP 192.0.2.5 is not an address of this machine: localhost is used',
  ])
})

t.test('an address of the pool on which the gateway listens is not given out', async (t) => {
  const settings = 'http: {address: 127.0.1.1}\nhttps: {enabled: false}\nloadBalancers: {pool: [127.0.1.1, 127.0.1.2]}'
  for (const name of ['a', 'b', 'c', 'd']) {
    t.same(reach({ services: [balancer(name, 80)], settings }).services, [`${name} - 127.0.1.2 80/TCP`])
  }
  const asked = reach({ services: [balancer('a', 80, ', loadBalancerIP: 127.0.1.1')], settings })
  t.same([asked.services, asked.notes], [['a - <pending> 80/TCP'], ['the gateway itself listens there']])
})

t.test('S20 a class of Portico is served, a class of another implementation is not', async (t) => {
  const { services, listeners, problems } = reach({
    services: [
      balancer('a', 80, ', loadBalancerClass: portico.dev/edge'),
      balancer('b', 81, ', loadBalancerClass: acme.example/lb, loadBalancerIP: 192.0.2.1'),
      balancer('c', 82, ', loadBalancerClass: acme.example/lb'),
    ],
  })
  t.same(services, ['a - localhost 80/TCP', 'b - 192.0.2.1 81/TCP', 'c - <pending> 82/TCP'])
  t.same(listeners, ['LoadBalancer default/a:80/TCP [::]:80'])
  t.equal(problems.length, 2)
  t.equal(
    problems[0],
    `PORTICO_SVC_UNHEARD loadBalancerClass "acme.example/lb" is another load balancer's: no address is given`,
  )
})

t.test('switched off, nothing is opened and written addresses are shown', async (t) => {
  const { services, listeners, problems } = reach({
    services: [balancer('a', 80), balancer('b', 80, ', loadBalancerIP: 192.0.2.1')],
    settings: 'loadBalancers: {enabled: false}',
  })
  t.same([listeners, problems], [[], []])
  t.same(services, ['a - <pending> 80/TCP', 'b - 192.0.2.1 80/TCP'])
})
