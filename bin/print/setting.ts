/** The value of a setting in the notation of the settings file. */
import { printBytes, printDuration } from '../../lib/base/measure.ts'
import type { NamedSetting } from '../../lib/settings/resolve.ts'

export function printSettingValue(leaf: NamedSetting['leaf'], value: unknown): string {
  if (leaf.type === 'duration' && typeof value === 'number') return printDuration(value)
  if (leaf.type === 'bytes' && typeof value === 'number') return printBytes(value)
  if (value === '') return '""'
  return typeof value === 'string' ? value : JSON.stringify(value)
}
