/**
 * The rules of Service, EndpointSlice and Pod that show behind a route (docs/semantics.md), against a running gateway:
 * which endpoints a Service port leads to, and which protocol they are spoken to in.
 */
import t, { type Test } from 'tap'
import { makeCertificate } from './helpers/certificates.ts'
import { startEchoUpstream } from './helpers/echo-upstream.ts'
import { findAll } from './helpers/raw-client.ts'
import { type RunningGateway, runGateway, startEchoes, visit } from './helpers/running-gateway.ts'

const { a, b, c } = await startEchoes(t, 'a', 'b', 'c')

const serviceYaml = (name: string, spec: string, metadata: string = '') => `---
apiVersion: v1
kind: Service
metadata: {name: ${name}${metadata}}
spec: {${spec}}
`
type Words = Readonly<{ ports: string; endpoints: string; type?: string; metadata?: string }>
const sliceYaml = (service: string, words: Words, name: string = `${service}-slice`) => `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${name}, labels: {kubernetes.io/service-name: ${service}}${words.metadata ?? ''}}
addressType: ${words.type ?? 'IPv4'}
ports: ${words.ports}
endpoints: [${words.endpoints}]
`
const podYaml = (name: string, app: string, ports: string, status: string, metadata: string = '') => `---
apiVersion: v1
kind: Pod
metadata: {name: ${name}, labels: {app: ${app}}${metadata}}
spec: {containers: [{name: main, image: app, ports: [${ports}]}]}
status: {${status}}
`
const endpointsYaml = (name: string, subsets: string, metadata: string = '') => `---
apiVersion: v1
kind: Endpoints
metadata: {name: ${name}${metadata}}
subsets: [${subsets}]
`

/** An Ingress that gives the Service the host `<service>.test`. */
const ingressYaml = (service: string, port: string) => `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: ${service}}
spec:
  rules:
    - host: ${service}.test
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: ${service}, port: {${port}}}}}]}
`

const PORT = 'ports: [{port: 80}]'
const RUNNING = 'podIP: 127.0.0.1, phase: Running'
const LOCAL = '{addresses: [127.0.0.1]}'
const slice = (service: string, port: number, endpoints: string = LOCAL, metadata: string = '') =>
  sliceYaml(service, { ports: `[{port: ${port}}]`, endpoints, metadata }, `${service}-${port}`)

type Case = Readonly<{
  rule: string
  service: string
  /** Of the Ingress; `number: 80` when left out. */
  port?: string
  manifests: readonly string[]
  /** All that answer, in order of their names; or the status. */
  expected: readonly string[] | number
}>

/** One named case for each, all behind one gateway. */
async function testCases(
  t: Test,
  cases: readonly Case[],
  flags: Readonly<Record<string, string>> = {},
): Promise<RunningGateway> {
  const manifests = cases.flatMap(({ service, port = 'number: 80', manifests }) => [
    ...manifests,
    ingressYaml(service, port),
  ])
  const running = await runGateway(t, manifests.join(''), { flags })
  for (const { rule, service, expected } of cases) {
    t.test(rule, async (t) => {
      const answers: (string | number)[] = []
      for (let turn = 0; turn < 6; turn++) answers.push((await visit(running, `http://${service}.test/`)).answeredBy)
      const distinct = [...new Set(answers)].sort()
      t.same(distinct, typeof expected === 'number' ? [expected] : expected)
      if (typeof expected === 'number') return
      for (const name of expected) {
        t.equal(answers.filter((answer) => answer === name).length, 6 / expected.length, `${name} has its even share`)
      }
    })
  }
  return running
}

t.test('types and ports', async (t) => {
  await testCases(t, [
    {
      rule: 'S1 S7 a ClusterIP Service: the port of the slice is connected to, never port or targetPort',
      service: 'cluster-ip',
      manifests: [
        serviceYaml('cluster-ip', 'type: ClusterIP, ports: [{port: 80, targetPort: 1}]'),
        slice('cluster-ip', a.port),
      ],
      expected: ['a'],
    },
    {
      rule: 'S2 a NodePort Service is a pool behind its route',
      service: 'node-port',
      manifests: [
        serviceYaml('node-port', 'type: NodePort, ports: [{port: 80, nodePort: 30080}]'),
        slice('node-port', a.port),
      ],
      expected: ['a'],
    },
    {
      rule: 'S2 S13 its nodePort is no port to name',
      service: 'node-port-number',
      port: 'number: 30081',
      manifests: [
        serviceYaml('node-port-number', 'type: NodePort, ports: [{port: 80, nodePort: 30081}]'),
        slice('node-port-number', a.port),
      ],
      expected: 503,
    },
    {
      rule: 'S3 S20 a LoadBalancer Service is a pool behind its route, whatever its class and source ranges',
      service: 'balancer',
      manifests: [
        serviceYaml(
          'balancer',
          `type: LoadBalancer, loadBalancerClass: acme.example/lb, loadBalancerSourceRanges: [10.0.0.0/8], ${PORT}`,
        ),
        slice('balancer', a.port),
      ],
      expected: ['a'],
    },
    {
      rule: 'S5 S11 a headless Service: the port of the slice too',
      service: 'headless',
      manifests: [
        serviceYaml('headless', 'clusterIP: None, ports: [{port: 80, targetPort: 1}]'),
        slice('headless', a.port),
      ],
      expected: ['a'],
    },
    {
      rule: 'S6 of one number for TCP and UDP the TCP port counts',
      service: 'both',
      manifests: [
        serviceYaml('both', 'ports: [{name: udp, port: 80, protocol: UDP}, {name: tcp, port: 80}]'),
        sliceYaml('both', {
          ports: `[{name: udp, port: ${a.port}, protocol: UDP}, {name: tcp, port: ${b.port}}]`,
          endpoints: LOCAL,
        }),
      ],
      expected: ['b'],
    },
    {
      rule: 'S12 slice and Service port are joined by name, not by number',
      service: 'joined',
      manifests: [
        serviceYaml('joined', `ports: [{name: http, port: 80, targetPort: ${a.port}}, {name: other, port: 81}]`),
        sliceYaml('joined', {
          ports: `[{name: other, port: ${a.port}}, {name: http, port: ${b.port}}]`,
          endpoints: LOCAL,
        }),
      ],
      expected: ['b'],
    },
    {
      rule: 'S12 D13 an absent name joins an empty one',
      service: 'nameless',
      manifests: [
        serviceYaml('nameless', PORT),
        sliceYaml('nameless', {
          ports: `[{name: "", port: ${a.port}}, {name: http, port: ${b.port}}]`,
          endpoints: LOCAL,
        }),
      ],
      expected: ['a'],
    },
    {
      rule: 'D14 a slice without ports: the numeric targetPort',
      service: 'no-ports',
      manifests: [
        serviceYaml('no-ports', `ports: [{port: 80, targetPort: ${a.port}}]`),
        sliceYaml('no-ports', { ports: '[]', endpoints: LOCAL }),
      ],
      expected: ['a'],
    },
    {
      rule: 'D14 a port without a number leads nowhere',
      service: 'null-port',
      manifests: [serviceYaml('null-port', PORT), sliceYaml('null-port', { ports: '[{}]', endpoints: LOCAL })],
      expected: 503,
    },
  ])
})

t.test('Pods', async (t) => {
  const select = (app: string, port: string) =>
    `selector: {app: ${app}}, ports: [{name: http, port: 80, targetPort: ${port}}]`
  await testCases(t, [
    {
      rule: 'S8 a numeric targetPort holds for every Pod, declared or not',
      service: 'numeric',
      manifests: [serviceYaml('numeric', select('numeric', `${a.port}`)), podYaml('numeric-1', 'numeric', '', RUNNING)],
      expected: ['a'],
    },
    {
      rule: 'S8 S9 a named one is each Pod’s own number; Pods without it are left out; case and protocol count',
      service: 'named',
      manifests: [
        serviceYaml('named', select('named', 'web')),
        podYaml('named-1', 'named', `{name: web, containerPort: ${a.port}}`, RUNNING),
        podYaml(
          'named-2',
          'named',
          `{name: http, containerPort: ${c.port}}, {name: web, containerPort: ${c.port}, protocol: UDP}, {name: web, containerPort: ${b.port}}`,
          RUNNING,
        ),
        podYaml('named-3', 'named', `{name: http, containerPort: ${c.port}}`, RUNNING),
      ],
      expected: ['a', 'b'],
    },
    {
      rule: 'D6 without a targetPort it is the port',
      service: 'absent',
      port: `number: ${a.port}`,
      manifests: [
        serviceYaml('absent', `selector: {app: absent}, ports: [{port: ${a.port}}]`),
        podYaml('absent-1', 'absent', '', RUNNING),
      ],
      expected: ['a'],
    },
    {
      rule: 'S16 all labels must match, in the namespace of the Service',
      service: 'labels',
      manifests: [
        serviceYaml('labels', 'selector: {app: labels, tier: front}, ports: [{port: 80, targetPort: web}]'),
        podYaml('labels-1', 'labels, tier: front', `{name: web, containerPort: ${a.port}}`, RUNNING),
        podYaml('labels-2', 'labels, tier: back', `{name: web, containerPort: ${b.port}}`, RUNNING),
        podYaml(
          'labels-3',
          'labels, tier: front',
          `{name: web, containerPort: ${c.port}}`,
          RUNNING,
          ', namespace: far',
        ),
      ],
      expected: ['a'],
    },
    {
      rule: 'S16 an empty selector selects nothing',
      service: 'unselected',
      manifests: [serviceYaml('unselected', `selector: {}, ports: [{port: 80, targetPort: ${a.port}}]`)],
      expected: 503,
    },
    {
      rule: 'S17 finished Pods, Pods without an address and Pods that are not ready do not count',
      service: 'phases',
      manifests: [
        serviceYaml('phases', select('phases', 'web')),
        podYaml(
          'phases-1',
          'phases',
          `{name: web, containerPort: ${a.port}}`,
          `${RUNNING}, conditions: [{type: Ready, status: "True"}]`,
        ),
        podYaml('phases-2', 'phases', `{name: web, containerPort: ${b.port}}`, 'podIP: 127.0.0.1, phase: Succeeded'),
        podYaml('phases-3', 'phases', `{name: web, containerPort: ${b.port}}`, 'podIP: 127.0.0.1, phase: Failed'),
        podYaml('phases-4', 'phases', `{name: web, containerPort: ${b.port}}`, 'phase: Pending'),
        podYaml(
          'phases-5',
          'phases',
          `{name: web, containerPort: ${b.port}}`,
          `${RUNNING}, conditions: [{type: Ready, status: "False"}]`,
        ),
      ],
      expected: ['a'],
    },
    {
      rule: 'S18 publishNotReadyAddresses makes every selected Pod ready',
      service: 'published',
      manifests: [
        serviceYaml('published', `publishNotReadyAddresses: true, ${select('published', 'web')}`),
        podYaml('published-1', 'published', `{name: web, containerPort: ${a.port}}`, RUNNING),
        podYaml(
          'published-2',
          'published',
          `{name: web, containerPort: ${b.port}}`,
          `${RUNNING}, conditions: [{type: Ready, status: "False"}]`,
        ),
      ],
      expected: ['a', 'b'],
    },
  ])
})

t.test('slices', async (t) => {
  const state = (conditions: string) => `{addresses: [127.0.0.1], conditions: {${conditions}}}`
  await testCases(t, [
    {
      rule: 'S15 S26a every ready endpoint has its turn, and no other',
      service: 'ready',
      manifests: [
        serviceYaml('ready', PORT),
        slice('ready', a.port),
        slice('ready', b.port),
        slice('ready', c.port, state('ready: false')),
      ],
      expected: ['a', 'b'],
    },
    {
      rule: 'D15 an absent or null state is ready',
      service: 'null-state',
      manifests: [serviceYaml('null-state', PORT), slice('null-state', a.port, state('ready: null'))],
      expected: ['a'],
    },
    {
      rule: 'S26c without a ready one, those that serve while they terminate',
      service: 'leaving',
      manifests: [
        serviceYaml('leaving', PORT),
        slice('leaving', a.port, state('ready: false, serving: true, terminating: true')),
        slice('leaving', b.port, state('ready: false, serving: false, terminating: true')),
        slice('leaving', c.port, state('ready: false, serving: true, terminating: false')),
      ],
      expected: ['a'],
    },
    {
      rule: 'S26e S27 nothing left is 503',
      service: 'gone',
      manifests: [
        serviceYaml('gone', PORT),
        slice('gone', a.port, state('ready: false, serving: false, terminating: true')),
      ],
      expected: 503,
    },
    {
      rule: 'S28 an address in two slices counts once',
      service: 'twice',
      manifests: [
        serviceYaml('twice', PORT),
        slice('twice', a.port),
        sliceYaml('twice', { ports: `[{port: ${a.port}}]`, endpoints: LOCAL }, 'twice-again'),
        slice('twice', b.port),
      ],
      expected: ['a', 'b'],
    },
    {
      rule: 'S29 the label and the namespace say whose slice it is; slices go before Endpoints',
      service: 'owned',
      manifests: [
        serviceYaml('owned', PORT),
        sliceYaml('owned', { ports: `[{port: ${a.port}}]`, endpoints: LOCAL }, 'any-name'),
        sliceYaml(
          'owned',
          { ports: `[{port: ${b.port}}]`, endpoints: LOCAL, metadata: ', namespace: far' },
          'owned-far',
        ),
        endpointsYaml('owned', `{addresses: [{ip: 127.0.0.1}], ports: [{port: ${c.port}}]}`),
      ],
      expected: ['a'],
    },
    {
      rule: 'S29 Endpoints that are not to be mirrored do not count',
      service: 'unmirrored',
      manifests: [
        serviceYaml('unmirrored', PORT),
        endpointsYaml(
          'unmirrored',
          `{addresses: [{ip: 127.0.0.1}], ports: [{port: ${a.port}}]}`,
          ', labels: {endpointslice.kubernetes.io/skip-mirror: "true"}',
        ),
      ],
      expected: 503,
    },
    {
      rule: 'S30 Endpoints are addresses times ports of a subset; those not ready do not count',
      service: 'subsets',
      manifests: [
        serviceYaml('subsets', PORT),
        endpointsYaml(
          'subsets',
          `{addresses: [{ip: 127.0.0.1}], ports: [{port: ${a.port}}]}, {addresses: [{ip: 127.0.0.1}], ports: [{port: ${b.port}}]}, {notReadyAddresses: [{ip: 127.0.0.1}], ports: [{port: ${c.port}}]}`,
        ),
      ],
      expected: ['a', 'b'],
    },
    {
      rule: 'S31 of several addresses of an endpoint the first counts',
      service: 'addresses',
      manifests: [serviceYaml('addresses', PORT), slice('addresses', a.port, '{addresses: [127.0.0.1, 127.0.0.2]}')],
      expected: ['a'],
    },
    {
      rule: 'S31 an FQDN address is resolved',
      service: 'fqdn',
      manifests: [
        serviceYaml('fqdn', PORT),
        sliceYaml('fqdn', { type: 'FQDN', ports: `[{port: ${a.port}}]`, endpoints: '{addresses: [localhost]}' }),
      ],
      expected: ['a'],
    },
  ])
})

t.test('topology', async (t) => {
  const on = (node: string, zone: string, hints: string = '') =>
    `{addresses: [127.0.0.1], nodeName: ${node}, zone: ${zone}${hints}}`
  const cases = (known: boolean): Case[] => [
    {
      rule: known
        ? 'S22 internalTrafficPolicy Local keeps to this node'
        : 'S23 Local is Cluster where the node is not known',
      service: 'local',
      manifests: [
        serviceYaml('local', `internalTrafficPolicy: Local, ${PORT}`),
        slice('local', a.port, on('n1', 'z1')),
        slice('local', b.port, on('n2', 'z1')),
      ],
      expected: known ? ['a'] : ['a', 'b'],
    },
    {
      rule: known ? 'S22 S26e with none on this node the answer is 503' : 'S23 also with none on any named node',
      service: 'away',
      manifests: [serviceYaml('away', `internalTrafficPolicy: Local, ${PORT}`), slice('away', a.port, on('n2', 'z1'))],
      expected: known ? 503 : ['a'],
    },
    {
      rule: known ? 'S26d the fallback keeps to this node too' : 'S26d the fallback of every node',
      service: 'local-leaving',
      manifests: [
        serviceYaml('local-leaving', `internalTrafficPolicy: Local, ${PORT}`),
        slice(
          'local-leaving',
          a.port,
          on('n1', 'z1', ', conditions: {ready: false, serving: true, terminating: true}'),
        ),
        slice('local-leaving', b.port, on('n2', 'z1')),
      ],
      expected: known ? ['a'] : ['b'],
    },
    {
      rule: `S21 externalTrafficPolicy never touches a route (node ${known ? '' : 'not '}known)`,
      service: 'external',
      manifests: [
        serviceYaml('external', `type: NodePort, externalTrafficPolicy: Local, ${PORT}`),
        slice('external', a.port, on('n2', 'z1')),
      ],
      expected: ['a'],
    },
    {
      rule: known ? 'S25 S26b a hint for this zone is followed' : 'S26b hints mean nothing where the zone is not known',
      service: 'zone',
      manifests: [
        serviceYaml('zone', `trafficDistribution: PreferSameZone, ${PORT}`),
        slice('zone', a.port, on('n1', 'z1', ', hints: {forZones: [{name: z1}]}')),
        slice('zone', b.port, on('n2', 'z2', ', hints: {forZones: [{name: z2}]}')),
      ],
      expected: known ? ['a'] : ['a', 'b'],
    },
    {
      rule: `S26b one endpoint without a hint switches hints off (zone ${known ? '' : 'not '}known)`,
      service: 'hintless',
      manifests: [
        serviceYaml('hintless', PORT),
        slice('hintless', a.port, on('n1', 'z1', ', hints: {forZones: [{name: z1}]}')),
        slice('hintless', b.port, on('n2', 'z2')),
      ],
      expected: ['a', 'b'],
    },
  ]
  await testCases(t, cases(false))
  await testCases(t, cases(true), { nodeName: 'n1', zone: 'z1' })
})

t.test('external names', async (t) => {
  const external = (more: string = '') => `type: ExternalName, externalName: localhost${more}`
  const cases = (allowed: boolean): Case[] => [
    {
      rule: allowed ? 'S33 allowed, any number is connected to' : 'S33 localhost is refused',
      service: 'any',
      port: `number: ${a.port}`,
      manifests: [serviceYaml('any', external())],
      expected: allowed ? ['a'] : 503,
    },
    {
      rule: allowed
        ? 'S33 a name is the Service port of that name, connected to at its targetPort'
        : 'S33 also by a name of a port',
      service: 'by-name',
      port: 'name: http',
      manifests: [serviceYaml('by-name', external(`, ports: [{name: http, port: ${b.port}, targetPort: ${a.port}}]`))],
      expected: allowed ? ['a'] : 503,
    },
    {
      rule: allowed ? 'S4 its selector is ignored' : 'S4 a selector does not change that',
      service: 'selecting',
      port: `number: ${a.port}`,
      manifests: [
        serviceYaml('selecting', external(', selector: {app: selecting}')),
        podYaml('selecting-1', 'selecting', '', 'podIP: 127.0.0.9, phase: Running'),
      ],
      expected: allowed ? ['a'] : 503,
    },
    {
      rule: allowed ? 'S33 an address passes for a name' : 'S33 a loopback address is refused',
      service: 'address',
      port: `number: ${a.port}`,
      manifests: [serviceYaml('address', 'type: ExternalName, externalName: 127.0.0.1')],
      expected: allowed ? ['a'] : 503,
    },
  ]
  await testCases(t, cases(false))
  const running = await testCases(t, cases(true), { 'externalNames.allowPrivate': 'true' })
  t.test('S33 Host stays the client’s', async (t) => {
    const { echo } = await visit(running, 'http://any.test/')
    t.same(findAll(echo?.headers ?? [], 'host'), ['any.test'])
  })
})

t.test('S14 appProtocol says how endpoints are spoken to', async (t) => {
  const { certificate, key } = await makeCertificate({ names: ['localhost'] })
  const secure = await startEchoUpstream({ name: 'secure', tls: { cert: certificate, key } })
  t.teardown(() => secure.close())
  const speaks = (service: string, appProtocol: string, port: number, expected: readonly string[] | number): Case => ({
    rule: `S14 ${appProtocol}`,
    service,
    manifests: [
      serviceYaml(service, `ports: [{port: 80, appProtocol: ${appProtocol}}]`),
      // S14: the Service is the intent where the slice differs.
      sliceYaml(service, { ports: `[{port: ${port}, appProtocol: example.com/other}]`, endpoints: LOCAL }),
    ],
    expected,
  })
  await testCases(
    t,
    [
      speaks('http', 'http', a.port, ['a']),
      speaks('ws', 'kubernetes.io/ws', a.port, ['a']),
      speaks('https', 'https', secure.port, ['secure']),
      speaks('wss', 'kubernetes.io/wss', secure.port, ['secure']),
      speaks('unknown', 'example.com/unknown', a.port, ['a']),
      speaks('https-to-plain', 'https', a.port, 502),
    ],
    { 'upstream.verifyTls': 'false' },
  )
})
