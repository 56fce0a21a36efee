/** Ingresses that are not served at all: refused for an error, or of a class that is not served here. */
import type { Diagnostic, DiagnosticCode } from '../../base/diagnostics.ts'
import { type Ingress, printResource } from '../../kubernetes/resource.ts'
import type { ResourceSet } from '../../kubernetes/store.ts'
import type { LeftOut } from '../../model/route.ts'

const CLASS_CODES: ReadonlySet<DiagnosticCode> = new Set([
  'PORTICO_REF_CLASS_FOREIGN',
  'PORTICO_REF_CLASS_NOT_FOUND',
  'PORTICO_REF_CLASS_MISSING',
])

/** Each left-out Ingress with the first problem that explains it; `diagnostics` are those of the same configuration. */
export function listLeftOut(resources: ResourceSet, diagnostics: readonly Diagnostic[]): readonly LeftOut[] {
  const [errors, classes] = [new Map<string, Diagnostic>(), new Map<string, Diagnostic>()]
  for (const diagnostic of diagnostics) {
    const { resource = '', severity, code } = diagnostic
    const problems = CLASS_CODES.has(code) ? classes : errors
    if ((severity === 'error' || problems === classes) && !problems.has(resource)) problems.set(resource, diagnostic)
  }
  const describe = (ingress: Ingress, problems: ReadonlyMap<string, Diagnostic>): readonly LeftOut[] => {
    const problem = problems.get(printResource(ingress))
    if (problem === undefined) return []
    const hosts = [...new Set(ingress.rules.map(({ host }) => host))]
    const { namespace, name } = ingress.meta
    return [
      {
        hosts: ingress.defaultBackend?.name && !hosts.includes('') ? [...hosts, ''] : hosts,
        ingress: { namespace, name },
        reason: problem.message,
        position: problem.position ?? ingress.origin.locate(['metadata', 'name']),
      },
    ]
  }
  return [
    ...resources.allRefused('Ingress').flatMap((ingress) => describe(ingress, errors)),
    ...resources.all('Ingress').flatMap((ingress) => describe(ingress, classes)),
  ]
}
