/** Selects the Ingresses to serve, by their class (I-1 to I-3). */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { cutSame } from '../../base/list.ts'
import { findNearest } from '../../base/nearest.ts'
import type { SourcePosition } from '../../base/position.ts'
import { type Ingress, type IngressClass, printResource } from '../../kubernetes/resource.ts'
import type { ResourceSet } from '../../kubernetes/store.ts'
import { NGINX_CONTROLLER } from '../../settings/compatibility.ts'
import type { TranslationSettings } from '../settings.ts'

/** `spec.controller` of Portico's IngressClasses. */
export const CONTROLLER = 'portico.dev/ingress-controller'

const ANNOTATION = 'kubernetes.io/ingress.class'

/** Stands in `ingressClasses` for Ingresses without a class. No class can have this name. */
export const CLASSLESS = '-'

/**
 * Picks the Ingresses to serve, in order of rank. If given, `settings.ingressClasses` decides: it names the classes to serve, or
 * all with `*`, or those without a class with `-`; an Ingress without a class has the default IngressClass. Without the setting
 * IngressClass objects decide. Without either, class names only inform and every Ingress is served.
 */
export function selectIngresses(
  resources: ResourceSet,
  settings: TranslationSettings,
  users: ClassUsers,
  diagnostics: DiagnosticList,
): readonly Ingress[] {
  const ingresses = resources.all('Ingress')
  const picked = pickIngresses(ingresses, resources, settings, diagnostics)
  const isInformational = settings.ingressClasses.length === 0 && resources.all('IngressClass').length === 0
  if (isInformational) noteClassNames(users.find(ingresses), diagnostics)
  return picked
}

/** The same for any list of Ingresses. */
export function pickIngresses(
  ingresses: readonly Ingress[],
  resources: ResourceSet,
  settings: TranslationSettings,
  diagnostics: DiagnosticList,
): readonly Ingress[] {
  const classes = resources.all('IngressClass')
  const served = settings.ingressClasses
  if (served.includes('*')) return ingresses
  if (served.length > 0) return ingresses.filter((ingress) => isNamed(ingress, served, classes, diagnostics))
  if (classes.length > 0) return ingresses.filter((ingress) => isOwned(ingress, resources, settings, diagnostics))
  return ingresses
}

/** The class that an Ingress names: the field goes before the deprecated annotation (I-2). */
function findClassName({ ingressClassName, meta }: Ingress): string | undefined {
  return ingressClassName || meta.annotations[ANNOTATION] || undefined
}

/** The position of the class's name, or of the Ingress if it names none. */
function locateClassName({ ingressClassName, meta, origin }: Ingress): SourcePosition {
  if (ingressClassName) return origin.locate(['spec', 'ingressClassName'])
  return origin.locate(meta.annotations[ANNOTATION] ? ['metadata', 'annotations', ANNOTATION] : ['metadata', 'name'])
}

/** Among several default classes the newest, then the first by name (I-3). */
function findDefaultClass(classes: readonly IngressClass[]): IngressClass | undefined {
  const defaults = classes.filter((candidate) => candidate.isDefault)
  defaults.sort((a, b) => (b.meta.createdAt ?? 0) - (a.meta.createdAt ?? 0) || (a.meta.name < b.meta.name ? -1 : 1))
  return defaults[0]
}

function isNamed(
  ingress: Ingress,
  served: readonly string[],
  classes: readonly IngressClass[],
  diagnostics: DiagnosticList,
): boolean {
  const wanted = findClassName(ingress)
  const name = wanted ?? findDefaultClass(classes)?.meta.name
  if (name === undefined) {
    if (served.includes(CLASSLESS)) return true
    reportMissing(ingress, diagnostics, 'add a class, or "-" to ingressClasses in the settings')
    return false
  }
  if (served.includes(name)) return true
  diagnostics.add('PORTICO_REF_CLASS_FOREIGN', `ingress class "${name}" is not among those the settings serve`, {
    position: locateClassName(ingress),
    resource: printResource(ingress),
    help: `ingressClasses in the settings names ${served.map((one) => `"${one}"`).join(', ')}`,
  })
  return false
}

/** Most classes compared with a mistyped name: there are a handful, except in hostile input. */
const MAX_SUGGESTED = 100

function isOwned(
  ingress: Ingress,
  resources: ResourceSet,
  { compatibility }: TranslationSettings,
  diagnostics: DiagnosticList,
): boolean {
  const classes = resources.all('IngressClass')
  const wanted = findClassName(ingress)
  const owner = wanted ? resources.get('IngressClass', '', wanted) : findDefaultClass(classes)
  if (owner?.controller === CONTROLLER) return true
  if (owner?.controller === NGINX_CONTROLLER && compatibility === 'ingress-nginx') return true
  const refused = wanted && resources.getRefused('IngressClass', '', wanted)
  const resource = printResource(ingress)
  if (owner) {
    diagnostics.add(
      'PORTICO_REF_CLASS_FOREIGN',
      `ingress class "${owner.meta.name}" belongs to controller "${owner.controller}": not served`,
      {
        position: locateClassName(ingress),
        resource,
        help: `to serve it all the same, add "${owner.meta.name}" to ingressClasses in the settings${owner.controller === NGINX_CONTROLLER ? ', or compatibility: ingress-nginx' : ''}`,
        notes: [{ message: 'the class is defined here', position: owner.origin.locate(['spec', 'controller']) }],
      },
    )
  } else if (wanted && refused) {
    diagnostics.add('PORTICO_REF_CLASS_NOT_FOUND', `ingress class "${wanted}" has errors: not served`, {
      position: locateClassName(ingress),
      resource,
      help: 'mend the IngressClass',
      notes: [{ message: 'it is here', position: refused.origin.locate(['metadata', 'name']) }],
    })
  } else if (wanted) {
    const nearest = findNearest(
      wanted,
      classes.slice(0, MAX_SUGGESTED).map((candidate) => candidate.meta.name),
    )
    diagnostics.add('PORTICO_REF_CLASS_NOT_FOUND', `ingress class "${wanted}" not found: not served`, {
      // Without a similar name it may be another controller's class.
      severity: nearest ? 'error' : 'warning',
      position: locateClassName(ingress),
      resource,
      help: nearest
        ? `did you mean "${nearest}"?`
        : `add an IngressClass "${wanted}" with controller ${CONTROLLER}, or "${wanted}" to ingressClasses in the settings`,
    })
  } else {
    reportMissing(
      ingress,
      diagnostics,
      `set spec.ingressClassName, or make an IngressClass the default with the annotation ingressclass.kubernetes.io/is-default-class: "true"`,
    )
  }
  return false
}

function reportMissing(ingress: Ingress, diagnostics: DiagnosticList, help: string): void {
  diagnostics.add('PORTICO_REF_CLASS_MISSING', 'the Ingress has no class and no class is the default: not served', {
    position: ingress.origin.locate(['metadata', 'name']),
    resource: printResource(ingress),
    help,
  })
}

/** Finds the first Ingress that uses each class name. */
export class ClassUsers {
  #ingresses: readonly Ingress[] = []
  #first: ReadonlyMap<string, Ingress> = new Map()
  /** All first users have an index below this. */
  #end = 0

  /** The first users by class name. All Ingresses are searched only if a first user may have changed. */
  find(ingresses: readonly Ingress[]): ReadonlyMap<string, Ingress> {
    const { start, come } = cutSame(this.#ingresses, ingresses)
    this.#ingresses = ingresses
    const isKnown = (ingress: Ingress): boolean => this.#first.has(findClassName(ingress) ?? '')
    if (start >= this.#end && come.every((one) => findClassName(one) === undefined || isKnown(one))) return this.#first
    const first = new Map<string, Ingress>()
    for (const [index, ingress] of ingresses.entries()) {
      const name = findClassName(ingress)
      if (name === undefined || first.has(name)) continue
      first.set(name, ingress)
      this.#end = index + 1
    }
    this.#first = first
    return first
  }
}

/** Reports each class name once, at its first use. */
function noteClassNames(users: ReadonlyMap<string, Ingress>, diagnostics: DiagnosticList): void {
  for (const [wanted, ingress] of users) {
    diagnostics.add(
      'PORTICO_REF_CLASS_INFORMATIONAL',
      `ingress class "${wanted}" is informational: no IngressClass object is given, so every Ingress is served`,
      {
        position: locateClassName(ingress),
        resource: printResource(ingress),
        help: 'ingressClasses in the settings serves some classes only',
      },
    )
  }
}
