/** Ingresses that are not served at all: refused for an error, a canary, or of a class that is not served here. */
import type { Diagnostic, DiagnosticCode } from '../base/diagnostics.ts'
import { printName } from '../base/resource-name.ts'
import type { Ingress } from '../kubernetes/resource.ts'
import type { ResourceSet } from '../kubernetes/store.ts'
import type { LeftOut } from '../model/resource-ref.ts'
import { createRef, NAME_FIELD } from '../model/resource-ref.ts'

/** Codes of problems that leave out an Ingress without an error. */
const UNSERVED_CODES: ReadonlySet<DiagnosticCode> = new Set([
  'PORTICO_REF_CLASS_FOREIGN',
  'PORTICO_REF_CLASS_NOT_FOUND',
  'PORTICO_REF_CLASS_MISSING',
  'PORTICO_ANN_CANARY',
])

/** Each left-out Ingress with the first problem that explains it; `diagnostics` are those of the same configuration. */
export function listLeftOut(resources: ResourceSet, diagnostics: readonly Diagnostic[]): readonly LeftOut[] {
  const [errors, unserved] = [new Map<string, Diagnostic>(), new Map<string, Diagnostic>()]
  for (const diagnostic of diagnostics) {
    const { resource = '', severity, code } = diagnostic
    const problems = UNSERVED_CODES.has(code) ? unserved : errors
    if ((severity === 'error' || problems === unserved) && !problems.has(resource)) problems.set(resource, diagnostic)
  }
  const describe = (ingress: Ingress, problems: ReadonlyMap<string, Diagnostic>): readonly LeftOut[] => {
    const ref = createRef(ingress)
    const problem = problems.get(`${ref.kind} ${printName(ref)}`)
    if (problem === undefined) return []
    const hosts = [...new Set(ingress.rules.map(({ host }) => host))]
    return [
      {
        hosts: ingress.defaultBackend?.name && !hosts.includes('') ? [...hosts, ''] : hosts,
        ingress: ref,
        reason: problem.message,
        position: problem.position ?? ingress.origin.locate(NAME_FIELD),
      },
    ]
  }
  return [
    ...resources.allRefused('Ingress').flatMap((ingress) => describe(ingress, errors)),
    ...resources.all('Ingress').flatMap((ingress) => describe(ingress, unserved)),
  ]
}
