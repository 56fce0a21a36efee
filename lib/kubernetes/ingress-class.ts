/** IngressClass: networking.k8s.io/v1 and v1beta1, which are alike. */
import { checkDnsLabel, checkDnsSubdomain } from './format.ts'
import { decodeMeta } from './metadata.ts'
import type { FieldReader } from './reader.ts'
import type { IngressClass } from './resource.ts'

const DEFAULT_ANNOTATION = 'ingressclass.kubernetes.io/is-default-class'
const MAX_CONTROLLER = 250

export function decodeIngressClass(root: FieldReader): IngressClass {
  const meta = decodeMeta(root, 'cluster', checkDnsSubdomain)
  const spec = root.child('spec')
  const controller = spec.string('controller') ?? ''
  checkController(spec, controller)
  if (spec.has('parameters')) checkParameters(spec.child('parameters'))
  return Object.freeze({
    kind: 'IngressClass',
    meta,
    origin: root.report.origin,
    controller,
    isDefault: meta.annotations[DEFAULT_ANNOTATION] === 'true',
  })
}

/** Checks like IsDomainPrefixedPath of apimachinery's util/validation. */
function checkController(spec: FieldReader, controller: string): void {
  const { report } = spec
  const at = spec.at('controller')
  if (Buffer.byteLength(controller) > MAX_CONTROLLER) report.tooLong(at, MAX_CONTROLLER)
  if (controller === '') {
    report.required(at, '', { help: 'add controller: portico.dev/ingress-controller' })
    return
  }
  const slash = controller.indexOf('/')
  if (slash < 1 || slash === controller.length - 1) {
    report.invalid(at, controller, 'must be a domain-prefixed path (such as "acme.io/foo")')
    return
  }
  const domain = controller.slice(0, slash)
  for (const problem of checkDnsSubdomain(domain)) report.invalid(at, domain, problem)
}

function checkParameters(parameters: FieldReader): void {
  const { report } = parameters
  const at = parameters.at('namespace')
  for (const field of ['kind', 'name']) {
    if (!parameters.string(field)) report.required(parameters.at(field))
  }
  const scope = parameters.string('scope') ?? 'Cluster'
  const namespace = parameters.string('namespace') ?? ''
  if (scope !== 'Cluster' && scope !== 'Namespace') {
    report.unsupported(parameters.at('scope'), scope, ['Cluster', 'Namespace'])
  } else if (scope === 'Namespace') {
    if (namespace === '') report.required(at, "`parameters.scope` is set to 'Namespace'")
    else for (const problem of checkDnsLabel(namespace)) report.invalid(at, namespace, problem)
  } else if (parameters.has('namespace')) {
    report.forbidden(at, "`parameters.scope` is set to 'Cluster'")
  }
}
