/** What annotations refer to in the namespace of their object: contents of ConfigMaps as `name/key`, Secrets and Services. */
import type { DiagnosticCode, DiagnosticNote } from '../../base/diagnostics.ts'
import { findNearest } from '../../base/nearest.ts'
import type { Field } from '../../filters/field-lines.ts'
import type { Content, SecretContent } from '../../filters/spec.ts'
import { readContent } from '../../kubernetes/config-map.ts'
import type { ConfigMap, Secret, Service } from '../../kubernetes/resource.ts'
import type { ResourceSet } from '../../kubernetes/store.ts'
import { findUpstreamKey, type UpstreamKey } from '../../model/upstream.ts'
import type { SecretSource } from '../route-policy/option-form.ts'
import { readOwnProtocol } from '../service/app-protocol.ts'
import { printPorts } from '../service/endpoint-override.ts'
import { findPort } from '../service/url-upstream.ts'
import { NameIndex, Suggestions } from '../suggestion.ts'

/** An object that is referred to, whether it exists or not. */
export type ContentName = Readonly<{ kind: 'ConfigMap' | 'Secret' | 'Service'; namespace: string; name: string }>

/** Finds secrets that are no objects: the same object for as long as the source holds the same. */
export type SecretFinder = {
  find(source: SecretSource): Readonly<{ text: string }> | Readonly<{ message: string; help: string }>
}

const NOT_FOUND = {
  ConfigMap: 'PORTICO_REF_CONFIG_MAP_NOT_FOUND',
  Secret: 'PORTICO_REF_SECRET_NOT_FOUND',
  Service: 'PORTICO_REF_SERVICE_NOT_FOUND',
} as const

/** Why there is no content. */
export type ContentProblem = Readonly<{
  code: Extract<
    DiagnosticCode,
    | 'PORTICO_ANN_VALUE'
    | 'PORTICO_RES_FIELD_VALUE'
    | 'PORTICO_SET_FIELD_VALUE'
    | 'PORTICO_REF_CONFIG_MAP_NOT_FOUND'
    | 'PORTICO_REF_SECRET_NOT_FOUND'
    | 'PORTICO_REF_SERVICE_NOT_FOUND'
    | 'PORTICO_REF_PORT_NOT_FOUND'
    | 'PORTICO_REF_PORT_PROTOCOL'
    | 'PORTICO_REF_NO_ENDPOINTS'
    | 'PORTICO_REF_EXTERNAL_NAME_DENIED'
    | 'PORTICO_TLS_CERTIFICATE_INVALID'
  >
  message: string
  help: string
  notes: readonly DiagnosticNote[]
}>

/** A Service that a host may be the name of. */
type ServiceName = ContentName &
  Readonly<{
    /** No host outside of a cluster has this form. */
    isCertain: boolean
  }>

/** The Service that a cluster would know by the host of the URL, as seen from a namespace; undefined: the host has no such form. */
export function findServiceName({ hostname }: URL, namespace: string): ServiceName | undefined {
  const [, name, other, domain] =
    /^([a-z][-a-z0-9]*)(?:\.([-a-z0-9]+)(\.svc(?:\.cluster\.local)?)?)?\.?$/.exec(hostname) ?? []
  return name === undefined
    ? undefined
    : { kind: 'Service', namespace: other ?? namespace, name, isCertain: domain !== undefined }
}

/** Looks contents up. */
export class ContentFinder {
  #resources!: ResourceSet
  readonly #secrets: SecretFinder
  readonly #names = new Map<ContentName['kind'], NameIndex>()
  #suggestions = new Suggestions()

  constructor(secrets: SecretFinder) {
    this.#secrets = secrets
  }

  /** Begins a translation: contents are looked up in these. */
  begin(resources: ResourceSet): void {
    this.#resources = resources
    this.#names.clear()
    this.#suggestions = new Suggestions()
  }

  /** The input on which all contents of an object depend: if it does not exist, a suggestion depends on all others. */
  findInput(used: ContentName | SecretSource): unknown {
    if (!('kind' in used)) return this.#secrets.find(used)
    const { kind, namespace, name } = used
    return (
      this.#resources.get(kind, namespace, name) ??
      this.#resources.getRefused(kind, namespace, name) ??
      this.#resources.all(kind)
    )
  }

  /** Where an object is, for notes. */
  locate({ kind, namespace, name }: ContentName): Pick<DiagnosticNote, 'position'> {
    const found = this.#resources.get(kind, namespace, name)
    return found === undefined ? {} : { position: found.origin.locate(['metadata', 'name']) }
  }

  find(namespace: string, name: string, key: string): Content | ContentProblem {
    const found = this.#resources.get('ConfigMap', namespace, name)
    if (found === undefined) return this.#describeMissing({ kind: 'ConfigMap', namespace, name })
    const bytes = readContent(found, key)
    if (bytes === undefined) return describeMissingKey(found, key)
    return { source: `${name}/${key}`, bytes: bytes.toString('latin1') }
  }

  /** All keys of a ConfigMap with their texts. */
  findEntries(namespace: string, name: string): readonly Field[] | ContentProblem {
    const found = this.#resources.get('ConfigMap', namespace, name)
    if (found === undefined) return this.#describeMissing({ kind: 'ConfigMap', namespace, name })
    return [...found.keys.keys()].map((key) => [key, readContent(found, key)!.toString('latin1').trim()])
  }

  /** The upstream of a port, by its number or name; `port` undefined: the first that the Service lists. */
  findUpstream(namespace: string, name: string, port: string | undefined): UpstreamKey | ContentProblem {
    const found = this.#resources.get('Service', namespace, name)
    if (found === undefined) return this.#describeMissing({ kind: 'Service', namespace, name })
    const ports = found.ports.filter(({ protocol }) => protocol === 'TCP')
    const listed = ports.find((one) => port === undefined || one.name === port || String(one.port) === port)
    return listed === undefined ? describeMissingPort(found, port) : findUpstreamKey(found.meta, listed)
  }

  /** The upstream of the Service that the host of the URL names; undefined: it names none. */
  findServer(service: ServiceName, url: URL): UpstreamKey | ContentProblem | undefined {
    const { namespace, name, isCertain } = service
    const found = this.#resources.get('Service', namespace, name)
    if (found === undefined) {
      const isNamed = isCertain || this.#resources.getRefused('Service', namespace, name) !== undefined
      return isNamed ? this.#describeMissing(service, false) : undefined
    }
    const number = findPort(url)
    const port = found.ports.find((one) => one.protocol === 'TCP' && one.port === number)
    if (port === undefined) return describeMissingPort(found, String(number))
    const protocol = readOwnProtocol(found, port)
    if (url.protocol === `${protocol}:`) return findUpstreamKey(found.meta, port)
    return {
      code: 'PORTICO_REF_PORT_PROTOCOL',
      message: `Service "${name}" is asked over ${url.protocol.slice(0, -1)}, and its port ${number} speaks ${protocol}`,
      help: `write ${protocol}://, or portico.dev/protocol: ${url.protocol.slice(0, -1)} on the Service`,
      notes: [{ message: 'the Service is here', position: found.origin.locate(['metadata', 'name']) }],
    }
  }

  /** What is to be said of a host that is looked up by DNS, since no Service has the name, and that seems to mean one; undefined: nothing. */
  findDoubt(service: ServiceName): ContentProblem | undefined {
    const missing = this.#describeMissing(service, false)
    if (missing.notes.length === 0) return undefined
    return { ...missing, message: `${missing.message}, so the host is looked up by DNS` }
  }

  getSecret(namespace: string, name: string): Secret | ContentProblem {
    const found = this.#resources.get('Secret', namespace, name)
    return found ?? this.#describeMissing({ kind: 'Secret', namespace, name })
  }

  findSecret(namespace: string, name: string): SecretContent | ContentProblem {
    const found = this.getSecret(namespace, name)
    return 'code' in found ? found : readSecret(found)
  }

  findSource(source: SecretSource): SecretContent | Readonly<{ message: string; help: string }> {
    const found = this.#secrets.find(source)
    const text = 'env' in source ? `variable ${source.env}` : `file ${source.file}`
    if ('text' in found) return { source: text, content: found.text }
    return { message: `${text}: ${found.message}`, help: found.help }
  }

  #describeMissing({ kind, namespace, name }: ContentName, isOwnNamespace = true): ContentProblem {
    const code = NOT_FOUND[kind]
    const refused = this.#resources.getRefused(kind, namespace, name)
    if (refused !== undefined) {
      const notes = [{ message: 'it is here', position: refused.origin.locate(['metadata', 'name']) }]
      return { code, message: `${kind} "${name}" has errors`, help: `mend the ${kind}`, notes }
    }
    const names = this.#names.get(kind) ?? new NameIndex(this.#resources.all(kind))
    this.#names.set(kind, names)
    const nearest = this.#suggestions.find(name, names.in(namespace))
    const elsewhere = names.namespaceOf(name)
    const pointer = nearest
      ? this.#resources.get(kind, namespace, nearest)
      : this.#resources.get(kind, elsewhere ?? '', name)
    return {
      code,
      message: `${kind} "${name}" not found in namespace "${namespace}"`,
      help: nearest
        ? `did you mean "${nearest}"?`
        : elsewhere !== undefined
          ? isOwnNamespace
            ? `it is in namespace "${elsewhere}", and only objects of that namespace reach it`
            : `it is in namespace "${elsewhere}": write ${name}.${elsewhere}.svc`
          : 'add it to the manifests',
      notes: pointer
        ? [
            {
              message: `${kind} "${pointer.meta.name}" is here`,
              position: pointer.origin.locate(['metadata', 'name']),
            },
          ]
        : [],
    }
  }
}

function readSecret({ meta, data }: Secret): SecretContent {
  return {
    source: `Secret ${meta.name}`,
    content: Object.fromEntries([...data].map(([key, bytes]) => [key, bytes.toString('latin1')])),
  }
}

function describeMissingKey({ meta, keys, origin }: ConfigMap, key: string): ContentProblem {
  const known = [...keys.keys()]
  const nearest = findNearest(key, known)
  return {
    code: 'PORTICO_REF_CONFIG_MAP_NOT_FOUND',
    message: `ConfigMap "${meta.name}" has no key "${key}"`,
    help: nearest
      ? `did you mean "${nearest}"?`
      : known.length === 0
        ? 'it has no keys: add one under data'
        : `its first keys are ${known.slice(0, 5).join(', ')}`,
    notes: [{ message: 'the ConfigMap is here', position: origin.locate(['metadata', 'name']) }],
  }
}

function describeMissingPort(service: Service, port: string | undefined): ContentProblem {
  const { meta, ports, origin } = service
  return {
    code: 'PORTICO_REF_PORT_NOT_FOUND',
    message: port === undefined ? `Service "${meta.name}" lists no port` : `Service "${meta.name}" has no port ${port}`,
    help: ports.length === 0 ? 'add one to the Service' : `its ports are ${printPorts(service)}`,
    notes: [{ message: 'the Service is here', position: origin.locate(['metadata', 'name']) }],
  }
}
