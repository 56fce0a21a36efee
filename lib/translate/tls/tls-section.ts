/** The tls sections of an Ingress. */
import { matchesHostPattern } from '../../base/hostname.ts'
import type { Ingress } from '../../kubernetes/resource.ts'

/** Whether a tls section of the Ingress speaks for one of its hosts; one without hosts speaks for all (I-30). */
export function isSecured(ingress: Ingress, host: string): boolean {
  return ingress.tls.some(
    (section) => section.hosts.length === 0 || section.hosts.some((pattern) => matchesHostPattern(pattern, host)),
  )
}
