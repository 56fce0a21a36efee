/** Annotations of ingress-nginx under another domain than its own: its flag `--annotations-prefix`, and the setting annotationsPrefix. */
import type { FieldPath, Origin } from '../../../base/position.ts'
import type { Ingress, Resource } from '../../../kubernetes/resource.ts'
import { NGINX_DOMAIN } from './feature.ts'

const ANNOTATIONS: FieldPath = ['metadata', 'annotations']

/** Gives Ingresses the annotations that they have under the domain `prefix` under that of ingress-nginx; an Ingress stays the same object while the prefix does. */
export class AnnotationPrefix {
  #domain = NGINX_DOMAIN
  #renamed = new WeakMap<Ingress, Ingress>()

  rename(resources: readonly Resource[], prefix: string): readonly Resource[] {
    const domain = `${prefix}/`
    if (domain !== this.#domain) this.#renamed = new WeakMap()
    this.#domain = domain
    if (domain === NGINX_DOMAIN) return resources
    return resources.map((one) => (one.kind === 'Ingress' ? this.#findRenamed(one) : one))
  }

  #findRenamed(ingress: Ingress): Ingress {
    const known = this.#renamed.get(ingress) ?? renameAnnotations(ingress, this.#domain)
    this.#renamed.set(ingress, known)
    return known
  }
}

function renameAnnotations(ingress: Ingress, domain: string): Ingress {
  const { meta, origin } = ingress
  const entries = Object.entries(meta.annotations)
  const isConcerned = ([name]: readonly [string, string]): boolean =>
    name.startsWith(domain) || name.startsWith(NGINX_DOMAIN)
  if (!entries.some(isConcerned)) return ingress
  const annotations = Object.fromEntries(
    entries
      .filter(([name]) => !name.startsWith(NGINX_DOMAIN))
      .map(([name, value]) => [name.startsWith(domain) ? `${NGINX_DOMAIN}${name.slice(domain.length)}` : name, value]),
  )
  return Object.freeze({
    ...ingress,
    meta: Object.freeze({ ...meta, annotations: Object.freeze(annotations) }),
    origin: renameIn(origin, domain),
  })
}

/** The same places, under the names that are written. */
function renameIn(origin: Origin, domain: string): Origin {
  const findWritten = (path: FieldPath): FieldPath => {
    const [first, second, name] = path
    const isNginx = first === ANNOTATIONS[0] && second === ANNOTATIONS[1] && String(name).startsWith(NGINX_DOMAIN)
    return isNginx ? [...ANNOTATIONS, `${domain}${String(name).slice(NGINX_DOMAIN.length)}`, ...path.slice(3)] : path
  }
  return {
    file: origin.file,
    locate: (path, line) => origin.locate(findWritten(path), line),
    locateKey: (path) => origin.locateKey(findWritten(path)),
    hides: (path) => origin.hides(findWritten(path)),
    read: (path) => origin.read(findWritten(path)),
  }
}
