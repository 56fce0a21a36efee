/** What a person gave as settings, so that another process can resolve the same ones: no secrets, and nothing of the admin listener. */
import type { SettingOverrides, SettingSource } from './resolve.ts'
import { environmentName, flagName, isTypedSetting, SETTING_LIST, valueAt } from './resolve.ts'
import type { Settings } from './table.ts'
import type { NamedSetting } from './tree.ts'

export type GivenSettings = Readonly<{
  /** By dotted name, of flags and the environment, as typed. */
  typed: Readonly<Record<string, Readonly<{ flag: string; value: unknown }>>>
  /** The fields of the settings document, without `apiVersion` and `kind`. */
  document: Readonly<Record<string, unknown>>
}>

export type GivenInput = Readonly<{
  settings: Settings
  provenance: ReadonlyMap<string, SettingSource>
  flags: SettingOverrides
  environment: NodeJS.ProcessEnv
}>

/** Whether a setting may be told to who may ask the admin listener, and says something of what is served. */
export function isToldSetting({ name, secret }: NamedSetting): boolean {
  return !secret && !name.startsWith('admin.')
}

export function listGiven({ settings, provenance, flags, environment }: GivenInput): GivenSettings {
  const typed: Record<string, { flag: string; value: unknown }> = {}
  const document: Record<string, unknown> = {}
  for (const setting of SETTING_LIST.filter(isToldSetting)) {
    const { name, path, write } = setting
    const source = provenance.get(name)
    if (source === 'flag') {
      const value = flags[name]
      typed[name] = isTypedSetting(value) ? value : { flag: flagName(name), value }
    } else if (source === 'environment') {
      const variable = environmentName(name)
      typed[name] = { flag: variable, value: environment[variable] }
    } else if (source === 'file') {
      put(document, path, write(valueAt(settings, path)))
    }
  }
  return { typed, document }
}

function put(document: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let group = document
  for (const key of path.slice(0, -1)) {
    group[key] ??= {}
    group = group[key] as Record<string, unknown>
  }
  group[path.at(-1)!] = value
}
