/** The tls sections of an Ingress. */
import { matchesHostPattern } from '../../base/hostname.ts'
import type { Ingress } from '../../kubernetes/resource.ts'

/** True if a tls section of the Ingress covers one of its hosts; a section without hosts covers all of them (I-30). */
export function isSecured(ingress: Ingress, host: string): boolean {
  return ingress.tls.some(
    (section) => section.hosts.length === 0 || section.hosts.some((pattern) => matchesHostPattern(pattern, host)),
  )
}
