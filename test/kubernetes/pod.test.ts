import t from 'tap'
import { decodeOne, decodeText } from './decode-text.ts'

t.test('a Pod is decoded to what makes it an endpoint', async (t) => {
  const pod = decodeOne(
    'Pod',
    `apiVersion: v1
kind: Pod
metadata: {name: web-0, labels: {app: web}}
spec:
  hostname: web-0
  subdomain: web
  nodeName: node-1
  volumes: [{name: x, emptyDir: {}}]
  containers:
  - name: a
    image: a
    resources: {limits: {cpu: 1}}
    ports: [{name: http, containerPort: 8080}, {containerPort: 53, protocol: UDP}]
    readinessProbe: {httpGet: {port: http, path: /ready, scheme: HTTPS, httpHeaders: [{name: Host, value: a}]}, periodSeconds: 5}
  initContainers:
  - {name: setup, ports: [{containerPort: 1}]}
  - {name: sidecar, restartPolicy: Always, ports: [{name: metrics, containerPort: 9090}]}
status:
  phase: Running
  podIP: 10.0.0.1
  podIPs: [{ip: 10.0.0.1}, {ip: "fd00::1"}]
  conditions: [{type: Ready, status: "True"}]
`,
  )
  t.match(pod, {
    podIPs: ['10.0.0.1', 'fd00::1'],
    phase: 'Running',
    ready: true,
    terminating: false,
    hostname: 'web-0',
    subdomain: 'web',
    nodeName: 'node-1',
  })
  t.same(
    pod.ports,
    [
      { name: 'http', containerPort: 8080, protocol: 'TCP' },
      { name: '', containerPort: 53, protocol: 'UDP' },
      { name: 'metrics', containerPort: 9090, protocol: 'TCP' },
    ],
    'S8, D18: containers, then sidecars',
  )
  t.same(pod.readinessProbes, [
    {
      type: 'http',
      host: '',
      path: '/ready',
      port: 8080,
      scheme: 'HTTPS',
      headers: [['Host', 'a']],
      service: '',
      periodSeconds: 5,
      timeoutSeconds: 1,
      successThreshold: 1,
      failureThreshold: 3,
    },
  ])
})

t.test('a Pod that says nothing of its state', async (t) => {
  const pod = decodeOne('Pod', 'apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a}]}\n')
  t.match(pod, { podIPs: [], phase: undefined, ready: undefined, ports: [], readinessProbes: [] })
})

for (const [probe, expected] of [
  ['{tcpSocket: {port: 5432}}', { type: 'tcp', port: 5432, periodSeconds: 10 }],
  ['{grpc: {port: 9000}}', { type: 'grpc', port: 9000 }],
  ['{exec: {command: [ls]}}', { type: 'exec' }],
  ['{httpGet: {port: 80}}', { type: 'http', port: 80, path: '/', scheme: 'HTTP' }],
] as const) {
  t.test(`a readiness probe ${probe}`, async (t) => {
    const text = `apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, readinessProbe: ${probe}}]}\n`
    t.match(decodeOne('Pod', text).readinessProbes, [expected])
  })
}

t.test('only the fields that Portico reads are checked', async (t) => {
  const text =
    'apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {newField: 1, containers: [{name: a, newer: 2, ports: [{containerPort: 0}]}]}\n'
  t.same(decodeText(text).printed, [
    '4:78 spec.containers[0].ports[0].containerPort: Invalid value: 0: must be between 1 and 65535, inclusive',
  ])
})
