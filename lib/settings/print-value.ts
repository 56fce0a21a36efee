/** A setting's value as `portico get`, `portico explain` and help print it. */
import type { Setting } from './setting.ts'

export function printSettingValue({ write }: Setting, value: unknown): string {
  const written = write(value)
  if (written === '') return '""'
  return typeof written === 'string' ? written : JSON.stringify(written)
}
