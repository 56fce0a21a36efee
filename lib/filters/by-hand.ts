/** The maintenance that a person orders while the gateway runs. */
import type { FilterConfig } from '../model/filter.ts'
import { PLAIN } from './content-body.ts'

/** Stands for the object that has the filter. */
const HAND = 'order'

export const MAINTENANCE_BY_HAND: FilterConfig = Object.freeze({
  name: 'maintenance',
  options: Object.freeze({ message: 'This service is under maintenance.', type: PLAIN, allow: undefined }),
  owner: Object.freeze({ kind: HAND, namespace: 'portico', name: 'admin' }),
})

/** Whether a person ordered it while the gateway runs. */
export function isByHand({ owner }: FilterConfig): boolean {
  return owner?.kind === HAND
}
