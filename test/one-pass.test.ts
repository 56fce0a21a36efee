import t from 'tap'
import { loadConfiguration } from '../lib/control/configuration.ts'
import { makeCertificate } from './helpers/certificates.ts'

/** Each error and warning as `line code`. */
async function check(text: string): Promise<readonly string[]> {
  const { diagnostics } = await loadConfiguration({ sources: ['-'], stdin: text, flags: {}, environment: {} })
  return diagnostics
    .filter(({ severity }) => severity !== 'info')
    .map(({ code, position }) => `${position?.line} ${code.replace('PORTICO_', '')}`)
}

const OF_WEB = '{service: {name: web, port: {number: 80}}}'
const WEB = `apiVersion: v1
kind: Service
metadata: {name: web, annotations: {portico.dev/endpoints: "127.0.0.1:9000"}}
spec: {ports: [{port: 80}]}
`

for (const [name, text, expected] of [
  [
    'a port and two annotations of a Service',
    `apiVersion: v1
kind: Service
metadata:
  name: web
  annotations:
    portico.dev/tries: "x"
    portico.dev/balancr: random
    portico.dev/layer: L5
spec:
  ports: [{port: 0}]
`,
    ['6 ANN_VALUE', '7 ANN_UNKNOWN', '8 ANN_VALUE', '10 RES_FIELD_VALUE'],
  ],
  [
    'the affinity and the policy of a Service',
    `apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  ports: [{port: 80}]
  sessionAffinity: Client
  sessionAffinityConfig: {clientIP: {timeoutSeconds: -1}}
  externalTrafficPolicy: Locl
  clusterIPs: ["10.0.0.1", x]
  ipFamilies: [IPv6]
`,
    [
      '6 RES_FIELD_VALUE',
      '7 RES_FIELD_VALUE',
      '8 RES_FIELD_VALUE',
      '8 RES_FIELD_VALUE',
      '9 RES_FIELD_VALUE',
      '9 RES_FIELD_VALUE',
      '9 RES_FIELD_VALUE',
    ],
  ],
  [
    'a path and annotations of an Ingress',
    `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  annotations:
    portico.dev/tries: "x"
    portico.dev/trys: "2"
spec:
  rules:
    - http:
        paths:
          - {path: a, pathType: Prefix, backend: ${OF_WEB}}
---
${WEB}`,
    ['6 ANN_VALUE', '7 ANN_UNKNOWN', '12 RES_FIELD_VALUE'],
  ],
  [
    'a pattern, and a path that cannot match, beside a bad host',
    `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  rules:
    - host: A_B
      http:
        paths:
          - {path: "/a(.*)", pathType: ImplementationSpecific, backend: ${OF_WEB}}
          - {path: "/%zz", pathType: Prefix, backend: ${OF_WEB}}
---
${WEB}`,
    ['6 RES_FIELD_VALUE', '9 ROUTE_IMPLEMENTATION_SPECIFIC', '10 ROUTE_UNREACHABLE'],
  ],
  [
    'a path without a type',
    `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  rules:
    - http:
        paths:
          - path: a
            backend:
              service:
                name: Web
                port: {number: 0}
`,
    ['8 RES_FIELD_REQUIRED', '8 RES_FIELD_VALUE', '11 RES_FIELD_VALUE', '12 RES_FIELD_REQUIRED'],
  ],
  [
    'backends',
    `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  rules:
    - http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              resource: {name: x}
              service:
                name: Web
                port: {number: 70000, name: "80"}
          - path: /gone
            pathType: Prefix
            backend:
              service:
                name: gone
`,
    [
      '11 RES_FIELD_REQUIRED',
      '11 RES_FIELD_VALUE',
      '13 RES_FIELD_VALUE',
      '14 RES_FIELD_VALUE',
      '14 RES_FIELD_VALUE',
      '14 RES_FIELD_VALUE',
      '18 RES_FIELD_REQUIRED',
      '19 REF_SERVICE_NOT_FOUND',
    ],
  ],
  [
    'subsets of Endpoints',
    `apiVersion: v1
kind: Endpoints
metadata: {name: web}
subsets:
  - addresses: [{ip: x, hostname: A_B}]
    ports: [{port: 0}, {name: B_, port: 1}]
  - {}
`,
    [
      '5 RES_FIELD_VALUE',
      '5 RES_FIELD_VALUE',
      '6 RES_FIELD_REQUIRED',
      '6 RES_FIELD_VALUE',
      '6 RES_FIELD_VALUE',
      '7 RES_FIELD_REQUIRED',
    ],
  ],
  [
    'an EndpointSlice with too many ports',
    `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web, annotations: {portico.dev/backup: "y"}}
addressType: IPv4
ports: [{port: 0}, ${Array.from({ length: 100 }, (_, index) => `{name: p${index}, port: 1}`).join(', ')}]
endpoints:
  - addresses: [x]
`,
    ['3 ANN_VALUE', '5 RES_FIELD_VALUE', '5 RES_FIELD_VALUE', '7 RES_FIELD_VALUE'],
  ],
  [
    'a Secret',
    `apiVersion: v1
kind: Secret
metadata: {name: S_}
type: kubernetes.io/tls
data:
  a: "!"
  b/: ""
typ: x
`,
    [
      '3 RES_FIELD_VALUE',
      '5 RES_FIELD_REQUIRED',
      '5 RES_FIELD_REQUIRED',
      '6 RES_FIELD_VALUE',
      '7 RES_FIELD_VALUE',
      '8 RES_FIELD_UNKNOWN',
    ],
  ],
  [
    'a ConfigMap',
    `apiVersion: v1
kind: ConfigMap
metadata: {name: C_}
data: {a/: x}
binaryData: {b: "!", c/: ""}
dat: {}
`,
    ['3 RES_FIELD_VALUE', '4 RES_FIELD_VALUE', '5 RES_FIELD_VALUE', '5 RES_FIELD_VALUE', '6 RES_FIELD_UNKNOWN'],
  ],
  [
    'the settings',
    `apiVersion: portico.dev/v1alpha1
kind: GatewayConfiguration
http: {port: x}
htps: {}
endpoints:
  web: ["a"]
  default/api: ["b"]
services:
  web: {balancr: random}
  default/api: {balancer: x}
`,
    [
      '3 SET_FIELD_VALUE',
      '4 SET_FIELD_UNKNOWN',
      '6 SET_FIELD_VALUE',
      '6 SET_FIELD_VALUE',
      '7 SET_FIELD_VALUE',
      '9 SET_FIELD_VALUE',
      '9 SET_FIELD_VALUE',
      '10 SET_FIELD_VALUE',
    ],
  ],
] as const) {
  t.test(`all problems in one pass: ${name}`, async (t) => {
    t.same([...(await check(text))].toSorted(compare), [...expected].toSorted(compare))
  })
}

function compare(a: string, b: string): number {
  return Number.parseInt(a, 10) - Number.parseInt(b, 10) || (a < b ? -1 : Number(a > b))
}

t.test('an expired certificate is reported beside a key that does not match', async (t) => {
  const old = await makeCertificate({
    names: ['a.test'],
    notBefore: new Date('2020-01-01'),
    notAfter: new Date('2021-01-01'),
  })
  const other = await makeCertificate({ names: ['a.test'] })
  const base64 = (text: string): string => Buffer.from(text).toString('base64')
  const tls = `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  tls: [{hosts: [a.test], secretName: s}]
  rules: [{host: a.test, http: {paths: [{path: /, pathType: Prefix, backend: ${OF_WEB}}]}}]
---
${WEB}---
apiVersion: v1
kind: Secret
metadata: {name: s}
data:
  tls.crt: ${base64(old.certificate)}
`
  t.same(await check(`${tls}  tls.key: ${base64(other.key)}\n`), ['15 TLS_EXPIRED', '15 TLS_KEY_MISMATCH'])
  t.same(await check(tls), ['15 TLS_CERTIFICATE_INVALID', '15 TLS_EXPIRED'])
  t.same(await check(`${tls.replace(/tls.crt: .*/, 'tls.crt: eA==')}  tls.key: eA==\n`), [
    '15 TLS_CERTIFICATE_INVALID',
    '15 TLS_CERTIFICATE_INVALID',
  ])
})
