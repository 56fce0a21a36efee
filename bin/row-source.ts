/** The source of the rows that `portico get` prints. */

import { printSettingValue } from '../lib/settings/print-value.ts'
import { environmentName, SETTING_LIST } from '../lib/settings/resolve.ts'
import type { Kind } from './kind.ts'
import type { SettingRow } from './print/columns.ts'

export type Reading = Readonly<{
  /** The rows by kind, in the order of the command line; or an exit code if they cannot be read. */
  rows: ReadonlyMap<Kind, readonly unknown[]> | number
  /** Further lines for people. */
  talk: readonly string[]
}>

export type RowSource = {
  read(kinds: readonly Kind[]): Promise<Reading>
  /** Resolves when the rows may have changed. */
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
