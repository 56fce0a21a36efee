/** Reads one filter as an object writes it: an Ingress or a Service in annotations, a RoutePolicy and the settings in options. */
import type { DiagnosticNote } from '../../base/diagnostics.ts'
import { freezeDeep } from '../../base/freeze.ts'
import type { FieldPath } from '../../base/position.ts'
import type { Field } from '../../filters/field-lines.ts'
import {
  type AnnotationReader,
  type Content,
  type FilterSpec,
  readFilter,
  type SecretContent,
} from '../../filters/spec.ts'
import type { RoutePolicy } from '../../kubernetes/resource.ts'
import type { FilterConfig } from '../../model/filter.ts'
import type { ResourceRef } from '../../model/resource-ref.ts'
import type { UpstreamKey } from '../../model/upstream.ts'
import { ANNOTATION_DOMAIN } from '../../settings/service.ts'
import { isOwnAnnotation } from '../annotation.ts'
import { findAnnotationName, findOptionName, readOption, renameAnnotations } from '../route-policy/option.ts'
import type { OptionValue, SecretSource } from '../route-policy/option-form.ts'
import { findUrlKey } from '../service/url-upstream.ts'
import { type AskedServer, keepAsked } from './asked-server.ts'
import { type ContentFinder, type ContentName, type ContentProblem, findServiceName } from './content.ts'
import type { FilterOwner, RouteDefaults, Shown } from './mention.ts'
import { type Aliases, readAliases } from './nginx/alias.ts'

export type Refusal = Readonly<{
  spec: FilterSpec
  shown: Shown
  /** For people: `portico.dev/rate-limit`, or of a policy `spec.rateLimit`. */
  label: string
  field: FieldPath
}> &
  ContentProblem

/** An object that a value names, or another source of a secret, with the input on which its contents depend. */
export type UsedContent = (ContentName | SecretSource) & Readonly<{ input: unknown }>

/** How an object writes what filters read by the names of annotations without the domain. */
type Writing = Readonly<{
  /** All that it says, of filters or not. */
  names: readonly string[]
  /** Undefined: the object does not say it. */
  read: (name: string) => OptionValue | undefined
  label: (name: string) => string
  field: (name: string) => FieldPath
  /** The code of a value that cannot be used. */
  code: ContentProblem['code']
  /** What is said of annotations, in the words of the object. */
  rename: (text: string) => string
}>

/** Undefined: the object has nothing that a filter reads. */
export function describeWriting(owner: FilterOwner): Writing | undefined {
  if (owner.kind === 'RoutePolicy') return describeOptions(owner, 'spec', 'PORTICO_RES_FIELD_VALUE')
  if (owner.kind === 'Setting') return describeOptions(owner, 'routes', 'PORTICO_SET_FIELD_VALUE')
  const { annotations } = owner.meta
  const own = Object.keys(annotations).some(isOwnAnnotation) ? describeAnnotations(annotations) : undefined
  const aliases = owner.kind === 'Ingress' ? readAliases(owner) : undefined
  return aliases?.isEmpty === false ? addAliases(own ?? describeAnnotations(annotations), aliases) : own
}

function describeAnnotations(annotations: Readonly<Record<string, string>>): Writing {
  return {
    names: Object.keys(annotations).flatMap((name) =>
      name.startsWith(ANNOTATION_DOMAIN) ? [name.slice(ANNOTATION_DOMAIN.length)] : [],
    ),
    read: (name) => annotations[ANNOTATION_DOMAIN + name]?.trim(),
    label: (name) => ANNOTATION_DOMAIN + name,
    field: (name) => ['metadata', 'annotations', ANNOTATION_DOMAIN + name],
    code: 'PORTICO_ANN_VALUE',
    rename: (text) => text,
  }
}

/** What is said of an option points at the annotation of ingress-nginx that the Ingress has in its place. */
function addAliases(own: Writing, { options }: Aliases): Writing {
  return {
    ...own,
    names: [...own.names, ...options.keys()],
    read: (name) => options.get(name)?.value ?? own.read(name),
    label: (name) => options.get(name)?.annotation ?? own.label(name),
    field: (name) => {
      const alias = options.get(name)
      return alias ? ['metadata', 'annotations', alias.annotation] : own.field(name)
    },
  }
}

/** `prefix` is the field that has the options. */
function describeOptions(
  { kind, options }: RoutePolicy | RouteDefaults,
  prefix: string,
  code: ContentProblem['code'],
): Writing {
  return {
    names: Object.keys(options).map((option) => findAnnotationName(option).slice(ANNOTATION_DOMAIN.length)),
    read: (name) => readOption(kind, options, findOptionName(name)),
    label: (name) => `${prefix}.${findOptionName(name)}`,
    field: (name) => [prefix, findOptionName(name)],
    code,
    rename: renameAnnotations,
  }
}

/** Reads one filter of one object, once. */
export class FilterReader implements AnnotationReader {
  /** Why values cannot be used. */
  readonly refusals: Refusal[] = []
  /** Objects that values name. */
  readonly used: UsedContent[] = []
  readonly #asked: AskedServer[] = []
  readonly #spec: FilterSpec
  readonly #owner: FilterOwner
  readonly #writing: Writing
  readonly #contents: ContentFinder | undefined
  /** Where the objects are that annotations, by their names, have found. */
  readonly #found = new Map<string, DiagnosticNote>()

  /** Without `contents` there is nothing that values refer to. */
  constructor(spec: FilterSpec, owner: FilterOwner, writing: Writing, contents: ContentFinder | undefined) {
    this.#spec = spec
    this.#owner = owner
    this.#writing = writing
    this.#contents = contents
  }

  /** Undefined: the filter does nothing, or cannot be used; `owner` refers to the object. */
  read(owner: ResourceRef): FilterConfig | undefined {
    const { name, annotations } = this.#spec
    for (const one of Object.keys(annotations)) {
      const written = this.#writing.read(one)
      if (typeof written === 'object' && 'message' in written) this.refuse(one, written.message, written.help)
    }
    const options = this.refusals.length === 0 ? readFilter(this.#spec, this) : undefined
    if (options === undefined) return undefined
    const asked = this.#asked
    const upstreams = asked.map(({ upstream }) => upstream)
    const filter = freezeDeep({ name, options, owner, ...(upstreams.length > 0 && { upstreams }) })
    if (asked.length > 0) keepAsked(filter, asked)
    return filter
  }

  text(name: string): string | undefined {
    const written = this.#writing.read(name)
    if (typeof written !== 'object') return written
    // A value without a text is refused; it speaks of the filter all the same. The source of a secret is read by `secret` alone.
    return 'message' in written ? '' : Object.keys(written)[0]
  }

  content(name: string, reference: string | undefined = this.text(name)): Content | undefined {
    if (reference === undefined) return undefined
    const [object = '', key = ''] = reference.split('/')
    return this.#find(name, 'ConfigMap', object, (contents, namespace) => contents.find(namespace, object, key))
  }

  entries(name: string): readonly Field[] | undefined {
    const object = this.text(name)
    if (object === undefined) return undefined
    return this.#find(name, 'ConfigMap', object, (contents, namespace) => contents.findEntries(namespace, object))
  }

  upstream(name: string, outcome: string): UpstreamKey | undefined {
    const reference = this.text(name)
    if (reference === undefined) return undefined
    const [object = '', port] = reference.split(':')
    const found = this.#find(name, 'Service', object, (contents, namespace) =>
      contents.findUpstream(namespace, object, port),
    )
    const service = { kind: 'Service', namespace: this.#owner.meta.namespace, name: object } as const
    if (found !== undefined) this.#addServer(name, found, service, undefined, outcome)
    return found
  }

  server(name: string, url: URL, outcome: string): UpstreamKey | undefined {
    const { kind, meta } = this.#owner
    const contents = kind === 'Setting' ? undefined : this.#contents
    const service = contents && findServiceName(url, meta.namespace)
    if (service !== undefined) this.used.push({ ...service, input: contents!.findInput(service) })
    const found = service && contents!.findServer(service, url)
    if (isProblem(found)) {
      this.#add(name, found)
      return undefined
    }
    const key = found ?? findUrlKey(url)
    const doubt = service && found === undefined ? contents!.findDoubt(service) : undefined
    this.#addServer(name, key, found && service, doubt, outcome)
    return key
  }

  secret(name: string): SecretContent | undefined {
    const written = this.#writing.read(name)
    if (typeof written === 'object' && !('message' in written)) return this.#findSource(name, written)
    const object = this.text(name)
    if (object === undefined) return undefined
    return this.#find(name, 'Secret', object, (contents, namespace) => contents.findSecret(namespace, object))
  }

  refuse(name: string, message: string, help: string): void {
    const { code, rename } = this.#writing
    const form = this.#spec.annotations[name]?.form
    const isOfForm = code !== 'PORTICO_ANN_VALUE' && help === form?.help
    const found = this.#found.get(name)
    this.#add(name, {
      code,
      message: rename(message),
      help: (isOfForm ? form.optionHelp : undefined) ?? rename(help),
      notes: found ? [found] : [],
    })
  }

  #add(name: string, problem: ContentProblem): void {
    this.refusals.push({ spec: this.#spec, label: this.#writing.label(name), ...this.place(name), ...problem })
  }

  #addServer(
    name: string,
    upstream: UpstreamKey,
    service: ContentName | undefined,
    doubt: ContentProblem | undefined,
    outcome: string,
  ): void {
    const label = this.#writing.label(name)
    this.#asked.push({ upstream, service, doubt, outcome, owner: this.#owner, label, ...this.place(name) })
  }

  /**
   * Where the value of `name` stands, and what may be shown of it. What names a secret is shown, as messages do; what is not of its form
   * may be the secret itself.
   */
  place(name: string): Pick<Refusal, 'field' | 'shown'> {
    const field = this.#writing.field(name)
    const form = this.#spec.annotations[name]?.form
    if (form?.isSecret !== true) return { field, shown: 'line' }
    if (form.structure !== 'secret') return { field, shown: 'key' }
    const written = this.#writing.read(name)
    if (typeof written !== 'object') return { field, shown: form.pattern.test(written ?? '') ? 'value' : 'key' }
    return 'message' in written
      ? { field, shown: 'key' }
      : { field: [...field, Object.keys(written)[0]!], shown: 'value' }
  }

  /** A secret that is no object; undefined, and refused, where it cannot be used. */
  #findSource(name: string, source: SecretSource): SecretContent | undefined {
    if (this.#contents === undefined) return undefined
    this.used.push({ ...source, input: this.#contents.findInput(source) })
    const found = this.#contents.findSource(source)
    if ('content' in found) return found
    this.refuse(name, found.message, found.help)
    return undefined
  }

  /** What `find` finds of the object that the value of `name` names; undefined, and refused, where there is nothing. */
  #find<T extends Content | readonly Field[] | SecretContent | UpstreamKey>(
    name: string,
    kind: ContentName['kind'],
    object: string,
    find: (contents: ContentFinder, namespace: string) => T | ContentProblem,
  ): T | undefined {
    const { kind: ownerKind, meta } = this.#owner
    if (ownerKind === 'Setting') {
      const help = kind === 'Secret' ? 'write {file: …} or {env: …}' : 'write the text itself'
      this.refuse(name, 'the settings cannot refer to an object', `${help}, or a RoutePolicy`)
      return undefined
    }
    if (this.#contents === undefined) return undefined
    const used = { kind, namespace: meta.namespace, name: object }
    this.used.push({ ...used, input: this.#contents.findInput(used) })
    const found = find(this.#contents, meta.namespace)
    if (!isProblem(found)) {
      this.#found.set(name, { message: `the ${kind} is here`, ...this.#contents.locate(used) })
      return found
    }
    this.#add(name, found)
    return undefined
  }
}

function isProblem(found: unknown): found is ContentProblem {
  return typeof found === 'object' && found !== null && 'code' in found
}
