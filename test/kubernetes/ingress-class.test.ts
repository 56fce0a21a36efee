import t from 'tap'
import { decodeOne, decodeText, manifest } from './decode-text.ts'

const NETWORKING = 'networking.k8s.io/v1'
const long = `a.example/${'b'.repeat(241)}`

const rules: readonly (readonly [rule: string, fields: readonly string[], expected: readonly string[]])[] = [
  ['I-4 a controller is required', ['controller: ""'], ['5:15 spec.controller: Required value']],
  [
    'I-4 a controller has 250 bytes at most',
    [`controller: ${long}`],
    ['5:15 spec.controller: Too long: may not be more than 250 bytes'],
  ],
  [
    'I-4 a controller is a domain and a path',
    ['controller: x'],
    ['5:15 spec.controller: Invalid value: "x": must be a domain-prefixed path (such as "acme.io/foo")'],
  ],
  [
    'I-4 parameters of a namespace name it',
    ['controller: a.example/b', 'parameters: {kind: A, name: b, scope: Namespace}'],
    ["6:3 spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"],
  ],
  [
    'I-4, D17 parameters are of the cluster where no scope is given, and name no namespace',
    ['controller: a.example/b', 'parameters: {kind: A, name: b, namespace: c}'],
    ["6:34 spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"],
  ],
]

for (const [rule, fields, expected] of rules) {
  t.test(rule, async (t) => t.same(decodeText(manifest(NETWORKING, 'IngressClass', ...fields)).printed, expected))
}

t.test('I-3 only the exact annotation makes a class the default', async (t) => {
  const text = (value: string): string =>
    `apiVersion: ${NETWORKING}\nkind: IngressClass\nmetadata:\n  name: a\n  namespace: dropped\n  annotations: {ingressclass.kubernetes.io/is-default-class: "${value}"}\nspec: {controller: k8s.io/ingress-nginx}\n`
  t.match(decodeOne('IngressClass', text('true')), {
    isDefault: true,
    controller: 'k8s.io/ingress-nginx',
    meta: { namespace: '' },
  })
  t.equal(decodeOne('IngressClass', text('True')).isDefault, false)
})

t.test('a v1beta1 class is converted, with a warning', async (t) => {
  const text = manifest('networking.k8s.io/v1beta1', 'IngressClass', 'controller: a.example/b')
  t.match(decodeText(text).printed, [/^1:13 warning networking.k8s.io\/v1beta1 IngressClass is deprecated in v1.19\+/])
  t.equal(decodeOne('IngressClass', text).controller, 'a.example/b')
})
