/** Settings for tests: the table's defaults with single values changed. */
import { SETTINGS, type Settings } from '../../lib/settings/table.ts'
import { isSetting, type SettingTable } from '../../lib/settings/tree.ts'
import { FAST_LANE } from './fast-lane.ts'

/** `changes` by dotted name: `{'http.port': 0}`. Throws for a name the table does not have. */
export function makeSettings(changes: Readonly<Record<string, unknown>> = {}): Settings {
  const left = new Map(Object.entries({ 'fastLane.enabled': FAST_LANE, ...changes }))
  const read = (table: SettingTable, prefix: string): object => {
    const values: Record<string, unknown> = {}
    for (const [key, entry] of Object.entries(table)) {
      const name = prefix + key
      if (!isSetting(entry)) values[key] = read(entry, `${name}.`)
      else {
        values[key] = left.has(name) ? left.get(name) : entry.default
        left.delete(name)
      }
    }
    return Object.freeze(values)
  }
  const settings = read(SETTINGS, '') as Settings
  for (const name of left.keys()) throw new Error(`no setting is called ${name}`)
  return settings
}
