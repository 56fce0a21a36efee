/** RoutePolicy: portico.dev/v1alpha1, Portico's own kind. It attaches to its targets directly, as GEP-713 of Gateway API has it. */
import { checkDnsSubdomain, checkWildcardSubdomain } from './format.ts'
import { decodeMeta } from './metadata.ts'
import type { FieldReader } from './reader.ts'
import type { PolicyTarget, RoutePolicy } from './resource.ts'

/** As in policies of Gateway API. */
const MAX_TARGETS = 16
/** Many more than there are options: it bounds what an object can cost. */
const MAX_OPTIONS = 1_000
/** The API group of each kind that may be targeted. */
const GROUPS: Readonly<Record<PolicyTarget['kind'], string>> = { Ingress: 'networking.k8s.io', Service: '' }
const KINDS = Object.keys(GROUPS) as PolicyTarget['kind'][]
const OWN_FIELDS = ['apiVersion', 'kind', 'metadata', 'spec', 'status']

export function decodeRoutePolicy(root: FieldReader): RoutePolicy {
  const { report } = root
  const meta = decodeMeta(root, 'namespaced', checkDnsSubdomain)
  const spec = root.child('spec')
  const written = spec.items('targetRefs')
  // The older form of such policies, which is refused: what guards closes its target all the same.
  const items = written.length === 0 && spec.has('targetRef') ? [spec.child('targetRef')] : written
  if (written.length === 0) {
    report.required(spec.at('targetRefs'), '', {
      help: 'add targetRefs: [{group: networking.k8s.io, kind: Ingress, name: …}]',
    })
  }
  if (items.length > MAX_TARGETS) report.tooMany(spec.at('targetRefs'), items.length, MAX_TARGETS)
  const targets: PolicyTarget[] = []
  for (const [index, item] of items.slice(0, MAX_TARGETS).entries()) {
    const target = decodeTarget(item, index)
    if (target === undefined) continue
    const first = targets.find((one) => isSameTarget(one, target))
    if (first === undefined) targets.push(target)
    else report.duplicate(item.path, target.name, spec.at('targetRefs', first.index))
  }
  // Options outside of spec are refused, and may guard all the same.
  const fields = Object.entries({ ...root.rest(OWN_FIELDS), ...spec.rest(['targetRefs']) })
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

function decodeTarget(item: FieldReader, index: number): PolicyTarget | undefined {
  const { report } = item
  const name = item.string('name') ?? ''
  if (name === '') report.required(item.at('name'))
  else for (const problem of checkDnsSubdomain(name)) report.invalid(item.at('name'), name, problem)
  const written = item.string('kind') ?? ''
  // Another case is refused, and leaves no doubt about the target.
  const kind = KINDS.find((one) => one.toLowerCase() === written.toLowerCase())
  if (written === '') report.required(item.at('kind'))
  else if (kind !== written) report.unsupported(item.at('kind'), written, KINDS)
  if (kind === undefined) return undefined
  const group = item.string('group') ?? GROUPS[kind]
  if (group !== GROUPS[kind]) report.unsupported(item.at('group'), group, [GROUPS[kind]])
  const section = item.string('sectionName')
  if (section !== undefined) checkSection(item, kind, section)
  return name === '' ? undefined : Object.freeze({ kind, name, section, index })
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
