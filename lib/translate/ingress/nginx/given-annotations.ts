/**
 * What the controller of ingress-nginx says of the annotations of Ingresses: the domain under which they stand (its flag
 * `--annotations-prefix`), and those that its ConfigMap gives to Ingresses that do not have them (`global-auth-url` and its like).
 */
import { isDeepStrictEqual } from 'node:util'
import { type FieldPath, redirectOrigin } from '../../../base/position.ts'
import type { Ingress, Resource } from '../../../kubernetes/resource.ts'
import type { ControllerAnnotations, GivenAnnotations } from '../../../settings/compatibility.ts'
import { isSameList } from '../../reuse.ts'
import { CONTROLLER_DOMAIN, NGINX_DOMAIN, readFlag } from './feature.ts'

/** The annotations that Ingresses do not have where they are read, by whole names, and where they come from. */
const sources = new WeakMap<Ingress, ReadonlyMap<string, string>>()

/** Where an annotation comes from that the manifest of the Ingress does not have under this name; undefined: it has it. */
export function findGiver(ingress: Ingress, annotation: string): string | undefined {
  return sources.get(ingress)?.get(annotation)
}

const ANNOTATIONS: FieldPath = ['metadata', 'annotations']

/** Annotations that the ConfigMap gives together, or not at all: to Ingresses without the first of them, in the place of the others. */
const AUTH = /^auth-(?!type|secret|realm|tls)/
const AUTH_URL = 'auth-url'

/** An Ingress that is changed by the same things stays the same object. */
export class IngressAnnotator {
  #domain = NGINX_DOMAIN
  #given: GivenAnnotations | undefined
  #withheld: readonly string[] = []
  #changed = new WeakMap<Ingress, Ingress>()

  /** `prefix` is the domain without its slash. */
  apply(
    resources: readonly Resource[],
    prefix: string,
    { given, withheld }: ControllerAnnotations,
  ): readonly Resource[] {
    const domain = `${prefix}/`
    const isSameAs = domain === this.#domain && isSame(given, this.#given) && isSameList(withheld, this.#withheld)
    if (!isSameAs) this.#changed = new WeakMap()
    this.#domain = domain
    this.#given = given
    this.#withheld = withheld
    if (domain === NGINX_DOMAIN && given === undefined && withheld.length === 0) return resources
    return resources.map((one) => (one.kind === 'Ingress' ? this.#change(one) : one))
  }

  #change(ingress: Ingress): Ingress {
    const known = this.#changed.get(ingress)
    if (known !== undefined) return known
    const renamed = renameAnnotations(ingress, this.#domain)
    const changed = this.#give(withholdAnnotations(renamed, this.#withheld))
    this.#changed.set(ingress, changed)
    if (changed !== ingress) sources.set(changed, this.#listGivers(renamed, changed, renamed !== ingress))
    return changed
  }

  #listGivers(renamed: Ingress, changed: Ingress, isRenamed: boolean): ReadonlyMap<string, string> {
    const ofOthers = isRenamed ? Object.keys(renamed.meta.annotations).filter(isNginx) : []
    const added = [...(this.#given?.values ?? [])].filter(([name]) => changed.meta.annotations[nameOf(name)])
    return new Map([
      ...ofOthers.map((name) => [name, `its domain is ${this.#domain.slice(0, -1)}`] as const),
      ...added.map(([name, { key }]) => [nameOf(name), `${key} of the ConfigMap of the controller says it`] as const),
    ])
  }

  #give(ingress: Ingress): Ingress {
    const given = this.#given
    if (given === undefined) return ingress
    const { annotations } = ingress.meta
    const hasAuth = given.values.has(AUTH_URL) && isOpenToAuth(ingress, given.withoutAuth)
    const names = [...given.values.keys()].filter((name) => hasAuth || !AUTH.test(name))
    const kept = Object.entries(annotations).filter(
      ([name]) => !(hasAuth && name.startsWith(NGINX_DOMAIN) && AUTH.test(name.slice(NGINX_DOMAIN.length))),
    )
    const added = names.map((name) => [nameOf(name), given.values.get(name)!.value] as const)
    const fields = new Map(names.map((name) => [nameOf(name), given.values.get(name)!.field]))
    const changed = Object.fromEntries([...kept, ...added])
    return change(ingress, changed, (path) => {
      const field = isAnnotation(path) ? fields.get(String(path[2])) : undefined
      return field === undefined ? [ingress.origin, path] : [given.origin, field]
    })
  }
}

/** True if both give the same, from the same places. */
function isSame(a: GivenAnnotations | undefined, b: GivenAnnotations | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return a.origin === b.origin && isDeepStrictEqual([a.values, a.withoutAuth], [b.values, b.withoutAuth])
}

function isNginx(annotation: string): boolean {
  return annotation.startsWith(NGINX_DOMAIN)
}

/** The whole name of an annotation that is given; what is not an annotation of ingress-nginx has a domain that no manifest has. */
function nameOf(name: string): string {
  return `${AUTH.test(name) ? NGINX_DOMAIN : CONTROLLER_DOMAIN}${name}`
}

/** The Ingress without annotations that have no effect; the same one, where it has none of them. */
function withholdAnnotations(ingress: Ingress, withheld: readonly string[]): Ingress {
  const names = new Set(withheld.map((name) => NGINX_DOMAIN + name))
  const entries = Object.entries(ingress.meta.annotations)
  const left = entries.filter(([name]) => !names.has(name))
  return left.length === entries.length
    ? ingress
    : change(ingress, Object.fromEntries(left), (path) => [ingress.origin, path])
}

/** EA9: true for an Ingress that the auth server of all Ingresses guards. */
function isOpenToAuth({ meta, rules, defaultBackend }: Ingress, withoutAuth: readonly string[]): boolean {
  const read = (name: string): string | undefined => meta.annotations[NGINX_DOMAIN + name]
  if (read(AUTH_URL)?.trim() || readFlag(read('enable-global-auth')) === false) return false
  // A rule without paths, and the default backend, stand for every path.
  if (defaultBackend !== undefined || rules.length === 0 || rules.some(({ paths }) => paths === undefined)) return true
  const paths = rules.flatMap(({ paths = [] }) => paths.map(({ path }) => path))
  const isExempt = (path: string): boolean => PLAIN_PATH.test(path) && withoutAuth.some((one) => path.startsWith(one))
  return !paths.every(isExempt)
}

/** As a regular expression, it stands for paths that begin so. */
const PLAIN_PATH = /^[-\w./~]*$/

function renameAnnotations(ingress: Ingress, domain: string): Ingress {
  const entries = Object.entries(ingress.meta.annotations)
  const isConcerned = ([name]: readonly [string, string]): boolean => name.startsWith(domain) || isNginx(name)
  if (domain === NGINX_DOMAIN || !entries.some(isConcerned)) return ingress
  const annotations = Object.fromEntries(
    entries
      .filter(([name]) => !isNginx(name))
      .map(([name, value]) => [name.startsWith(domain) ? NGINX_DOMAIN + name.slice(domain.length) : name, value]),
  )
  return change(ingress, annotations, (path) => {
    const isNginxOne = isAnnotation(path) && isNginx(String(path[2]))
    const written = isNginxOne ? [...ANNOTATIONS, domain + String(path[2]).slice(NGINX_DOMAIN.length)] : path
    return [ingress.origin, written]
  })
}

function isAnnotation(path: FieldPath): boolean {
  return path.length > 2 && path[0] === ANNOTATIONS[0] && path[1] === ANNOTATIONS[1]
}

/** The Ingress with other annotations, whose places `find` finds. */
function change(
  ingress: Ingress,
  annotations: Ingress['meta']['annotations'],
  find: Parameters<typeof redirectOrigin>[1],
): Ingress {
  const meta = Object.freeze({ ...ingress.meta, annotations: Object.freeze(annotations) })
  return Object.freeze({ ...ingress, meta, origin: redirectOrigin(ingress.origin, find) })
}
