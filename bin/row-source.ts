/** Where the rows that `portico get` prints come from. */
import { environmentName, SETTING_LIST } from '../lib/settings/resolve.ts'
import type { Kind } from './kind.ts'
import type { SettingRow } from './print/columns.ts'
import { printSettingValue } from './print/setting.ts'

export type Reading = Readonly<{
  /** By kind, in the order they were asked for; a number is the exit code where they cannot be had. */
  rows: ReadonlyMap<Kind, readonly unknown[]> | number
  /** What is to be told besides. */
  talk: readonly string[]
}>

export type RowSource = {
  read(kinds: readonly Kind[]): Promise<Reading>
  /** Resolves when another reading may be another. */
  change(): Promise<void>
}

export function listSettings(settings: unknown, source: (name: string) => string): SettingRow[] {
  return SETTING_LIST.map((setting) => {
    const { name, path } = setting
    const value = path.reduce<unknown>((inner, key) => (inner as Record<string, unknown> | undefined)?.[key], settings)
    return {
      name,
      value,
      text: printSettingValue(setting, value),
      default: printSettingValue(setting, setting.default),
      environment: environmentName(name),
      source: source(name),
    }
  })
}
