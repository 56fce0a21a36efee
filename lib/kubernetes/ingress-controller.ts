/** Deployment and DaemonSet: apps/v1, where one runs the controller of ingress-nginx, whose place Portico may take. */
import { checkDnsSubdomain } from './format.ts'
import { decodeMeta } from './metadata.ts'
import type { FieldReader } from './reader.ts'
import type { CommandWord, ControllerWorkload } from './resource.ts'

const BINARY = '/nginx-ingress-controller'
/** Names of its image in the registries of Kubernetes, Quay, Bitnami and Rancher. */
const IMAGE = /(?:^|\/)(?:ingress-nginx\/controller|nginx-ingress-controller)(?:-chroot)?(?:[:@]|$)/

/** Undefined: the workload runs another program than the controller, and Portico does not need it. */
export function decodeController(root: FieldReader, kind: ControllerWorkload['kind']): ControllerWorkload | undefined {
  const template = root.child('spec').child('template')
  const container = template.child('spec').items('containers').find(isController)
  if (container === undefined) return undefined
  const meta = decodeMeta(root, 'namespaced', checkDnsSubdomain)
  if (meta.name === '') return undefined
  const variables = readVariables(container, meta.namespace)
  return Object.freeze({
    kind,
    meta,
    origin: root.report.origin,
    podLabels: template.child('metadata').stringMap('labels'),
    command: Object.freeze(['command', 'args'].flatMap((field) => readWords(container, field, variables))),
  }) as ControllerWorkload
}

function isController(container: FieldReader): boolean {
  const [program] = [...container.strings('command'), ...container.strings('args')]
  return program === BINARY || IMAGE.test(container.string('image') ?? '')
}

/** Those that have a value in the manifest, and the namespace. */
function readVariables(container: FieldReader, namespace: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const item of container.items('env')) {
    const isNamespace = item.child('valueFrom').child('fieldRef').string('fieldPath') === 'metadata.namespace'
    const value = isNamespace ? namespace : item.string('value')
    if (value !== undefined) found.set(item.string('name') ?? '', value)
  }
  return found
}

/** With its variables in their place. */
function readWords(container: FieldReader, field: string, variables: ReadonlyMap<string, string>): CommandWord[] {
  return container
    .strings(field)
    .map((word, index) => Object.freeze({ text: expand(word, variables), path: container.at(field, index) }))
}

/** Kubernetes, `Container.args`: `$(NAME)` is a variable of the container, `$$(NAME)` is a text, and an unknown one stays. */
function expand(word: string, variables: ReadonlyMap<string, string>): string {
  return word.replace(/\$\$|\$\(([^()]*)\)/g, (sign, name) => (sign === '$$' ? '$' : (variables.get(name) ?? sign)))
}
