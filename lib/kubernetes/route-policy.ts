/** RoutePolicy: portico.dev/v1alpha1, Portico's own kind. It attaches to its targets directly, as GEP-713 of Gateway API has it. */
import { findNearest } from '../base/nearest.ts'
import type { FieldPath } from '../base/position.ts'
import { checkDnsSubdomain, checkWildcardSubdomain } from './format.ts'
import { decodeMeta } from './metadata.ts'
import { FieldReader } from './reader.ts'
import type { ProblemReport } from './report.ts'
import type { PolicyTarget, RoutePolicy } from './resource.ts'

/** Most targets of a policy, as in Gateway API. */
export const MAX_TARGETS = 16
/** Most targets that are read of a policy that is refused for having too many. */
const MAX_READ_TARGETS = 1_000
/** Most options of a policy. There are far fewer: it bounds what an object can cost. */
const MAX_OPTIONS = 1_000
/** The API group of each kind that may be targeted. */
export const TARGET_GROUPS: Readonly<Record<PolicyTarget['kind'], string>> = {
  Ingress: 'networking.k8s.io',
  Service: '',
}
const KINDS = Object.keys(TARGET_GROUPS) as PolicyTarget['kind'][]
const OWN_FIELDS = ['apiVersion', 'kind', 'metadata', 'spec', 'status']

export function decodeRoutePolicy(root: FieldReader): RoutePolicy {
  const { report } = root
  const meta = decodeMeta(root, 'namespaced', checkDnsSubdomain)
  const spec = root.child('spec')
  const written = readItems(spec, 'targetRefs')
  const items = written.length === 0 ? findMeantTargets(root) : written
  if (written.length === 0) {
    report.required(spec.at('targetRefs'), '', {
      help: 'add targetRefs: [{group: networking.k8s.io, kind: Ingress, name: …}]',
    })
  }
  if (items.length > MAX_TARGETS) report.tooMany(spec.at('targetRefs'), items.length, MAX_TARGETS)
  const targets: PolicyTarget[] = []
  for (const [index, item] of items.slice(0, MAX_READ_TARGETS).entries()) {
    for (const target of decodeTarget(item, index)) {
      const first = targets.find((one) => isSameTarget(one, target))
      if (first === undefined) targets.push(target)
      else report.duplicate(item.path, target.name, spec.at('targetRefs', first.index))
    }
  }
  // Options outside of spec are refused, and may guard all the same.
  const beside = listBeside(root).map((one) => one.rest([]))
  const fields = Object.entries(Object.assign({}, ...beside, root.rest(OWN_FIELDS), spec.rest(['targetRefs'])))
  if (fields.length > MAX_OPTIONS) report.tooMany(spec.path, fields.length, MAX_OPTIONS)
  const options = Object.freeze(Object.fromEntries(fields.slice(0, MAX_OPTIONS)))
  return Object.freeze({
    kind: 'RoutePolicy',
    meta,
    origin: report.origin,
    targets: Object.freeze(targets),
    options,
  })
}

/** Mappings in the place of `spec`, under a name that is none. */
function listBeside(root: FieldReader): readonly FieldReader[] {
  const others = Object.keys(root.rest(OWN_FIELDS))
  return others.filter((key) => findNearest(key, ['spec']) !== undefined).map((key) => root.child(key))
}

/**
 * What seems to be meant with targets of another form, name or place, as `targetRef` in older policies. The policy is refused: what
 * guards closes its targets all the same.
 */
function findMeantTargets(root: FieldReader): readonly FieldReader[] {
  const places = [root.child('spec'), root, ...listBeside(root)]
  return places.flatMap((place) =>
    Object.keys(place.rest([]))
      .filter((key) => /^target/i.test(key) && place.has(key))
      .flatMap((key) => {
        const text = place.string(key)
        if (text !== undefined) return [nameTarget(text, place.at(key), place.report)]
        return place.isList(key) ? readItems(place, key) : [place.child(key)]
      }),
  )
}

/** The items of a list; a text names a target. */
function readItems(place: FieldReader, key: string): readonly FieldReader[] {
  const texts = place.strings(key)
  return place.items(key).map((item, at) => (texts[at] ? nameTarget(texts[at], item.path, item.report) : item))
}

/** A target without a kind: `shop`, or `ingress/shop`. */
function nameTarget(text: string, path: FieldPath, report: ProblemReport): FieldReader {
  return new FieldReader({ name: text.slice(text.lastIndexOf('/') + 1) }, path, report)
}

/** One target, or of a kind that is none those of all kinds that may be meant. */
function decodeTarget(item: FieldReader, index: number): readonly PolicyTarget[] {
  const { report } = item
  const name = item.string('name') ?? ''
  if (name === '') report.required(item.at('name'))
  else for (const problem of checkDnsSubdomain(name)) report.invalid(item.at('name'), name, problem)
  const written = item.string('kind') ?? ''
  // Another case is refused, and leaves no doubt about the target.
  const kind = KINDS.find((one) => one.toLowerCase() === written.toLowerCase())
  if (written === '') report.required(item.at('kind'))
  else if (kind !== written) report.unsupported(item.at('kind'), written, KINDS)
  if (kind === undefined) {
    const guess = (one: PolicyTarget['kind'], section?: string): PolicyTarget =>
      Object.freeze({ kind: one, name, section, index, isGuess: true })
    return name === '' ? [] : [guess('Ingress', item.string('sectionName')), guess('Service')]
  }
  const group = item.string('group') ?? TARGET_GROUPS[kind]
  if (group !== TARGET_GROUPS[kind]) report.unsupported(item.at('group'), group, [TARGET_GROUPS[kind]])
  const section = item.string('sectionName')
  if (section !== undefined) checkSection(item, kind, section)
  // A Service has no sections: what is refused for one means all of it.
  return name === '' ? [] : [Object.freeze({ kind, name, section: kind === 'Service' ? undefined : section, index })]
}

function checkSection(item: FieldReader, kind: PolicyTarget['kind'], section: string): void {
  const at = item.at('sectionName')
  if (kind === 'Service') {
    item.report.forbidden(at, 'a Service has no sections here')
    return
  }
  const { host } = parseSection(section)
  const help =
    'write a host of the Ingress, or a host and a path, as in "shop.example.com/api"; "*" for rules without a host'
  if (section === '') item.report.invalid(at, section, 'must not be empty', { help })
  if (host === '') return
  const problems = host.includes('*') ? checkWildcardSubdomain(host) : checkDnsSubdomain(host)
  for (const problem of problems) item.report.invalid(at, section, problem, { help })
}

/** The host that a section names, `''` for rules without a host, and its path; undefined: the section is all of the host. */
export function parseSection(section: string): Readonly<{ host: string; path: string | undefined }> {
  const slash = section.indexOf('/')
  const host = slash < 0 ? section : section.slice(0, slash)
  return { host: host === '*' ? '' : host, path: slash < 0 ? undefined : section.slice(slash) }
}

function isSameTarget(a: PolicyTarget, b: PolicyTarget): boolean {
  return a.kind === b.kind && a.name === b.name && a.section === b.section
}
