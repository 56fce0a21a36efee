import fc from 'fast-check'
import t from 'tap'
import { decodeText } from './decode-text.ts'

const SERVICE = 'metadata: {name: web}\nspec: {ports: [{port: 80}]}\n'

t.test('documents, lists and lists of one kind are taken apart, positions kept', async (t) => {
  const { resources, objects, printed } = decodeText(`apiVersion: v1
kind: Service
${SERVICE}---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Namespace
  metadata: {name: a}
- apiVersion: v1
  kind: List
  items:
  - apiVersion: v1
    kind: ConfigMap
    metadata: {name: b}
  - apiVersion: v1
    kind: ConfigMap
    metadata: {name: B_}
---
apiVersion: v1
kind: ServiceList
items:
- metadata: {name: c}
  spec: {ports: [{port: 80}]}
- metadata: {name: d}
  spec: {ports: [{port: 0}]}
`)
  t.same(
    resources.map(({ kind, meta }) => `${kind} ${meta.name}`),
    ['Service web', 'Namespace a', 'ConfigMap b', 'Service c'],
  )
  t.equal(objects, 6)
  t.match(printed, [
    /^20:22 metadata.name: Invalid value: "B_"/,
    '28:25 spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive',
  ])
  t.match(resources[3]?.origin.locate(['metadata', 'name']), { line: 25, column: 20 })
})

t.test('JSON is read as YAML is', async (t) => {
  const json = JSON.stringify(
    { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web' }, spec: { ports: [{ port: 0 }] } },
    null,
    '\t',
  )
  t.same(decodeText(json, 'web.json').printed, [
    '10:13 spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive',
  ])
})

t.test('settings are set aside, in lists too', async (t) => {
  const { settings, resources, printed } = decodeText(`apiVersion: portico.dev/v1alpha1
kind: GatewayConfiguration
http: {port: x}
---
apiVersion: v1
kind: List
items:
- {apiVersion: portico.dev/v1alpha1, kind: GatewayConfiguration, https: {port: 1}}
`)
  t.same(printed, [])
  t.same(resources, [])
  t.equal(settings.length, 2)
  t.match(settings[1]?.origin.locate(['https', 'port']), { line: 8, column: 80 })
})

for (const [apiVersion, kind] of [
  ['apps/v1', 'Deployment'],
  ['batch/v1beta1', 'CronJob'],
  ['v1', 'ServiceAccount'],
  ['v1', 'PersistentVolumeClaim'],
  ['rbac.authorization.k8s.io/v1', 'ClusterRole'],
  ['autoscaling/v2', 'HorizontalPodAutoscaler'],
  ['policy/v1', 'PodDisruptionBudget'],
  ['apiextensions.k8s.io/v1', 'CustomResourceDefinition'],
  ['kustomize.config.k8s.io/v1beta1', 'Kustomization'],
  ['resource.k8s.io/v1', 'SomethingOfNextYear'],
  ['cert-manager.io/v1', 'Certificate'],
  ['monitoring.coreos.com/v1', 'ServiceMonitor'],
  ['networking.istio.io/v1', 'ServiceEntry'],
  ['config.openshift.io/v1', 'Ingress'],
] as const) {
  t.test(`${apiVersion} ${kind} passes in silence`, async (t) => {
    const { printed, resources, objects } = decodeText(
      `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: A_}\nspec: 1\n`,
    )
    t.same(printed, [])
    t.same(resources, [])
    t.equal(objects, 1)
  })
}

const ROUTES = 'is not served: what it routes is not reachable here'
const GUARDS = 'is not enforced: nothing here guards what it guards'

for (const [apiVersion, kind, what] of [
  ['gateway.networking.k8s.io/v1', 'Gateway', ROUTES],
  ['gateway.networking.k8s.io/v1', 'HTTPRoute', ROUTES],
  ['gateway.networking.k8s.io/v1alpha2', 'TLSRoute', ROUTES],
  ['gateway.networking.k8s.io/v1', 'BackendTLSPolicy', GUARDS],
  ['gateway.envoyproxy.io/v1alpha1', 'SecurityPolicy', GUARDS],
  ['traefik.io/v1alpha1', 'IngressRoute', ROUTES],
  ['traefik.containo.us/v1alpha1', 'Middleware', GUARDS],
  ['configuration.konghq.com/v1', 'KongPlugin', GUARDS],
  ['projectcontour.io/v1', 'HTTPProxy', ROUTES],
  ['networking.istio.io/v1', 'VirtualService', ROUTES],
  ['security.istio.io/v1', 'AuthorizationPolicy', GUARDS],
  ['k8s.nginx.org/v1', 'VirtualServer', ROUTES],
  ['k8s.nginx.org/v1', 'Policy', GUARDS],
  ['getambassador.io/v3alpha1', 'Mapping', ROUTES],
  ['cloud.google.com/v1', 'BackendConfig', GUARDS],
  ['networking.gke.io/v1beta1', 'FrontendConfig', ROUTES],
  ['elbv2.k8s.aws/v1beta1', 'TargetGroupBinding', ROUTES],
  ['route.openshift.io/v1', 'Route', ROUTES],
  ['serving.knative.dev/v1', 'Service', ROUTES],
  ['networking.k8s.io/v1', 'NetworkPolicy', GUARDS],
] as const) {
  t.test(`${apiVersion} ${kind} is reported, since it has no effect here`, async (t) => {
    const text = `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: A_}\nspec: 1\n`
    const { diagnostics, printed, resources, objects } = decodeText(text)
    t.same(printed, [`2:7 warning kind "${kind}" ${what}`])
    t.match(diagnostics[0], { code: 'PORTICO_RES_KIND_UNSERVED', resource: `${kind} default/A_` })
    t.same(resources, [])
    t.equal(objects, 1)
  })
}

t.test('items of a list that are not served are told of each at its place', async (t) => {
  const { printed } = decodeText(
    'apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRouteList\nitems:\n- metadata: {name: a}\n- metadata: {name: b}\n',
  )
  t.match(printed, [/^4:\d+ warning kind "HTTPRoute"/, /^5:\d+ warning kind "HTTPRoute"/])
})

for (const [apiVersion, kind, place, help, severity] of [
  ['networking.k8s.io/v1', 'Ingres', '2:7', 'did you mean "Ingress" (apiVersion: networking.k8s.io/v1)?', 'error'],
  ['networking.k8s.io/v1', 'ingress', '2:7', 'did you mean "Ingress" (apiVersion: networking.k8s.io/v1)?', 'error'],
  ['v1', 'Ingress', '1:13', 'write apiVersion: networking.k8s.io/v1', 'error'],
  ['apps/v1', 'Service', '1:13', 'write apiVersion: v1', 'error'],
  ['networking.k8s.io/v2', 'Ingress', '1:13', 'write apiVersion: networking.k8s.io/v1', 'error'],
  ['networking.k8s.oi/v1', 'Ingress', '1:13', 'did you mean "networking.k8s.io/v1"?', 'error'],
  ['v1', 'Servce', '2:7', 'did you mean "Service" (apiVersion: v1)?', 'error'],
  ['apps/v1', 'Deploymnet', '2:7', 'did you mean "Deployment"?', 'warning'],
  ['v1', 'Deployment', '1:13', 'Deployment belongs to the API group "apps"', 'warning'],
  ['app/v1', 'Deployment', '1:13', 'Deployment belongs to the API group "apps"', 'warning'],
  ['apps/v1', 'Node', '1:13', 'write apiVersion: v1', 'warning'],
  ['0.1.0', 'ksonnet.io/app', '1:13', undefined, 'warning'],
  ['v1', 'Whatever', '2:7', undefined, 'warning'],
  ['skaffold/v4', 'Config', '1:13', undefined, 'warning'],
] as const) {
  t.test(`CF-09 ${apiVersion} ${kind} is no kind`, async (t) => {
    const { diagnostics, printed } = decodeText(`apiVersion: ${apiVersion}\nkind: ${kind}\n${SERVICE}`)
    const shown = severity === 'error' ? '' : 'warning '
    t.same(printed, [`${place} ${shown}no matches for kind "${kind}" in version "${apiVersion}"`])
    t.equal(diagnostics[0]?.code, 'PORTICO_RES_KIND_UNKNOWN')
    t.equal(diagnostics[0]?.help, help)
  })
}

for (const [apiVersion, kind, place, help] of [
  ['portico.dev/v1alpha1', 'GatewayConfig', '2:7', 'did you mean "GatewayConfiguration"?'],
  ['portico.dev/v1', 'GatewayConfiguration', '1:13', 'write apiVersion: portico.dev/v1alpha1'],
  ['portico.io/v1alpha1', 'GatewayConfiguration', '1:13', 'write apiVersion: portico.dev/v1alpha1'],
] as const) {
  t.test(`CF-09 ${apiVersion} ${kind} is an error`, async (t) => {
    const { diagnostics, printed } = decodeText(`apiVersion: ${apiVersion}\nkind: ${kind}\n`)
    t.same(printed, [`${place} no matches for kind "${kind}" in version "${apiVersion}"`])
    t.equal(diagnostics[0]?.help, help)
  })
}

for (const [name, text, expected] of [
  ['a list', '- a\n- b\n', '1:1 a manifest is a mapping with apiVersion and kind, not a list'],
  ['a string', 'hello\n', '1:1 a manifest is a mapping with apiVersion and kind, not a string'],
  ['no kind', 'apiVersion: v1\n', '1:1 kind not set'],
  ['no apiVersion', 'kind: Service\n', '1:1 apiVersion not set'],
  ['neither, but a spec', 'spec: {}\n', '1:1 apiVersion not set, kind not set'],
  ['a version that is a number', 'apiVersion: 1\nkind: Service\n', '1:13 apiVersion not set'],
  ['another tool', 'steps: []\n', '1:1 apiVersion not set, kind not set'],
] as const) {
  t.test(`not an object: ${name}`, async (t) => {
    const { printed, diagnostics } = decodeText(text)
    t.same(printed, [expected])
    t.equal(diagnostics[0]?.code, 'PORTICO_RES_NOT_AN_OBJECT')
  })
}

for (const [file, what] of [
  ['charts/web/values.yaml', "a Helm chart's values"],
  ['values-prod.yaml', "a Helm chart's values"],
  ['Chart.yaml', 'a Helm chart'],
  ['kustomization.yaml', 'a kustomization'],
  ['docker-compose.yml', 'a Compose file'],
  ['package.json', "a Node package's file"],
] as const) {
  t.test(`${file} is known by its name`, async (t) => {
    const { printed, diagnostics } = decodeText('spec: a\n', file, true)
    t.same(printed, [`1:1 info ${what}, not a Kubernetes object: left out`])
    const named = decodeText('spec: a\n', file)
    t.same(named.printed, ['1:1 apiVersion not set, kind not set'], 'named, it is meant to be a manifest')
    t.equal(named.diagnostics[0]?.help, diagnostics[0]?.help)
  })
}

for (const [name, file, text, expected] of [
  ['settings of some tool', 'mkdocs.yml', 'nav: []\n', '1:1 info apiVersion not set, kind not set: left out'],
  ['a list', 'triggers.yaml', '- when: x\n', '1:1 info a list, not a Kubernetes object: left out'],
  ['a text', 'notes.yaml', 'hello\n', '1:1 info a string, not a Kubernetes object: left out'],
  ['an index of charts', 'index.yaml', 'apiVersion: v1\nentries: {}\n', '1:1 info kind not set: left out'],
  ['a patch', 'patch.yaml', 'metadata: {}\nspec: {}\n', '1:1 warning apiVersion not set, kind not set'],
  ['an object without a version', 'web.yaml', `kind: Service\n${SERVICE}`, '1:1 apiVersion not set'],
  ['an object without a kind', 'web.yaml', `apiVersion: v1\n${SERVICE}`, '1:1 kind not set'],
  [
    'a kustomization with a kind',
    'kustomization.yaml',
    'kind: Kustomization\nmetadata: {}\n',
    /^1:1 info a kustomization/,
  ],
  [
    'a kind of another tool',
    'skaffold.yaml',
    'apiVersion: skaffold/v3\nkind: Config\n',
    /^1:13 info no matches for kind/,
  ],
  ['a misspelt kind', 'web.yaml', 'apiVersion: v1\nkind: Servce\n', /^2:7 no matches for kind/],
  ['data', 'data.json', '{"data": 1}', '1:1 info apiVersion not set, kind not set: left out'],
  ['a schema', 'a.schema.json', '{"type": "object"}', undefined],
  ['a JSON list', 'list.JSON', '[{"apiVersion": 1}]', undefined],
  ['a broken manifest', 'web.yaml', 'kind: Service\na: @x\n', /^2:4 plain value/],
  ['broken YAML', 'web.yaml', 'mykind: Test\na: @x\n', /^2:4 warning plain value/],
  ['a template of a manifest', 'web.yaml', 'kind: Service\nname: {{ .x }}\n', /^2:7 this is a template/],
  ['a template', '_lib.yaml', '{{ define "kind" }}\nx: y\n', /^1:1 warning this is a Helm template/],
  ['JSON with comments', 'tsconfig.json', '{\n  /* kind: */ "a": @\n}\n', /^2:\d+ info /],
  ['tags', 'mkdocs.yml', 'a: !ENV b\n', '1:1 info apiVersion not set, kind not set: left out'],
  ['tags of a manifest', 'web.yaml', '{"apiVersion": !x v1, "kind": "Test"}\n', '1:19 unsupported tag "!x"'],
] as const) {
  t.test(`in a folder, ${name} is a warning, and a possible manifest is an error`, async (t) => {
    t.match(decodeText(text, file, true).printed, expected === undefined ? [] : [expected])
    t.equal(decodeText(text, file, true).printed.length, expected === undefined ? 0 : 1)
  })
}

t.test('kubectl and the scheduler have configuration files of the core version', async (t) => {
  t.same(decodeText('apiVersion: v1\nkind: Config\n').printed, [])
  t.same(decodeText('{"apiVersion": "v1", "kind": "Policy"}').printed, [])
})

t.test('a list of a known kind may be empty', async (t) => {
  t.same(decodeText('apiVersion: v1\nkind: ConfigMapList\nitems:\n').printed, [])
  t.same(decodeText('apiVersion: v1\nkind: List\n').printed, [])
  t.same(decodeText('apiVersion: v1\nkind: NotAList\nitems:\n').printed, [
    '2:7 warning no matches for kind "NotAList" in version "v1"',
  ])
})

t.test('CF-31 whatever the fields hold, nothing is thrown and nothing is half applied', async () => {
  const words = fc.constantFrom(
    'web',
    'http',
    'a.example',
    '*.a',
    '/',
    '/a',
    'Prefix',
    '10.0.0.1',
    'None',
    'NodePort',
    '',
    'TCP',
  )
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 6 },
      words,
      fc.integer(),
      fc.double(),
      fc.boolean(),
      fc.constant(null),
      fc.string(),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(
        fc.oneof(
          fc.constantFrom(
            ...'metadata name labels annotations spec rules host http paths path pathType backend service port number ports tls hosts secretName type clusterIP clusterIPs selector targetPort nodePort data stringData addressType endpoints addresses conditions subsets ip status items externalIPs'.split(
              ' ',
            ),
          ),
          fc.string(),
        ),
        tie('value'),
        { maxKeys: 6 },
      ),
    ),
  }))
  const kinds = fc.constantFrom(
    ['networking.k8s.io/v1', 'Ingress'],
    ['extensions/v1beta1', 'Ingress'],
    ['networking.k8s.io/v1', 'IngressClass'],
    ['v1', 'Service'],
    ['discovery.k8s.io/v1', 'EndpointSlice'],
    ['v1', 'Endpoints'],
    ['v1', 'Pod'],
    ['v1', 'Secret'],
    ['v1', 'ConfigMap'],
    ['v1', 'List'],
  )
  fc.assert(
    fc.property(
      kinds,
      fc.dictionary(
        fc.constantFrom('metadata', 'spec', 'data', 'endpoints', 'subsets', 'items', 'type', 'ports'),
        value,
      ),
      ([apiVersion, kind], fields) => {
        const text = JSON.stringify({ ...fields, apiVersion, kind })
        const { resources, diagnostics } = decodeText(text)
        const hasError = diagnostics.some(({ severity }) => severity === 'error')
        return kind === 'List' || resources.length === 0 || !hasError
      },
    ),
    { numRuns: 500 },
  )
})
