import t from 'tap'
import { findStaticBand } from '../../../lib/translate/exposure/allocation.ts'
import { translateText } from '../manifests.ts'
import { reach, service } from '../service-text.ts'

const TAKEN = 'PORTICO_RES_FIELD_VALUE spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated'

function nodePort(line: string | undefined): number {
  return Number(/:(\d+)\//.exec(line ?? '')?.[1])
}

t.test(
  'V13 of two Services that ask for one nodePort the first by name has it, whatever comes first in the file',
  async (t) => {
    const a = service('a', 'type: NodePort, ports: [{port: 80, nodePort: 30080}]')
    const b = service(
      'b',
      'type: NodePort, ports: [{name: x, port: 80, nodePort: 30080}, {name: z, port: 81, nodePort: 30081}]',
    )
    for (const services of [
      [a, b],
      [b, a],
    ]) {
      const { listeners, problems, notes, services: shown } = reach({ services })
      t.same(problems, [TAKEN])
      t.match(notes[0], /^Service default\/a has it \d+:53$/)
      t.same(listeners, ['NodePort default/a:80/TCP [::]:30080', 'NodePort default/b:81/TCP [::]:30081'])
      t.same(shown, ['a - - 80:30080/TCP', 'b - - 80/TCP,81:30081/TCP'], 'all else of the loser is served')
    }
  },
)

t.test('V13 of two Services that ask for one nodePort the older has it', async (t) => {
  const { listeners } = reach({
    services: [
      service('a', 'type: NodePort, ports: [{port: 80, nodePort: 30080}]'),
      service(
        'b',
        'type: NodePort, ports: [{port: 80, nodePort: 30080}]',
        ', creationTimestamp: "2024-01-01T00:00:00Z"',
      ),
    ],
  })
  t.same(listeners, ['NodePort default/b:80/TCP [::]:30080'])
})

t.test('S35 TCP and UDP may have the same number', async (t) => {
  const { listeners, problems } = reach({
    services: [
      service('a', 'type: NodePort, ports: [{port: 80, nodePort: 30080}]'),
      service('b', 'type: NodePort, ports: [{port: 80, nodePort: 30080, protocol: UDP}]'),
    ],
  })
  t.same(problems, [])
  t.same(listeners, ['NodePort default/a:80/TCP [::]:30080', 'NodePort default/b:80/UDP [::]:30080'])
})

t.test('V12 a nodePort is in the range of the settings', async (t) => {
  const services = [service('a', 'type: NodePort, ports: [{port: 80, nodePort: 30080}]')]
  const { problems, listeners, helps } = reach({ services, settings: 'nodePorts: {range: 31000-31100}' })
  t.same(problems, [
    'PORTICO_RES_FIELD_VALUE spec.ports[0].nodePort: Invalid value: 30080: provided port is not in the valid range. The range of valid ports is 31000-31100',
  ])
  t.same(helps, ['leave nodePort out to have one allocated'])
  t.same(listeners, [])
  t.same(reach({ services, settings: 'nodePorts: {range: 30080-30080}' }).problems, [])
})

t.test('S35 one number is allocated for both protocols of a port, and shared with one that is written', async (t) => {
  const both = '{name: t, port: 53}, {name: u, port: 53, protocol: UDP}'
  const [free] = reach({ services: [service('dns', `type: NodePort, ports: [${both}]`)] }).services
  const [, tcp, udp] = /53:(\d+)\/TCP,53:(\d+)\/UDP/.exec(free ?? '') ?? []
  t.equal(tcp, udp)
  t.ok(Number(tcp) >= 30_086 && Number(tcp) <= 32_767, `S34 ${tcp} is above the band that is for people`)

  const written = '{name: t, port: 53}, {name: u, port: 53, protocol: UDP, nodePort: 30053}'
  t.same(reach({ services: [service('dns', `type: NodePort, ports: [${written}]`)] }).services, [
    'dns - - 53:30053/TCP,53:30053/UDP',
  ])
  const other = service('a', 'type: NodePort, ports: [{port: 1, nodePort: 30053}]')
  const [, last] = reach({ services: [service('dns', `type: NodePort, ports: [${written}]`), other] }).services
  t.match(last, /^dns - - 53:3\d+\/TCP,53:30053\/UDP$/)
  t.notMatch(last, '53:30053/TCP', 'which another Service has')
})

t.test('S34 static bands', async (t) => {
  const bands = [2768, 16, 17, 500, 512, 5000].map((size) => findStaticBand(size, 32, 128))
  t.same(bands, [86, 0, 16, 16, 16, 128])
})

t.test('S34 the static band is used when all others are taken, and then nothing is left', async (t) => {
  const services = Array.from({ length: 20 }, (_, index) => service(`s${index}`, 'type: NodePort, ports: [{port: 80}]'))
  const settings = 'nodePorts: {range: 30000-30017}'
  const two = reach({ services: services.slice(0, 2), settings })
  t.same(two.services.map(nodePort).sort(), [30_016, 30_017])
  const all = reach({ services, settings })
  const numbers = all.services.map(nodePort).filter((number) => !Number.isNaN(number))
  t.same(
    numbers.sort(),
    Array.from({ length: 18 }, (_, index) => 30_000 + index),
  )
  t.same(all.problems, ['PORTICO_SVC_EXHAUSTED failed to allocate a nodePort: range is full'])
  t.same(all.helps, ['widen nodePorts.range (30000-30017); 1 other Services are without one too'])
})

t.test('S3 a LoadBalancer Service has nodePorts, unless it says no', async (t) => {
  const off = 'type: LoadBalancer, allocateLoadBalancerNodePorts: false'
  const { services, listeners } = reach({
    services: [
      service('a', `${off}, ports: [{name: x, port: 81}, {name: z, port: 82, nodePort: 30082}]`),
      service('b', 'type: LoadBalancer, ports: [{port: 83}]'),
      service('c', 'ports: [{port: 84}]'),
    ],
  })
  t.match(services, ['a - localhost 81/TCP,82:30082/TCP', /^b - localhost 83:3\d{4}\/TCP$/, 'c - - 84/TCP'])
  t.same(
    listeners.filter((id) => id.startsWith('NodePort default/a')),
    ['NodePort default/a:82/TCP [::]:30082'],
  )
})

t.test('an earlier allocation is repeated, unless a Service writes that number', async (t) => {
  const services = [service('web', 'type: NodePort, ports: [{port: 80}]')]
  const known = new Map([['NodePort default/web:80', { value: '30007' }]])
  const same = reach({ services, allocations: known })
  t.same(same.services, ['web - - 80:30007/TCP'])
  t.equal(same.allocations, known)
  const moved = reach({
    services: [...services, service('x', 'type: NodePort, ports: [{port: 1, nodePort: 30007}]')],
    allocations: known,
  })
  t.not(nodePort(moved.services[0]), 30_007)
  t.same(moved.problems, [])
})

t.test('nodePorts go where the settings say', async (t) => {
  const services = [service('web', 'type: NodePort, ports: [{port: 80, nodePort: 30080}]')]
  const listen = (addresses: string) =>
    reach({ services, settings: `nodePorts: {addresses: [${addresses}]}` }).listeners
  t.same(listen('127.0.0.2, "0:0::1", 127.0.0.2'), [
    'NodePort default/web:80/TCP 127.0.0.2:30080',
    'NodePort default/web:80/TCP [::1]:30080',
  ])
  t.same(listen('127.0.0.2, "::"'), ['NodePort default/web:80/TCP [::]:30080'])
  t.same(listen('127.0.0.2, 0.0.0.0, "::1"'), [
    'NodePort default/web:80/TCP 0.0.0.0:30080',
    'NodePort default/web:80/TCP [::1]:30080',
  ])
  const off = reach({ services, settings: 'nodePorts: {enabled: false}' })
  t.same([off.listeners, off.services], [[], ['web - - 80:30080/TCP']])
  const none = reach({
    services: [service('web', 'type: NodePort, ports: [{port: 80}]')],
    settings: 'nodePorts: {enabled: false}',
  })
  t.same([none.services, none.allocations.size], [['web - - 80/TCP'], 0], 'what is not opened is not allocated')
})

t.test('V13 a healthCheckNodePort is a nodePort too', async (t) => {
  const lb = 'type: LoadBalancer, externalTrafficPolicy: Local'
  const { problems } = reach({
    services: [
      service('a', 'type: NodePort, ports: [{port: 80, nodePort: 30080}]'),
      service('b', `${lb}, healthCheckNodePort: 30080, ports: [{port: 80}]`),
      service('c', `${lb}, healthCheckNodePort: 80, ports: [{port: 81}]`),
    ],
    settings: 'nodeName: here',
  })
  t.same(problems, [
    'PORTICO_RES_FIELD_VALUE failed to allocate requested HealthCheck NodePort 30080: provided port is already allocated',
    'PORTICO_RES_FIELD_VALUE failed to allocate requested HealthCheck NodePort 80: provided port is not in the valid range. The range of valid ports is 30000-32767',
  ])
})

t.test(
  'S21 a healthCheckNodePort is allocated where LoadBalancer and Local meet, and no nodePort takes it',
  async (t) => {
    const local = 'type: LoadBalancer, externalTrafficPolicy: Local, ports: [{port: 80, nodePort: 30080}]'
    const find = (text: string) => translateText(text).model.services[0]?.healthChecks
    const [own] = find(service('a', local)) ?? []
    t.equal(own?.address, '::')
    t.ok(own !== undefined && own.port >= 30_086)
    t.equal(find(service('a', local.replace('Local', 'Cluster'))), undefined)
    t.equal(find(service('a', local.replace('LoadBalancer', 'NodePort'))), undefined)
    t.same(find(service('a', `${local}, healthCheckNodePort: 30090`)), [{ address: '::', port: 30_090 }])
    const { allocations } = reach({ services: [service('a', local)] })
    t.same([...allocations], [['NodePort default/a:healthCheck', { value: String(own?.port) }]])
    const { problems, notes } = reach({
      services: [service('a', local), service('b', `type: NodePort, ports: [{port: 80, nodePort: ${own?.port}}]`)],
      settings: 'nodeName: here',
    })
    t.same([problems, notes], [[], []], 'one that is asked for comes before one that is allocated')
  },
)
