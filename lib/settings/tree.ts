/** Settings in their groups. */
import type { Schema, Setting } from './setting.ts'

export type SettingTable = { readonly [name: string]: Setting | SettingTable }

/** What a table's settings are resolved to, in the same groups. */
export type Values<T> = { readonly [K in keyof T]: T[K] extends Setting<infer V> ? V : Values<T[K]> }

/** One setting with its dotted name. */
export type NamedSetting = Setting & Readonly<{ name: string; path: readonly string[] }>

/** True for a setting, false for a group of them. */
export function isSetting(entry: Setting | SettingTable): entry is Setting {
  return typeof entry.read === 'function'
}

/** All settings of a table, in its order. */
export function listSettings(table: SettingTable, group: readonly string[] = []): NamedSetting[] {
  return Object.entries(table).flatMap(([key, entry]) => {
    const path = [...group, key]
    return isSetting(entry) ? [{ ...entry, name: path.join('.'), path }] : listSettings(entry, path)
  })
}

/** JSON Schema of a mapping that has the table's settings. */
export function describeTable(table: SettingTable): Schema {
  const properties = Object.fromEntries(
    Object.entries(table).map(([key, entry]) => [key, isSetting(entry) ? describe(entry) : describeTable(entry)]),
  )
  return { type: 'object', additionalProperties: false, properties }
}

function describe({ doc, default: value, write, schema }: Setting): Schema {
  return { description: doc, default: write(value), ...schema }
}
