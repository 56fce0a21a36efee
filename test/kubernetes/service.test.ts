import t from 'tap'
import { decodeOne, decodeText, manifest } from './decode-text.ts'

const DNS_LABEL =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
const DNS_1035 =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
const DNS_SUBDOMAIN =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
const QUALIFIED =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
const LABEL_VALUE =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"

const PORT = 'ports: [{port: 80}]'

/** What each rule says about the fields of a spec, which begin on line 5. */
const rules: readonly (readonly [rule: string, fields: readonly string[], expected: readonly string[]])[] = [
  ['V2 a Service needs ports', ['type: NodePort'], ['4:1 spec.ports: Required value']],
  ['V2 a headless Service needs none', ['clusterIP: None'], []],
  ['V2 an ExternalName Service needs none', ['type: ExternalName', 'externalName: a.example'], []],
  [
    'V3 a port is between 1 and 65535',
    ['ports: [{port: 0, name: a}, {port: 65536, name: b}, {name: c}]'],
    [
      '5:18 spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive',
      '5:38 spec.ports[1].port: Invalid value: 65536: must be between 1 and 65535, inclusive',
      '5:55 spec.ports[2].port: Invalid value: 0: must be between 1 and 65535, inclusive',
    ],
  ],
  [
    'V4 of several ports each has a name',
    ['ports: [{port: 80, name: http}, {port: 81}]'],
    ['5:35 spec.ports[1].name: Required value'],
  ],
  [
    'V5 port names are unique',
    ['ports: [{port: 80, name: http}, {port: 81, name: http}]'],
    ['5:52 spec.ports[1].name: Duplicate value: "http"'],
  ],
  [
    'V6 a port name is a DNS label',
    ['ports: [{port: 80, name: Http}]'],
    [`5:28 spec.ports[0].name: Invalid value: "Http": ${DNS_LABEL}`],
  ],
  [
    'V6 a port name has at most 63 characters',
    [`ports: [{port: 80, name: ${'a'.repeat(64)}}]`],
    [`5:28 spec.ports[0].name: Invalid value: "${'a'.repeat(64)}": must be no more than 63 characters`],
  ],
  [
    'V6 a port name has no dots',
    ['ports: [{port: 80, name: a.b}]'],
    ['5:28 spec.ports[0].name: Invalid value: "a.b": must not contain dots'],
  ],
  [
    'V7 a protocol is TCP, UDP or SCTP',
    ['ports: [{port: 80, protocol: HTTP}]'],
    ['5:32 spec.ports[0].protocol: Unsupported value: "HTTP": supported values: "SCTP", "TCP", "UDP"'],
  ],
  [
    'V8 a target port number is between 1 and 65535',
    ['ports: [{port: 80, targetPort: 70000}]'],
    ['5:34 spec.ports[0].targetPort: Invalid value: 70000: must be between 1 and 65535, inclusive'],
  ],
  [
    'V9 a quoted target port is a name, and a name has a letter',
    ['ports: [{port: 80, targetPort: "8080"}]'],
    ['5:34 spec.ports[0].targetPort: Invalid value: "8080": must contain at least one letter (a-z)'],
  ],
  [
    'V9 a target port name has at most 15 characters',
    ['ports: [{port: 80, targetPort: abcdefghijklmnop}]'],
    ['5:34 spec.ports[0].targetPort: Invalid value: "abcdefghijklmnop": must be no more than 15 characters'],
  ],
  [
    'V9 a target port name has small letters, digits and hyphens alone',
    ['ports: [{port: 80, targetPort: aB}]'],
    [
      '5:34 spec.ports[0].targetPort: Invalid value: "aB": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)',
    ],
  ],
  [
    'V9 a target port name has single hyphens, inside alone',
    ['ports: [{port: 80, targetPort: a--b-}]'],
    [
      '5:34 spec.ports[0].targetPort: Invalid value: "a--b-": must not contain consecutive hyphens',
      '5:34 spec.ports[0].targetPort: Invalid value: "a--b-": must not begin or end with a hyphen',
    ],
  ],
  [
    'V10 a port number is used once a protocol',
    ['ports:', '- {port: 80, name: a}', '- {port: 80, name: b}', '- {port: 80, name: c, protocol: UDP}'],
    ['7:5 spec.ports[1]: Duplicate value: {"protocol":"TCP","port":80,"targetPort":0}'],
  ],
  [
    'V11 a ClusterIP Service has no nodePort',
    ['ports: [{port: 80, nodePort: 30080}]'],
    ["5:22 spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
  ],
  [
    'V14 a nodePort is used once a protocol',
    [
      'type: NodePort',
      'ports:',
      '- {port: 80, name: a, nodePort: 30080}',
      '- {port: 81, name: b, nodePort: 30080}',
      '- {port: 82, name: c, nodePort: 30080, protocol: UDP}',
    ],
    ['8:35 spec.ports[1].nodePort: Duplicate value: 30080'],
  ],
  [
    'V15 a type is one of four',
    ['type: Foo', PORT],
    [
      '5:9 spec.type: Unsupported value: "Foo": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
    ],
  ],
  [
    'V16 a NodePort Service has a virtual IP',
    ['type: NodePort', 'clusterIP: None', PORT],
    ['6:14 spec.clusterIPs[0]: Invalid value: "None": may not be set to \'None\' for NodePort services'],
  ],
  [
    'V16 a LoadBalancer Service has a virtual IP',
    ['type: LoadBalancer', 'clusterIP: None', PORT],
    ['6:14 spec.clusterIPs[0]: Invalid value: "None": may not be set to \'None\' for LoadBalancer services'],
  ],
  [
    'V17 an ExternalName Service has no virtual IP and no families',
    [
      'type: ExternalName',
      'externalName: a.example',
      'clusterIP: 10.0.0.1',
      'ipFamilies: [IPv4]',
      'ipFamilyPolicy: SingleStack',
    ],
    [
      '7:3 spec.clusterIPs: Forbidden: may not be set for ExternalName services',
      '8:3 spec.ipFamilies: Forbidden: may not be set for ExternalName services',
      '9:3 spec.ipFamilyPolicy: Forbidden: may not be set for ExternalName services',
    ],
  ],
  ['V18 an ExternalName Service has a name', ['type: ExternalName'], ['4:1 spec.externalName: Required value']],
  [
    'V18 an external name is a DNS name',
    ['type: ExternalName', 'externalName: Foo_'],
    [`6:17 spec.externalName: Invalid value: "Foo_": ${DNS_SUBDOMAIN}`],
  ],
  ['V18 an external name may end with a dot', ['type: ExternalName', 'externalName: a.example.'], []],
  [
    'V19 a session affinity is ClientIP or None',
    ['sessionAffinity: x', PORT],
    ['5:20 spec.sessionAffinity: Unsupported value: "x": supported values: "ClientIP", "None"'],
  ],
  [
    'V20 None has no affinity config',
    ['sessionAffinityConfig: {clientIP: {timeoutSeconds: 10}}', PORT],
    ['5:3 spec.sessionAffinityConfig: Forbidden: must not be set when session affinity is None'],
  ],
  [
    'V21 an affinity lasts a day at most',
    ['sessionAffinity: ClientIP', 'sessionAffinityConfig: {clientIP: {timeoutSeconds: 0}}', PORT],
    [
      '6:54 spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 0: must be greater than 0 and less than 86400',
    ],
  ],
  [
    'V21 86401 seconds are too many, 86400 are not',
    ['sessionAffinity: ClientIP', 'sessionAffinityConfig: {clientIP: {timeoutSeconds: 86401}}', PORT],
    [
      '6:54 spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than 86400',
    ],
  ],
  [
    'V22 a virtual IP is an IP address',
    ['clusterIP: x', PORT],
    ['5:14 spec.clusterIPs[0]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'],
  ],
  [
    'V22 an IP address has no leading zeros',
    ['clusterIP: 10.0.0.01', PORT],
    ['5:14 spec.clusterIPs[0]: Invalid value: "10.0.0.01": must not have leading 0s'],
  ],
  [
    'V22 an IP address is not IPv4-mapped',
    ['clusterIP: "::ffff:10.0.0.1"', PORT],
    ['5:14 spec.clusterIPs[0]: Invalid value: "::ffff:10.0.0.1": must not be an IPv4-mapped IPv6 address'],
  ],
  [
    'V22 an IPv6 address is canonical',
    ['clusterIP: "FD00::1"', PORT],
    ['5:14 spec.clusterIPs[0]: Invalid value: "FD00::1": must be in canonical form ("fd00::1")'],
  ],
  [
    'V24 clusterIPs begins with clusterIP',
    ['clusterIP: 10.0.0.1', 'clusterIPs: [10.0.0.2]', PORT],
    ['6:15 spec.clusterIPs: Invalid value: ["10.0.0.2"]: first value must match `clusterIP`'],
  ],
  [
    'V24 None stands alone',
    ['clusterIP: None', 'clusterIPs: [None, 10.0.0.2]', PORT],
    ['6:15 spec.clusterIPs: Invalid value: ["None","10.0.0.2"]: \'None\' must be the first and only value'],
  ],
  [
    'V24 there are at most two virtual IPs',
    ['clusterIP: 10.0.0.1', 'clusterIPs: [10.0.0.1, "fd00::1", 10.0.0.2]', PORT],
    ['6:15 spec.clusterIPs: Invalid value: ["10.0.0.1","fd00::1","10.0.0.2"]: may only hold up to 2 values'],
  ],
  [
    'V24 there is one virtual IP a family',
    ['clusterIP: 10.0.0.1', 'clusterIPs: [10.0.0.1, 10.0.0.2]', PORT],
    [
      '6:15 spec.clusterIPs: Invalid value: ["10.0.0.1","10.0.0.2"]: may specify no more than one IP for each IP family',
    ],
  ],
  [
    'V24 a virtual IP is of the family in its place',
    ['clusterIP: 10.0.0.1', 'ipFamilies: [IPv6]', PORT],
    ['5:14 spec.clusterIPs[0]: Invalid value: "10.0.0.1": expected an IPv6 value as indicated by `ipFamilies[0]`'],
  ],
  [
    'V26 an external IP is none of this machine and no link-local one',
    ['externalIPs: [127.0.0.1, 0.0.0.0, 169.254.1.1, 224.0.0.1, 8.8.8.8]', PORT],
    [
      '5:17 spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
      '5:28 spec.externalIPs[1]: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)',
      '5:37 spec.externalIPs[2]: Invalid value: "169.254.1.1": may not be in the link-local range (169.254.0.0/16, fe80::/10)',
      '5:50 spec.externalIPs[3]: Invalid value: "224.0.0.1": may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)',
    ],
  ],
  [
    'V27 source ranges belong to a LoadBalancer',
    ['loadBalancerSourceRanges: [10.0.0.0/8]', PORT],
    ["5:3 spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'"],
  ],
  [
    'V27 source ranges are CIDR ranges, blanks around them allowed',
    ['type: LoadBalancer', 'loadBalancerSourceRanges: [x, 10.0.0.1/8, " 10.0.0.0/8 ", "2001:db8::/32"]', PORT],
    [
      '6:30 spec.LoadBalancerSourceRanges[0]: Invalid value: "x": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
      '6:33 spec.LoadBalancerSourceRanges[1]: Invalid value: "10.0.0.1/8": must not have bits set beyond the prefix length',
    ],
  ],
  [
    'V28 a load balancer class belongs to a LoadBalancer',
    ['loadBalancerClass: a.example/b', PORT],
    ["5:3 spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'"],
  ],
  [
    'V29 allocateLoadBalancerNodePorts belongs to a LoadBalancer',
    ['allocateLoadBalancerNodePorts: false', PORT],
    ["5:3 spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'"],
  ],
  [
    'V30 a Service nobody outside reaches has no external policy',
    ['externalTrafficPolicy: Local', PORT],
    ['5:26 spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services'],
  ],
  [
    'V30 external IPs make it one that is reached',
    ['externalTrafficPolicy: Local', 'externalIPs: [8.8.8.8]', PORT],
    [],
  ],
  [
    'V30 an external policy is Cluster or Local',
    ['type: NodePort', 'externalTrafficPolicy: x', PORT],
    ['6:26 spec.externalTrafficPolicy: Unsupported value: "x": supported values: "Cluster", "Local"'],
  ],
  [
    'V31 a health check port belongs to a local LoadBalancer',
    ['type: LoadBalancer', 'healthCheckNodePort: 30000', PORT],
    [
      "6:24 spec.healthCheckNodePort: Invalid value: 30000: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
    ],
  ],
  [
    'V32 an internal policy is Cluster or Local',
    ['internalTrafficPolicy: x', PORT],
    ['5:26 spec.internalTrafficPolicy: Unsupported value: "x": supported values: "Cluster", "Local"'],
  ],
  [
    'V33 a traffic distribution is one of three',
    ['trafficDistribution: x', PORT],
    [
      '5:24 spec.trafficDistribution: Unsupported value: "x": supported values: "PreferClose", "PreferSameNode", "PreferSameZone"',
    ],
  ],
  [
    'V34 an appProtocol is a qualified name',
    ['ports: [{port: 80, appProtocol: a b}]'],
    [`5:35 spec.ports[0].appProtocol: Invalid value: "a b": name part ${QUALIFIED}`],
  ],
  [
    'V35 a selector value is a label value',
    ['selector: {app: a b}', PORT],
    [`5:19 spec.selector: Invalid value: "a b": ${LABEL_VALUE}`],
  ],
]

for (const [rule, fields, expected] of rules) {
  t.test(rule, async (t) => {
    const { printed, resources } = decodeText(manifest('v1', 'Service', ...fields))
    t.same(printed, expected)
    t.equal(resources.length, expected.length === 0 ? 1 : 0, 'a Service with an error is left out')
  })
}

t.test('V1 a name is a DNS-1035 label', async (t) => {
  const { printed } = decodeText('apiVersion: v1\nkind: Service\nmetadata: {name: 1web}\nspec: {ports: [{port: 80}]}\n')
  t.same(printed, [`3:18 metadata.name: Invalid value: "1web": ${DNS_1035}`])
})

t.test('S10 a quoted port number is an error', async (t) => {
  const { diagnostics, printed } = decodeText(manifest('v1', 'Service', 'ports: [{port: "80"}]'))
  t.same(printed, ['5:18 spec.ports[0].port: Invalid value: "80": must be an integer'])
  t.equal(diagnostics[0]?.code, 'PORTICO_RES_FIELD_TYPE')
  t.equal(diagnostics[0]?.help, 'write 80 without quotes')
})

t.test('V14 the note points at the first of two', async (t) => {
  const { diagnostics } = decodeText(
    manifest('v1', 'Service', 'ports:', '- {port: 80, name: http}', '- {port: 81, name: http}'),
  )
  t.match(diagnostics[0]?.notes, [{ message: 'the first one is here', position: { line: 6, column: 22 } }])
})

t.test('V27 the annotation is checked as the field is', async (t) => {
  const text = (value: string): string => `apiVersion: v1
kind: Service
metadata:
  name: web
  annotations:
    service.beta.kubernetes.io/load-balancer-source-ranges: ${value}
spec: {type: LoadBalancer, ports: [{port: 80}]}
`
  t.same(decodeText(text('10.0.0.0/8, x')).printed, [
    '6:61 metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]: Invalid value: "x": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
  ])
  t.same(decodeOne('Service', text('10.0.0.0/8, 192.168.0.0/16')).loadBalancerSourceRanges, [
    '10.0.0.0/8',
    '192.168.0.0/16',
  ])
})

t.test('D3 to D12 absent fields have their defaults', async (t) => {
  const service = decodeOne('Service', manifest('v1', 'Service', PORT))
  t.match(service, {
    type: 'ClusterIP',
    meta: { namespace: 'default', name: 'web' },
    headless: false,
    internalTrafficPolicy: 'Cluster',
    externalTrafficPolicy: 'Cluster',
    allocateLoadBalancerNodePorts: true,
    publishNotReadyAddresses: false,
    ports: [{ name: '', protocol: 'TCP', port: 80, targetPort: 80, index: 0 }],
  })
  t.equal(service.sessionAffinity, undefined, 'D4 None')
  t.equal(service.ipFamilyPolicy, undefined, 'D11 one family')
  t.equal(service.selector, undefined)
  t.equal(service.clusterIP, undefined)
})

t.test('D6 an empty or zero target port is the port', async (t) => {
  const fields =
    'ports: [{port: 80, name: a, targetPort: 0}, {port: 81, name: b, targetPort: ""}, {port: 82, name: c, targetPort: web}]'
  const service = decodeOne('Service', manifest('v1', 'Service', fields))
  t.same(
    service.ports.map((port) => port.targetPort),
    [80, 81, 'web'],
  )
})

t.test('D7 a ClientIP affinity lasts three hours', async (t) => {
  const service = decodeOne('Service', manifest('v1', 'Service', 'sessionAffinity: ClientIP', PORT))
  t.same(service.sessionAffinity, { type: 'ClientIP', timeoutSeconds: 10_800 })
})

t.test('D12 clusterIP fills clusterIPs', async (t) => {
  const service = decodeOne('Service', manifest('v1', 'Service', 'clusterIP: None'))
  t.same(service.clusterIPs, ['None'])
  t.ok(service.headless)
})

t.test('all fields of a Service are read', async (t) => {
  const service = decodeOne(
    'Service',
    `${manifest(
      'v1',
      'Service',
      'type: LoadBalancer',
      'selector: {app: web}',
      'clusterIPs: [10.0.0.1, "fd00::1"]',
      'clusterIP: 10.0.0.1',
      'ipFamilies: [IPv4, IPv6]',
      'ipFamilyPolicy: RequireDualStack',
      'externalIPs: [8.8.8.8]',
      'loadBalancerIP: 9.9.9.9',
      'loadBalancerClass: acme.example/lb',
      'loadBalancerSourceRanges: [10.0.0.0/8]',
      'allocateLoadBalancerNodePorts: no',
      'externalTrafficPolicy: Local',
      'internalTrafficPolicy: Local',
      'healthCheckNodePort: 32000',
      'publishNotReadyAddresses: yes',
      'trafficDistribution: PreferSameZone',
      'ports: [{name: web, port: 80, targetPort: http, nodePort: 30080, appProtocol: kubernetes.io/h2c}]',
    )}status: {loadBalancer: {ingress: [{ip: 1.2.3.4, ipMode: VIP, ports: [{port: 80, protocol: TCP}]}, {hostname: lb.example}]}}\n`,
  )
  t.match(service, {
    type: 'LoadBalancer',
    selector: { app: 'web' },
    clusterIP: '10.0.0.1',
    clusterIPs: ['10.0.0.1', 'fd00::1'],
    ipFamilies: ['IPv4', 'IPv6'],
    ipFamilyPolicy: 'RequireDualStack',
    externalIPs: ['8.8.8.8'],
    loadBalancerIP: '9.9.9.9',
    loadBalancerClass: 'acme.example/lb',
    loadBalancerSourceRanges: ['10.0.0.0/8'],
    allocateLoadBalancerNodePorts: false,
    externalTrafficPolicy: 'Local',
    internalTrafficPolicy: 'Local',
    healthCheckNodePort: 32_000,
    publishNotReadyAddresses: true,
    trafficDistribution: 'PreferSameZone',
    ports: [{ name: 'web', port: 80, targetPort: 'http', nodePort: 30_080, appProtocol: 'kubernetes.io/h2c' }],
    loadBalancerIngress: [{ ip: '1.2.3.4' }, { hostname: 'lb.example' }],
  })
  t.ok(Object.isFrozen(service) && Object.isFrozen(service.ports) && Object.isFrozen(service.ports[0]))
})

t.test('a field of the wrong type causes no errors about its content', async (t) => {
  const { printed } = decodeText(manifest('v1', 'Service', 'ports: {port: 80}', 'type: [x]'))
  t.same(printed, [
    '5:10 spec.ports: Invalid value: {"port":80}: must be a list',
    '6:9 spec.type: Invalid value: ["x"]: must be a string',
  ])
})

t.test('V7 a protocol that is spoken over TCP is an appProtocol', async (t) => {
  for (const [written, help] of [
    ['HTTP', 'did you mean "TCP"? the protocol spoken over it goes into appProtocol'],
    ['https', 'did you mean "TCP"? the protocol spoken over it goes into appProtocol'],
    ['tcp', 'did you mean "TCP"?'],
    ['QUIC', undefined],
  ] as const) {
    const { diagnostics } = decodeText(manifest('v1', 'Service', `ports: [{port: 80, protocol: ${written}}]`))
    t.equal(diagnostics[0]?.help, help, written)
  }
})

t.test('the help for an ExternalName names the field that was written', async (t) => {
  const spec = ['type: ExternalName', 'externalName: a.example', 'clusterIP: 10.0.0.1']
  const { diagnostics } = decodeText(manifest('v1', 'Service', ...spec))
  t.match(diagnostics, [{ message: /^spec.clusterIPs: Forbidden/, help: 'remove clusterIP', position: { line: 7 } }])
})
