import { isIP, isIPv6 } from 'node:net'
import { createSetting, type Read, refuse, type Schema, type Setting, type SettingFacts, show } from '../setting.ts'

export const ADDRESS_SCHEMA: Schema = { type: 'string', anyOf: [{ format: 'ipv4' }, { format: 'ipv6' }] }

/** An IP address. */
export function address(facts: SettingFacts<string>): Setting<string> {
  return createSetting(facts, { read: readAddress, schema: ADDRESS_SCHEMA, word: 'ADDRESS' })
}

export function readAddress(raw: unknown): Read<string> {
  if (typeof raw === 'string' && isIP(raw) !== 0) return { value: raw }
  const inner = typeof raw === 'string' ? /^\[(.*)\]$/.exec(raw)?.[1] : undefined
  return refuse(
    `${show(raw)} is not an IP address`,
    inner !== undefined && isIPv6(inner)
      ? `write it without brackets: "${inner}"`
      : 'write 127.0.0.1 for this machine alone, "::" for every address',
  )
}
