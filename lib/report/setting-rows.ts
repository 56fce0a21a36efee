/** Settings one by one, with where each value comes from. */
import { printSettingValue } from '../settings/print-value.ts'
import { environmentName, SETTING_LIST, valueAt } from '../settings/resolve.ts'
import type { Settings } from '../settings/table.ts'

/** One setting, its value in the notation of the settings file, and the value's source. */
export type SettingRow = Readonly<{
  name: string
  value: unknown
  text: string
  default: string
  environment: string
  source: string
}>

/** `settings` with what is secret hidden; `findSource` tells where the setting of a name comes from. */
export function settingRows(settings: Settings, findSource: (name: string) => string): readonly SettingRow[] {
  return SETTING_LIST.map((setting) => {
    const { name, path } = setting
    const value = valueAt(settings, path)
    return {
      name,
      value,
      text: printSettingValue(setting, value),
      default: printSettingValue(setting, setting.default),
      environment: environmentName(name),
      source: findSource(name),
    }
  })
}
