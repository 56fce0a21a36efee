/** The settings that a translation depends on, and no others: a change of any other leaves the model as it is. */
import { isDeepStrictEqual } from 'node:util'
import type { Settings } from '../settings-table.ts'

export type TranslationSettings = Pick<
  Settings,
  'endpoints' | 'externalNames' | 'https' | 'ingressClasses' | 'limits' | 'nodeName' | 'services' | 'timeouts' | 'zone'
>

/** Those of `settings`; `before`, where they are equal. */
export function pickSettings(settings: Settings, before: TranslationSettings | undefined): TranslationSettings {
  const { endpoints, externalNames, https, ingressClasses, limits, nodeName, services, timeouts, zone } = settings
  const picked = { endpoints, externalNames, https, ingressClasses, limits, nodeName, services, timeouts, zone }
  return before !== undefined && isDeepStrictEqual(before, picked) ? before : picked
}
