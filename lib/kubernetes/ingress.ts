/** Ingress: networking.k8s.io/v1, and the beta groups converted to it. */
import { isIP } from 'node:net'
import {
  checkDns1035Label,
  checkDnsSubdomain,
  checkPortName,
  checkPortNumber,
  checkWildcardSubdomain,
} from './format.ts'
import { decodeMeta } from './metadata.ts'
import type { FieldReader } from './reader.ts'
import type {
  Ingress,
  IngressBackend,
  IngressPath,
  IngressResourceBackend,
  IngressRule,
  IngressServiceBackend,
  IngressTls,
  PathType,
} from './resource.ts'

const CLASS_ANNOTATION = 'kubernetes.io/ingress.class'
const PATH_TYPES: readonly PathType[] = ['Exact', 'ImplementationSpecific', 'Prefix']

/** The differences between v1 and the beta groups. */
type Version = {
  readonly defaultBackend: 'defaultBackend' | 'backend'
  readonly defaultPathType: PathType | undefined
  /** The fields of a backend that name a Service. */
  readonly serviceFields: readonly string[]
  readonly decodeServiceBackend: (backend: FieldReader) => IngressServiceBackend
}

const STABLE: Version = {
  defaultBackend: 'defaultBackend',
  defaultPathType: undefined,
  serviceFields: ['service'],
  decodeServiceBackend,
}
const BETA: Version = {
  defaultBackend: 'backend',
  defaultPathType: 'ImplementationSpecific',
  serviceFields: ['serviceName', 'servicePort'],
  decodeServiceBackend: decodeBetaServiceBackend,
}

export function decodeIngress(root: FieldReader): Ingress {
  return decode(root, STABLE)
}

/** extensions/v1beta1 and networking.k8s.io/v1beta1. */
export function decodeBetaIngress(root: FieldReader): Ingress {
  return decode(root, BETA)
}

// The checks come in the API server's order (pkg/apis/networking/validation).
function decode(root: FieldReader, version: Version): Ingress {
  const { report } = root
  const meta = decodeMeta(root, 'namespaced', checkDnsSubdomain)
  const spec = root.child('spec')
  const hasRules = spec.has('rules') && !(spec.isList('rules') && spec.items('rules').length === 0)
  if (!hasRules && !spec.has(version.defaultBackend)) {
    const detail = `either \`${version.defaultBackend}\` or \`rules\` must be specified`
    report.invalid(spec.path, null, detail, { key: true, help: 'add rules with a host and paths' })
  }
  const defaultBackend = spec.has(version.defaultBackend)
    ? decodeBackend(spec.child(version.defaultBackend), version)
    : undefined
  const shared = new SharedBackends()
  const rules = spec.items('rules').map((rule, index) => decodeRule(rule, index, version, shared))
  const tls = spec.items('tls').map(decodeTls)
  const ingressClassName = spec.string('ingressClassName')
  if (ingressClassName !== undefined) {
    for (const problem of checkDnsSubdomain(ingressClassName)) {
      report.invalid(spec.at('ingressClassName'), ingressClassName, problem)
    }
  }
  const annotation = meta.annotations[CLASS_ANNOTATION]
  if (annotation !== undefined && ingressClassName !== undefined && annotation !== ingressClassName) {
    const at = root.at('metadata', 'annotations', CLASS_ANNOTATION)
    report.invalid(at, annotation, 'must match `ingressClassName` when both are specified', {
      name: `annotations.${CLASS_ANNOTATION}`,
      help: 'remove the annotation',
      notes: [{ message: 'ingressClassName is here', position: report.origin.locate(spec.at('ingressClassName')) }],
    })
  }
  return Object.freeze({
    kind: 'Ingress',
    meta,
    origin: report.origin,
    ingressClassName,
    defaultBackend,
    rules: Object.freeze(rules),
    tls: Object.freeze(tls),
  })
}

/** Holds equal backends of an Ingress once, since its paths mostly lead to few. */
class SharedBackends {
  readonly #known: IngressBackend[] = []

  find(backend: IngressBackend): IngressBackend {
    const equal = this.#known.find((one) => isSameService(one, backend))
    // Searching a few backends is faster than building an index.
    if (equal === undefined && this.#known.length < 8) this.#known.push(backend)
    return equal ?? backend
  }
}

function isSameService(a: IngressBackend, b: IngressBackend): boolean {
  if (a.type !== 'service' || b.type !== 'service' || a.name !== b.name) return false
  return 'name' in a.port
    ? 'name' in b.port && a.port.name === b.port.name
    : 'number' in b.port && a.port.number === b.port.number
}

function decodeRule(rule: FieldReader, index: number, version: Version, shared: SharedBackends): IngressRule {
  const host = rule.string('host') ?? ''
  if (host !== '') checkHost(rule, host)
  const http = rule.child('http')
  const paths = http.items('paths')
  if (rule.has('http') && paths.length === 0) rule.report.required(http.at('paths'))
  return Object.freeze({
    host,
    paths: rule.has('http')
      ? Object.freeze(paths.map((path, pathIndex) => decodePath(path, pathIndex, version, shared)))
      : undefined,
    index,
  })
}

function checkHost(rule: FieldReader, host: string): void {
  const at = rule.at('host')
  if (isIP(host) !== 0) {
    const help = 'leave host out to serve every host, addresses included'
    rule.report.invalid(at, host, 'must be a DNS name, not an IP address', { help })
  }
  const problems = host.includes('*') ? checkWildcardSubdomain(host) : checkDnsSubdomain(host)
  for (const problem of problems) rule.report.invalid(at, host, problem, { help: hostHelp(host) })
}

function hostHelp(host: string): string | undefined {
  if (host === '*') return 'leave host out to serve every host'
  if (/^[a-z]+:\/\//i.test(host)) return 'a host is a name alone, without scheme and path'
  if (/:\d+$/.test(host)) return 'a host is a name alone: leave the port out'
  if (host.endsWith('.')) return 'leave the dot at the end out'
  if (/[^\x20-\x7e]/.test(host)) return 'write international names in their xn-- form'
  if (host.lastIndexOf('*') > 0 || (host.startsWith('*') && !host.startsWith('*.'))) {
    return 'a wildcard is the whole first label, and stands for one label: *.example.com'
  }
  const lower = host.toLowerCase()
  const isValid = (name: string) => checkDnsSubdomain(name.replace(/^\*\./, '')).length === 0
  if (host !== lower && isValid(lower)) return `write it in lower case: ${lower}`
  const bare = lower.replaceAll('_', '-')
  return bare !== lower && isValid(bare) ? `a host has no underscores: rename it, for example ${bare}` : undefined
}

function decodePath(path: FieldReader, index: number, version: Version, shared: SharedBackends): IngressPath {
  const { report } = path
  const text = path.string('path') ?? ''
  const written = path.string('pathType') ?? version.defaultPathType
  const pathType = PATH_TYPES.find((type) => type === written)
  if (written === undefined) {
    report.required(path.at('pathType'), 'pathType must be specified', { help: 'add pathType: Prefix' })
  } else if (pathType === undefined) report.unsupported(path.at('pathType'), written, PATH_TYPES)
  // The API server stops at a path without a type (W6); Portico reports all its problems at once.
  checkPath(path, text, pathType ?? 'ImplementationSpecific')
  const backend = decodeBackend(path.child('backend'), version)
  return Object.freeze({
    path: text,
    pathType: pathType ?? 'ImplementationSpecific',
    backend: shared.find(backend),
    index,
  })
}

function checkPath(reader: FieldReader, path: string, pathType: PathType): void {
  const at = reader.at('path')
  const isSpecific = pathType === 'ImplementationSpecific'
  if (!path.startsWith('/') && !(isSpecific && path === '')) {
    const help = path.startsWith('^/')
      ? 'leave the "^" out: every path is matched from its beginning'
      : `begin it with a slash: ${JSON.stringify(`/${path}`)}`
    reader.report.invalid(at, path, 'must be an absolute path', { help })
  }
  if (isSpecific) return
  for (const sequence of ['//', '/./', '/../', '%2f', '%2F']) {
    if (path.includes(sequence)) reader.report.invalid(at, path, `must not contain '${sequence}'`)
  }
  for (const end of ['/..', '/.']) {
    if (path.endsWith(end)) reader.report.invalid(at, path, `cannot end with '${end}'`)
  }
}

function decodeTls(tls: FieldReader, index: number): IngressTls {
  const hosts = tls.strings('hosts')
  for (const [hostIndex, host] of hosts.entries()) {
    const problems = host.includes('*') ? checkWildcardSubdomain(host) : checkDnsSubdomain(host)
    for (const problem of problems) {
      tls.report.invalid(tls.at('hosts', hostIndex), host, problem, { help: hostHelp(host) })
    }
  }
  const secretName = tls.string('secretName') || undefined
  if (secretName !== undefined) {
    for (const problem of checkDnsSubdomain(secretName)) tls.report.invalid(tls.at('secretName'), secretName, problem)
  }
  return Object.freeze({ hosts: Object.freeze(hosts), secretName, index })
}

function decodeBackend(backend: FieldReader, version: Version): IngressBackend {
  const { report } = backend
  const hasResource = backend.has('resource')
  const hasService = version.serviceFields.some((field) => backend.has(field))
  if (hasResource && hasService) {
    report.invalid(backend.path, '', 'cannot set both resource and service backends', { help: 'keep one of them' })
  }
  const resource = hasResource ? decodeResourceBackend(backend.child('resource')) : undefined
  if (hasService) return version.decodeServiceBackend(backend)
  if (resource) return resource
  report.invalid(backend.path, '', 'resource or service backend is required', {
    help: 'add service: {name: …, port: {number: …}}',
  })
  return createServiceBackend('', NO_PORT)
}

/** Stands in for a missing port, in an Ingress that is refused. */
const NO_PORT = 0

function createServiceBackend(name: string, port: number | string): IngressServiceBackend {
  return Object.freeze({
    type: 'service',
    name,
    port: Object.freeze(typeof port === 'number' ? { number: port } : { name: port }),
  })
}

function decodeServiceBackend(backend: FieldReader): IngressServiceBackend {
  const service = backend.child('service')
  const name = service.string('name') ?? ''
  checkServiceName(service, 'name', name)
  const port = service.child('port')
  const portName = port.string('name') ?? ''
  const portNumber = port.integer('number') ?? 0
  if (portName !== '' && portNumber !== 0) {
    service.report.invalid(backend.path, '', 'cannot set both port name & port number', {
      at: port.path,
      help: 'keep one of name and number',
    })
  }
  if (portName !== '') {
    for (const problem of checkPortName(portName)) {
      const help = /^\d+$/.test(portName) ? `write number: ${portName}` : undefined
      service.report.invalid(port.at('name'), portName, problem, { help })
    }
  }
  if (portNumber !== 0) {
    for (const problem of checkPortNumber(portNumber)) {
      const help = `write a port that the Service${name ? ` "${name}"` : ''} has`
      service.report.invalid(port.at('number'), portNumber, problem, { help })
    }
  }
  if (portName !== '' || portNumber !== 0) return createServiceBackend(name, portName || portNumber)
  // A port of the wrong type is not missing: the shape check has reported it.
  if (![port.path, port.at('number'), port.at('name')].some((path) => service.report.isUnusable(path))) {
    service.report.required(backend.path, 'port name or number is required', {
      at: service.has('port') ? port.path : service.path,
      key: true,
      help: 'add port: {number: …}',
    })
  }
  return createServiceBackend(name, NO_PORT)
}

function decodeBetaServiceBackend(backend: FieldReader): IngressServiceBackend {
  const name = backend.string('serviceName') ?? ''
  checkServiceName(backend, 'serviceName', name)
  const port = backend.integerOrString('servicePort') ?? 0
  if (port === 0 || port === '') {
    backend.report.required(backend.at('servicePort'), 'port name or number is required')
    return createServiceBackend(name, NO_PORT)
  }
  const problems = typeof port === 'number' ? checkPortNumber(port) : checkPortName(port)
  const help = `write a port that the Service${name ? ` "${name}"` : ''} has`
  for (const problem of problems) backend.report.invalid(backend.at('servicePort'), port, problem, { help })
  return createServiceBackend(name, port)
}

function checkServiceName(parent: FieldReader, field: string, name: string): void {
  if (name === '') parent.report.required(parent.at(field))
  else for (const problem of checkDns1035Label(name)) parent.report.invalid(parent.at(field), name, problem)
}

function decodeResourceBackend(resource: FieldReader): IngressResourceBackend {
  const { report } = resource
  const apiGroup = resource.string('apiGroup') ?? ''
  if (resource.has('apiGroup')) {
    for (const problem of checkDnsSubdomain(apiGroup)) report.invalid(resource.at('apiGroup'), apiGroup, problem)
  }
  const kind = resource.string('kind') ?? ''
  const name = resource.string('name') ?? ''
  if (kind === '') report.required(resource.at('kind'))
  if (name === '') report.required(resource.at('name'))
  return Object.freeze({ type: 'resource', apiGroup, kind, name })
}
