/** Deployment and DaemonSet: apps/v1, where one runs the controller of ingress-nginx, whose place Portico may take. */
import { checkDnsSubdomain } from './format.ts'
import { decodeMeta } from './metadata.ts'
import type { FieldReader } from './reader.ts'
import type { ControllerFlag, ControllerWorkload } from './resource.ts'

const BINARY = '/nginx-ingress-controller'
/** Names of its image in the registries of Kubernetes, Quay, Bitnami and Rancher. */
const IMAGE = /(?:^|\/)(?:ingress-nginx\/controller|nginx-ingress-controller)(?:-chroot)?(?:[:@]|$)/

/** Flags that stand without a value; all others take the next argument where they have no `=`. */
const SWITCHES: ReadonlySet<string> = new Set([
  'deep-inspect',
  'disable-catch-all',
  'disable-full-test',
  'disable-leader-election',
  'disable-svc-external-name',
  'disable-sync-events',
  'enable-annotation-validation',
  'enable-metrics',
  'enable-ssl-chain-completion',
  'enable-ssl-passthrough',
  'enable-topology-aware-routing',
  'ingress-class-by-name',
  'metrics-per-host',
  'metrics-per-undefined-host',
  'profiling',
  'report-node-internal-ip-address',
  'report-status-classes',
  'update-status',
  'update-status-on-shutdown',
  'version',
  'watch-ingress-without-class',
])

/** Undefined: it runs something else, of which nothing matters here. */
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
    flags: Object.freeze(['command', 'args'].flatMap((field) => readFlags(container, field, variables))),
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

/** `--name=value`, `--name value`, or `--name` of a switch. */
function readFlags(container: FieldReader, field: string, variables: ReadonlyMap<string, string>): ControllerFlag[] {
  const words = container.strings(field).map((word) => expand(word, variables))
  const flags: ControllerFlag[] = []
  for (let index = 0; index < words.length; index++) {
    const [, name, written] = /^--([a-z][-a-z0-9]*)(?:=([\s\S]*))?$/.exec(words[index]!) ?? []
    if (name === undefined) continue
    const path = container.at(field, index)
    const value = written ?? (SWITCHES.has(name) ? 'true' : words[++index])
    if (value !== undefined) flags.push(Object.freeze({ name, value, path }))
  }
  return flags
}

/** Kubernetes, `Container.args`: `$(NAME)` is a variable of the container, `$$(NAME)` is a text, and an unknown one stays. */
function expand(word: string, variables: ReadonlyMap<string, string>): string {
  return word.replace(/\$\$|\$\(([^()]*)\)/g, (sign, name) => (sign === '$$' ? '$' : (variables.get(name) ?? sign)))
}
