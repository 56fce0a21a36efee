import t from 'tap'
import { decodeOne, decodeText, manifest } from './decode-text.ts'

const NETWORKING = 'networking.k8s.io/v1'
const SUBDOMAIN =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
const WILDCARD =
  "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
const DNS_1035 =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"

const BACKEND = '{service: {name: web, port: {number: 80}}}'
const DEFAULT = `defaultBackend: ${BACKEND}`
const PATH = 'spec.rules[0].http.paths[0]'

function rule(host: string): string {
  return `rules: [{host: ${host}, http: {paths: [{path: /, pathType: Prefix, backend: ${BACKEND}}]}}]`
}
/** One rule; the path's fields are on lines 8 to 10. */
function path(text: string, pathType: string, backend: string = BACKEND): readonly string[] {
  return [
    'rules:',
    '- http:',
    '    paths:',
    `    - path: ${text}`,
    `      pathType: ${pathType}`,
    `      backend: ${backend}`,
  ]
}

/** What each rule says about the fields of a spec, which begin on line 5. */
const rules: readonly (readonly [rule: string, fields: readonly string[], expected: readonly string[]])[] = [
  [
    'W1 an Ingress has rules or a default backend',
    ['ingressClassName: a'],
    ['4:1 spec: Invalid value: null: either `defaultBackend` or `rules` must be specified'],
  ],
  ['W1 a default backend will do', [DEFAULT], []],
  [
    'W2 a host is no IP address',
    [rule('10.0.0.1')],
    ['5:18 spec.rules[0].host: Invalid value: "10.0.0.1": must be a DNS name, not an IP address'],
  ],
  [
    'W3 a host is in lower case',
    [rule('Foo.com')],
    [`5:18 spec.rules[0].host: Invalid value: "Foo.com": ${SUBDOMAIN}`],
  ],
  ['W3 a host has no port', [rule('"a.com:80"')], [`5:18 spec.rules[0].host: Invalid value: "a.com:80": ${SUBDOMAIN}`]],
  [
    'W3 a host has no underscore',
    [rule('a_b.com')],
    [`5:18 spec.rules[0].host: Invalid value: "a_b.com": ${SUBDOMAIN}`],
  ],
  [
    'W3 an international host is in its xn-- form (P16)',
    [rule('bücher.de')],
    [`5:18 spec.rules[0].host: Invalid value: "bücher.de": ${SUBDOMAIN}`],
  ],
  [
    'W3 a host has no dot at its end',
    [rule('a.com.')],
    [`5:18 spec.rules[0].host: Invalid value: "a.com.": ${SUBDOMAIN}`],
  ],
  ['W4 a star alone is no host (I-7)', [rule('"*"')], [`5:18 spec.rules[0].host: Invalid value: "*": ${WILDCARD}`]],
  [
    'W4 a star is a whole label',
    [rule('"*foo.com"')],
    [`5:18 spec.rules[0].host: Invalid value: "*foo.com": ${WILDCARD}`],
  ],
  [
    'W4 a star is the first label',
    [rule('a.*.com')],
    [`5:18 spec.rules[0].host: Invalid value: "a.*.com": ${WILDCARD}`],
  ],
  ['W4 a wildcard host is good', [rule('"*.foo.com"')], []],
  ['W5 http has paths', ['rules: [{http: {paths: []}}]'], ['5:26 spec.rules[0].http.paths: Required value']],
  [
    'W6 a path has a type, and the rest of it is checked without one too',
    ['rules: [{http: {paths: [{path: foo}]}}]'],
    [
      `5:27 ${PATH}.pathType: Required value: pathType must be specified`,
      `5:27 ${PATH}.backend: Invalid value: "": resource or service backend is required`,
      `5:34 ${PATH}.path: Invalid value: "foo": must be an absolute path`,
    ],
  ],
  [
    'W7 a path type is one of three',
    path('/', 'prefix'),
    [
      `9:19 ${PATH}.pathType: Unsupported value: "prefix": supported values: "Exact", "ImplementationSpecific", "Prefix"`,
    ],
  ],
  [
    'W8 a Prefix path is absolute',
    path('foo', 'Prefix'),
    [`8:15 ${PATH}.path: Invalid value: "foo": must be an absolute path`],
  ],
  [
    'W8 an Exact path is not empty',
    path('""', 'Exact'),
    [`8:15 ${PATH}.path: Invalid value: "": must be an absolute path`],
  ],
  ['W8 an ImplementationSpecific path may be empty', path('""', 'ImplementationSpecific'), []],
  [
    'W8 an ImplementationSpecific path is absolute if it is there',
    path('foo', 'ImplementationSpecific'),
    [`8:15 ${PATH}.path: Invalid value: "foo": must be an absolute path`],
  ],
  [
    'W9 a path has no sequence that is resolved before matching',
    path('/a//b/./c/../d%2fe%2Ff', 'Prefix'),
    ['//', '/./', '/../', '%2f', '%2F'].map(
      (sequence) => `8:15 ${PATH}.path: Invalid value: "/a//b/./c/../d%2fe%2Ff": must not contain '${sequence}'`,
    ),
  ],
  ['W9 an ImplementationSpecific path may have them', path('/a//b', 'ImplementationSpecific'), []],
  [
    'W10 a path does not end with two dots',
    path('/a/..', 'Exact'),
    [`8:15 ${PATH}.path: Invalid value: "/a/..": cannot end with '/..'`],
  ],
  [
    'W10 a path does not end with a dot',
    path('/a/.', 'Exact'),
    [`8:15 ${PATH}.path: Invalid value: "/a/.": cannot end with '/.'`],
  ],
  [
    'W11 a backend is of one kind (I-21)',
    path('/', 'Prefix', '{service: {name: web, port: {number: 80}}, resource: {kind: A, name: b}}'),
    [`10:18 ${PATH}.backend: Invalid value: "": cannot set both resource and service backends`],
  ],
  [
    'W12 a backend is of some kind',
    path('/', 'Prefix', '{}'),
    [`10:18 ${PATH}.backend: Invalid value: "": resource or service backend is required`],
  ],
  [
    'W12 the default backend too',
    ['defaultBackend: {}'],
    ['5:19 spec.defaultBackend: Invalid value: "": resource or service backend is required'],
  ],
  [
    'W13 a service has a name',
    path('/', 'Prefix', '{service: {port: {number: 80}}}'),
    [`10:19 ${PATH}.backend.service.name: Required value`],
  ],
  [
    'W13 a service name is a DNS-1035 label',
    path('/', 'Prefix', '{service: {name: Web, port: {number: 80}}}'),
    [`10:35 ${PATH}.backend.service.name: Invalid value: "Web": ${DNS_1035}`],
  ],
  [
    'W14 a port is a number or a name',
    path('/', 'Prefix', '{service: {name: web, port: {number: 80, name: http}}}'),
    [`10:46 ${PATH}.backend: Invalid value: "": cannot set both port name & port number`],
  ],
  [
    'W15 a service has a port',
    path('/', 'Prefix', '{service: {name: web}}'),
    [`10:19 ${PATH}.backend: Required value: port name or number is required`],
  ],
  [
    'W16 a port number is between 1 and 65535',
    path('/', 'Prefix', '{service: {name: web, port: {number: 70000}}}'),
    [`10:55 ${PATH}.backend.service.port.number: Invalid value: 70000: must be between 1 and 65535, inclusive`],
  ],
  [
    'W16 a port name has a letter',
    path('/', 'Prefix', '{service: {name: web, port: {name: "80"}}}'),
    [`10:53 ${PATH}.backend.service.port.name: Invalid value: "80": must contain at least one letter (a-z)`],
  ],
  [
    'W17 a tls host is a DNS name',
    [DEFAULT, 'tls: [{hosts: [Foo.com, "*.a.com", "*"]}]'],
    [
      `6:18 spec.tls[0].hosts[0]: Invalid value: "Foo.com": ${SUBDOMAIN}`,
      `6:38 spec.tls[0].hosts[2]: Invalid value: "*": ${WILDCARD}`,
    ],
  ],
  ['W17 an IP address passes for a tls host', [DEFAULT, 'tls: [{hosts: [10.0.0.1]}]'], []],
  [
    'W18 a secret name is a DNS name, or empty',
    [DEFAULT, 'tls: [{secretName: A}, {secretName: ""}]'],
    [`6:22 spec.tls[0].secretName: Invalid value: "A": ${SUBDOMAIN}`],
  ],
  [
    'W19 a class name is a DNS name',
    [DEFAULT, 'ingressClassName: A'],
    [`6:21 spec.ingressClassName: Invalid value: "A": ${SUBDOMAIN}`],
  ],
  [
    'W20 a resource has a kind and a name',
    ['defaultBackend: {resource: {apiGroup: a.example}}'],
    [
      '5:20 spec.defaultBackend.resource.kind: Required value',
      '5:20 spec.defaultBackend.resource.name: Required value',
    ],
  ],
]

for (const [name, fields, expected] of rules) {
  t.test(name, async (t) => {
    const { printed, resources } = decodeText(manifest(NETWORKING, 'Ingress', ...fields))
    t.same(printed, expected)
    t.equal(resources.length, expected.length === 0 ? 1 : 0, 'an Ingress with an error is left out')
  })
}

t.test('I-2 class field and class annotation agree', async (t) => {
  const text = (annotation: string): string =>
    `apiVersion: ${NETWORKING}\nkind: Ingress\nmetadata:\n  name: web\n  annotations:\n    kubernetes.io/ingress.class: ${annotation}\nspec:\n  ingressClassName: a\n  ${DEFAULT}\n`
  const { printed, diagnostics } = decodeText(text('b'))
  t.same(printed, [
    '6:34 annotations.kubernetes.io/ingress.class: Invalid value: "b": must match `ingressClassName` when both are specified',
  ])
  t.match(diagnostics[0]?.notes, [{ position: { line: 8, column: 21 } }])
  t.same(decodeText(text('a')).printed, [])
})

t.test('an Ingress is decoded whole', async (t) => {
  const ingress = decodeOne(
    'Ingress',
    `apiVersion: ${NETWORKING}
kind: Ingress
metadata:
  name: web
  namespace: shop
  labels: {app: web}
  annotations: {a.example/b: "1"}
  creationTimestamp: "2024-05-01T00:00:00Z"
  managedFields: [{manager: kubectl, operation: Apply, fieldsV1: {"f:spec": {}}}]
spec:
  ingressClassName: nginx
  defaultBackend: {resource: {apiGroup: a.example, kind: Bucket, name: b}}
  tls:
  - hosts: [a.example]
    secretName: a-tls
  - hosts: ["*.a.example"]
  rules:
  - host: a.example
    http:
      paths:
      - {path: /a, pathType: Exact, backend: {service: {name: one, port: {name: http}}}}
      - {pathType: ImplementationSpecific, backend: {service: {name: two, port: {number: 80}}}}
  - host: b.example
status: {loadBalancer: {ingress: [{ip: 1.2.3.4}]}}
`,
  )
  t.match(ingress, {
    meta: { name: 'web', namespace: 'shop', createdAt: Date.parse('2024-05-01T00:00:00Z') },
    ingressClassName: 'nginx',
    defaultBackend: { type: 'resource', apiGroup: 'a.example', kind: 'Bucket', name: 'b' },
    tls: [
      { hosts: ['a.example'], secretName: 'a-tls', index: 0 },
      { hosts: ['*.a.example'], secretName: undefined, index: 1 },
    ],
  })
  t.same(ingress.rules, [
    {
      host: 'a.example',
      index: 0,
      paths: [
        { path: '/a', pathType: 'Exact', index: 0, backend: { type: 'service', name: 'one', port: { name: 'http' } } },
        {
          path: '',
          pathType: 'ImplementationSpecific',
          index: 1,
          backend: { type: 'service', name: 'two', port: { number: 80 } },
        },
      ],
    },
    { host: 'b.example', paths: undefined, index: 1 },
  ])
  const place = ingress.origin.locate(['spec', 'rules', 0, 'http', 'paths', 1, 'backend', 'service', 'name'])
  t.match(place, { line: 22, column: 70, length: 3 })
})

for (const group of ['extensions/v1beta1', 'networking.k8s.io/v1beta1']) {
  t.test(`${group} is converted, with a warning`, async (t) => {
    const text = manifest(
      group,
      'Ingress',
      'backend: {serviceName: fallback, servicePort: http}',
      'rules: [{http: {paths: [{path: /a, backend: {serviceName: web, servicePort: 80}}]}}]',
    )
    const since = group === 'extensions/v1beta1' ? '1.14' : '1.19'
    const { printed, diagnostics } = decodeText(text)
    t.same(printed, [
      `1:13 warning ${group} Ingress is deprecated in v${since}+, unavailable in v1.22+; use networking.k8s.io/v1 Ingress`,
    ])
    t.equal(diagnostics[0]?.code, 'PORTICO_RES_KIND_DEPRECATED')
    const ingress = decodeOne('Ingress', text)
    t.same(ingress.defaultBackend, { type: 'service', name: 'fallback', port: { name: 'http' } })
    t.same(ingress.rules[0]?.paths?.[0], {
      path: '/a',
      pathType: 'ImplementationSpecific',
      index: 0,
      backend: { type: 'service', name: 'web', port: { number: 80 } },
    })
  })
}

t.test('a beta backend is checked as a v1 one is', async (t) => {
  const { printed } = decodeText(
    manifest(
      'extensions/v1beta1',
      'Ingress',
      'backend: {serviceName: Web, servicePort: 70000}',
      'rules: [{http: {paths: [{backend: {serviceName: web}}, {backend: {}}]}}]',
    ),
  )
  t.same(printed.slice(1), [
    `5:26 spec.backend.serviceName: Invalid value: "Web": ${DNS_1035}`,
    '5:44 spec.backend.servicePort: Invalid value: 70000: must be between 1 and 65535, inclusive',
    '6:28 spec.rules[0].http.paths[0].backend.servicePort: Required value: port name or number is required',
    '6:68 spec.rules[0].http.paths[1].backend: Invalid value: "": resource or service backend is required',
  ])
})

t.test('beta fields in a v1 Ingress are unknown, and the v1 form is told', async (t) => {
  const { printed, diagnostics, resources } = decodeText(
    manifest(NETWORKING, 'Ingress', ...path('/', 'Prefix', '{serviceName: web, servicePort: 80}')),
  )
  t.same(printed, [
    `10:18 ${PATH}.backend: Invalid value: "": resource or service backend is required`,
    `10:19 warning unknown field "${PATH}.backend.serviceName"`,
    `10:37 warning unknown field "${PATH}.backend.servicePort"`,
  ])
  t.match(diagnostics[0]?.help, 'that is the v1beta1 form; in v1 write service: {name: …, port: {number: …}}')
  t.same(resources, [])
})

t.test('a misspelt field is a warning with the right word, and the Ingress is used', async (t) => {
  const { diagnostics, resources } = decodeText(manifest(NETWORKING, 'Ingress', DEFAULT, 'ingresClassName: nginx'))
  t.match(diagnostics, [
    {
      code: 'PORTICO_RES_FIELD_UNKNOWN',
      severity: 'warning',
      message: 'unknown field "spec.ingresClassName"',
      help: 'did you mean "ingressClassName"?',
      resource: 'Ingress default/web',
      position: { line: 6, column: 3, length: 15, excerpt: '  ingresClassName: nginx' },
    },
  ])
  t.equal(resources.length, 1)
})

t.test('a field at the wrong depth is told where it belongs', async (t) => {
  const { diagnostics } = decodeText(manifest(NETWORKING, 'Ingress', DEFAULT, 'rules: [{host: a.example, tls: []}]'))
  t.match(diagnostics, [
    { message: 'unknown field "spec.rules[0].tls"', help: 'tls belongs in spec: check the indentation' },
  ])
})

t.test('a port written bare is told its form', async (t) => {
  const { diagnostics, printed } = decodeText(
    manifest(NETWORKING, 'Ingress', ...path('/', 'Prefix', '{service: {name: web, port: 80}}')),
  )
  t.same(printed, [`10:46 ${PATH}.backend.service.port: Invalid value: 80: must be a mapping`])
  t.equal(diagnostics[0]?.help, 'write port: {number: 80} or port: {name: http}')
})

t.test('every problem of an Ingress is told in one pass', async (t) => {
  const { printed } = decodeText(
    manifest(
      NETWORKING,
      'Ingress',
      'rules:',
      '- host: A',
      '  http: {paths: []}',
      '- host: 1.2.3.4',
      'tls: [{hosts: [on]}]',
      'ingressClassName: B',
    ),
  )
  t.same(
    printed.map((line) => line.split(' ').slice(0, 2).join(' ')),
    [
      '6:11 spec.rules[0].host:',
      '7:19 spec.rules[0].http.paths:',
      '8:11 spec.rules[1].host:',
      '9:18 spec.tls[0].hosts[0]:',
      '10:21 spec.ingressClassName:',
    ],
  )
})

t.test('W3 lower case is advised only where it helps', async (t) => {
  const help = (host: string): unknown => decodeText(manifest(NETWORKING, 'Ingress', rule(host))).diagnostics[0]?.help
  t.equal(help('Foo.com'), 'write it in lower case: foo.com')
  t.equal(help("'*.Foo.com'"), 'write it in lower case: *.foo.com')
  t.equal(help('__A-'), undefined)
})

t.test('a refused host or port comes with a replacement', async (t) => {
  const help = (host: string): unknown => decodeText(manifest(NETWORKING, 'Ingress', rule(host))).diagnostics[0]?.help
  t.equal(help('SHOP_x.localhost'), 'a host has no underscores: rename it, for example shop-x.localhost')
  const wildcard = 'a wildcard is the whole first label, and stands for one label: *.example.com'
  for (const host of ["'*.*.foo.com'", "'foo.*.com'", "'*foo.com'"]) t.equal(help(host), wildcard, host)
  t.equal(help("'*'"), 'leave host out to serve every host')
  const backend = 'defaultBackend: {service: {name: web, port: {number: 99999}}}'
  const { diagnostics } = decodeText(manifest(NETWORKING, 'Ingress', backend))
  t.equal(diagnostics[0]?.help, 'write a port that the Service "web" has')
})

t.test('W14 for a port by number and name the help says to keep one', async (t) => {
  const backend = '{service: {name: web, port: {number: 80, name: http}}}'
  const { diagnostics } = decodeText(manifest(NETWORKING, 'Ingress', `defaultBackend: ${backend}`))
  t.match(diagnostics, [{ help: 'keep one of name and number' }])
})
