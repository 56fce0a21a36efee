import t from 'tap'
import { decodeOne, decodeText } from './decode-text.ts'

/** A slice whose fields, each line given, begin on line 4. */
function slice(...fields: readonly string[]): string {
  return `apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: web-1}\n${fields.join('\n')}\n`
}
const IPV4 = 'addressType: IPv4'
const IP = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'

const rules: readonly (readonly [rule: string, fields: readonly string[], expected: readonly string[]])[] = [
  ['E1 an address type is needed', ['endpoints: []'], ['1:1 addressType: Required value']],
  [
    'E1 an address type is one of three',
    ['addressType: X'],
    ['4:14 addressType: Unsupported value: "X": supported values: "FQDN", "IPv4", "IPv6"'],
  ],
  [
    'E2 an endpoint has an address',
    [IPV4, 'endpoints: [{addresses: []}]'],
    ['5:25 endpoints[0].addresses: Required value: must contain at least 1 address'],
  ],
  [
    'E2 an endpoint has at most 100 addresses',
    [IPV4, `endpoints: [{addresses: [${Array(101).fill('10.0.0.1').join(', ')}]}]`],
    ['5:14 endpoints[0].addresses: Too many: 101: must have at most 100 items'],
  ],
  [
    'E2 a slice has at most 1000 endpoints',
    [IPV4, `endpoints: [${Array(1001).fill('{addresses: [10.0.0.1]}').join(', ')}]`],
    ['5:1 endpoints: Too many: 1001: must have at most 1000 items'],
  ],
  [
    'E2 a slice has at most 100 ports',
    [IPV4, `ports: [${Array.from({ length: 101 }, (_, i) => `{name: p${i}}`).join(', ')}]`],
    ['5:1 ports: Too many: 101: must have at most 100 items'],
  ],
  [
    'E3 an address is an IP address in its canonical form',
    [IPV4, 'endpoints: [{addresses: [web]}, {addresses: [10.0.0.01]}, {addresses: ["::ffff:10.0.0.1"]}]'],
    [
      `5:26 endpoints[0].addresses[0]: Invalid value: "web": ${IP}`,
      '5:46 endpoints[1].addresses[0]: Invalid value: "10.0.0.01": must not have leading 0s',
      '5:72 endpoints[2].addresses[0]: Invalid value: "::ffff:10.0.0.1": must not be an IPv4-mapped IPv6 address',
    ],
  ],
  [
    'E3 an address is of the family of its slice',
    [IPV4, 'endpoints: [{addresses: ["fd00::1"]}]'],
    ['5:26 endpoints[0].addresses[0]: Invalid value: "fd00::1": must be a valid IPv4 address'],
  ],
  [
    'E3 unspecified and link-local addresses are refused',
    [IPV4, 'endpoints: [{addresses: [0.0.0.0]}, {addresses: [169.254.169.254]}, {addresses: [224.0.0.5]}]'],
    [
      '5:26 endpoints[0].addresses[0]: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)',
      '5:50 endpoints[1].addresses[0]: Invalid value: "169.254.169.254": may not be in the link-local range (169.254.0.0/16, fe80::/10)',
      '5:82 endpoints[2].addresses[0]: Invalid value: "224.0.0.5": may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)',
    ],
  ],
  ['E3 loopback addresses are accepted', [IPV4, 'endpoints: [{addresses: [127.0.0.1]}]'], []],
  ['E3 IPv6 loopback too', ['addressType: IPv6', 'endpoints: [{addresses: ["::1"]}]'], []],
  ['S31 FQDN addresses are names', ['addressType: FQDN', 'endpoints: [{addresses: [a.example]}]'], []],
  [
    'E4 port names are unique',
    [IPV4, 'ports: [{name: http, port: 80}, {name: http, port: 81}]'],
    ['5:40 ports[1].name: Duplicate value: "http"'],
  ],
  [
    'E4 a port has a known protocol',
    [IPV4, 'ports: [{port: 80, protocol: X}]'],
    ['5:30 ports[0].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"'],
  ],
  [
    'E4 a hostname is a DNS label',
    [IPV4, 'endpoints: [{addresses: [10.0.0.1], hostname: a.b}]'],
    ['5:47 endpoints[0].hostname: Invalid value: "a.b": must not contain dots'],
  ],
  [
    'E4 there are at most eight hints',
    [IPV4, `endpoints: [{addresses: [10.0.0.1], hints: {forZones: [${Array(9).fill('{name: a}').join(', ')}]}}]`],
    ['5:45 endpoints[0].hints.forZones: Too many: 9: must have at most 8 items'],
  ],
]

for (const [rule, fields, expected] of rules) {
  t.test(rule, async (t) => {
    const { printed, resources } = decodeText(slice(...fields))
    t.same(printed, expected)
    t.equal(resources.length, expected.length === 0 ? 1 : 0)
  })
}

t.test('D13 to D15 absent fields have their defaults', async (t) => {
  const decoded = decodeOne(
    'EndpointSlice',
    slice(IPV4, 'endpoints: [{addresses: [10.0.0.1]}]', 'ports: [{port: 80}, {name: all}]'),
  )
  t.match(decoded.endpoints[0], { ready: true, serving: true, terminating: false, hintZones: [], index: 0 })
  t.same(decoded.ports[0], { name: '', protocol: 'TCP', port: 80, appProtocol: undefined })
  t.equal(decoded.ports[1]?.port, undefined, 'D14 null port is every port')
  t.equal(decoded.serviceName, undefined)
})

t.test('all fields of a slice are read', async (t) => {
  const decoded = decodeOne(
    'EndpointSlice',
    `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints:
- addresses: [10.0.0.1]
  conditions: {ready: false, serving: true, terminating: true}
  hostname: a
  nodeName: node-1
  zone: zone-1
  targetRef: {kind: Pod, name: web-abc, namespace: default}
  hints: {forZones: [{name: zone-1}], forNodes: [{name: node-1}]}
`,
  )
  t.equal(decoded.serviceName, 'web')
  t.same(decoded.endpoints[0], {
    addresses: ['10.0.0.1'],
    ready: false,
    serving: true,
    terminating: true,
    hostname: 'a',
    nodeName: 'node-1',
    zone: 'zone-1',
    hintZones: ['zone-1'],
    hintNodes: ['node-1'],
    targetName: 'web-abc',
    index: 0,
  })
})

t.test('a v1beta1 slice has its zone and node in topology', async (t) => {
  const text = `apiVersion: discovery.k8s.io/v1beta1
kind: EndpointSlice
metadata: {name: web-1}
addressType: IPv4
endpoints:
- addresses: [10.0.0.1]
  topology: {topology.kubernetes.io/zone: zone-1, kubernetes.io/hostname: node-1}
`
  t.same(decodeText(text).printed, [
    '1:13 warning discovery.k8s.io/v1beta1 EndpointSlice is deprecated in v1.21+, unavailable in v1.25+; use discovery.k8s.io/v1 EndpointSlice',
  ])
  t.match(decodeOne('EndpointSlice', text).endpoints[0], { zone: 'zone-1', nodeName: 'node-1' })
})
