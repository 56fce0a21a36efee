import t from 'tap'
import { translateText } from '../manifests.ts'

const PODS = `apiVersion: v1
kind: Pod
metadata: {name: web-0, labels: {app: web}}
spec:
  containers:
    - name: web
      ports: [{name: http, containerPort: 8080}]
      readinessProbe:
        httpGet: {port: http, path: /ready, scheme: HTTPS, httpHeaders: [{name: X-A, value: b}]}
        periodSeconds: 5
        timeoutSeconds: 2
        successThreshold: 2
        failureThreshold: 4
        initialDelaySeconds: 30
    - {name: sidecar, ports: [{name: http, containerPort: 9090}], readinessProbe: {tcpSocket: {port: http}}}
    - {name: lost, readinessProbe: {tcpSocket: {port: nowhere}}}
    - {name: orders, readinessProbe: {grpc: {port: 9000, service: orders}}}
    - {name: other, livenessProbe: {tcpSocket: {port: 1}}, startupProbe: {tcpSocket: {port: 2}}}
  initContainers:
    - {name: setup, readinessProbe: {tcpSocket: {port: 3}}}
    - {name: proxy, restartPolicy: Always, readinessProbe: {httpGet: {port: 15021, host: 10.0.0.9}}}
status: {podIP: 10.0.0.1}
---
`
const service = (spec: string) => `apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}], ${spec}}
---
`
const slice = (address: string) => `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: "", port: 80}]
endpoints: [{addresses: ["${address}"], targetRef: {kind: Pod, name: web-0}}]
---
`

function probesOf(text: string) {
  const { model, diagnostics } = translateText(text)
  t.same(
    diagnostics.map(({ message }) => message),
    [],
  )
  return model.upstreams.get('default/web:80')!.endpoints.map(({ probes }) => probes)
}

t.test(
  'the readiness probes of a Pod, each with the ports of its container and the defaults of the API server',
  async (t) => {
    const defaults = { interval: 10_000, timeout: 1_000, healthyThreshold: 1, unhealthyThreshold: 3 }
    const none = { host: '', path: '', scheme: 'HTTP', headers: [], service: '' }
    t.same(probesOf(PODS + service('')), [
      [
        {
          type: 'http',
          host: '',
          port: 8080,
          path: '/ready',
          scheme: 'HTTPS',
          headers: [['X-A', 'b']],
          service: '',
          interval: 5_000,
          timeout: 2_000,
          healthyThreshold: 2,
          unhealthyThreshold: 4,
        },
        { ...none, ...defaults, type: 'tcp', port: 9090 },
        { ...none, ...defaults, type: 'grpc', port: 9000, service: 'orders' },
        { ...none, ...defaults, type: 'http', port: 15021, host: '10.0.0.9', path: '/' },
      ],
    ])
  },
)

t.test('a Service that wants its Pods whether they are ready or not has none', async (t) => {
  t.same(probesOf(PODS + service('publishNotReadyAddresses: true')), [undefined])
})

t.test(
  'an EndpointSlice that names a Pod which is given too is probed as that, where the address is the same',
  async (t) => {
    t.match(probesOf(PODS + service('') + slice('10.0.0.1')), [[{ path: '/ready', port: 8080 }, {}, {}, {}]])
    t.same(probesOf(PODS + service('') + slice('10.0.0.2')), [undefined])
    t.same(probesOf(PODS + service('publishNotReadyAddresses: true') + slice('10.0.0.1')), [undefined])
  },
)
