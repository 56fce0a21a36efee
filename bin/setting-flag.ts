/** Flags made from the settings table: every setting has one, and the frequent ones have a shorter name. */
import {
  environmentName,
  flagName,
  type NamedSetting,
  SETTING_LIST,
  type TypedSetting,
} from '../lib/settings/resolve.ts'
import type { Flag, Typed } from './flag.ts'
import { UsageError } from './usage-error.ts'

/** Flags that are easier to type than the setting's name. */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  'http.enabled': 'http',
  'https.enabled': 'https',
  'https.http2': 'http2',
  'https.redirect': 'redirect',
  'admin.enabled': 'admin',
  'dns.enabled': 'dns',
  'fastLane.enabled': 'fast-lane',
  'log.access': 'access-log',
  'timeouts.drain': 'drain-timeout',
  ingressClasses: 'ingress-class',
  trustedProxies: 'trusted-proxy',
}

const VALUE_WORDS: Readonly<Record<string, string>> = {
  string: 'TEXT',
  strings: 'NAME',
  integer: 'NUMBER',
  port: 'PORT',
  address: 'ADDRESS',
  duration: 'TIME',
  bytes: 'SIZE',
  cidrs: 'CIDR',
  addresses: 'ADDRESS',
  addressRanges: 'ADDRESSES',
  serviceRange: 'CIDR',
  portRange: 'PORT-PORT',
  endpoints: 'NS/NAME=HOST:PORT',
  services: 'NS/NAME:SETTING=VALUE',
  serviceNames: 'NS/NAME',
  codes: 'CODE',
  servers: 'ADDRESS',
  hostPolicy: 'client|endpoint|HOST',
  hostname: 'NAME',
  workers: 'NUMBER|auto',
  statuses: 'STATUSES',
}

/** Types whose flags may be repeated, with the separator of several entries in one flag. */
const LISTS: ReadonlyMap<string, ',' | ' '> = new Map([
  ['strings', ','],
  ['cidrs', ','],
  ['addresses', ','],
  ['addressRanges', ','],
  ['endpoints', ' '],
  ['services', ' '],
  ['serviceNames', ','],
  ['codes', ','],
  ['servers', ','],
])
/** Most characters of a choice that fit beside its flag. */
const MAX_CHOICE = 40

/** One flag of a setting; `listed` is false for the long form of a setting that has a short name. */
export type SettingFlag = Flag & Readonly<{ setting: string; listed: boolean; separator?: ',' | ' ' }>

/** All flags of settings, in the order of the settings table. A boolean has two switches; the one that changes the default is listed. */
export const SETTING_FLAGS: readonly SettingFlag[] = SETTING_LIST.flatMap(({ name, leaf }) => {
  const long = flagName(name).slice(2)
  const short = SHORT_NAMES[name]
  return (short ? [short, long] : [long]).flatMap((flag, index): SettingFlag[] => {
    const shared = { setting: name, doc: leaf.doc }
    if (leaf.type === 'boolean') {
      const not = `Do not ${leaf.doc.charAt(0).toLowerCase()}${leaf.doc.slice(1)}`
      return [
        { ...shared, name: flag, to: 'true', listed: index === 0 && leaf.default === false },
        { ...shared, doc: not, name: `no-${flag}`, to: 'false', listed: index === 0 && leaf.default === true },
      ]
    }
    const separator = LISTS.get(leaf.type)
    const list = separator && ({ repeatable: true, separator } as const)
    return [{ ...shared, ...describeValue(leaf), name: flag, listed: index === 0, ...list }]
  })
})

/** The value word of a flag; a choice too long for it is put into the explanation. */
function describeValue(leaf: NamedSetting['leaf']): { value: string; doc: string } {
  if (leaf.type !== 'enum') return { value: VALUE_WORDS[leaf.type] as string, doc: leaf.doc }
  const value = leaf.values.join('|')
  return value.length <= MAX_CHOICE
    ? { value, doc: leaf.doc }
    : { value: 'NAME', doc: `${leaf.doc} One of ${leaf.values.join(', ')}.` }
}

/** Sets a setting by its dotted name. */
export const SET_FLAG: Flag = {
  name: 'set',
  value: 'NAME=VALUE',
  repeatable: true,
  doc: 'any setting by its name in the settings file: timeouts.connect=2s; a list with commas between its entries: trustedProxies=10.0.0.0/8,192.0.2.7',
}

/** The values of flags, by dotted setting name. The settings check the values. */
export function readOverrides(typed: Typed): Readonly<Record<string, TypedSetting>> {
  const overrides: Record<string, TypedSetting> = {}
  const put = (setting: string, flag: string, values: readonly string[]) => {
    const last = values.at(-1)
    if (last === undefined) return
    const named = SETTING_LIST.find(({ name }) => name === setting)
    const before = overrides[setting]?.value
    const value = named && isList(named.leaf) ? [...(Array.isArray(before) ? before : []), ...values] : last
    overrides[setting] = { flag, value }
  }
  for (const { name, setting, to } of typed.flags) {
    if (setting !== undefined && typed.has(name))
      put(setting, `--${name}`, to === undefined ? typed.values(name) : [to])
  }
  for (const pair of typed.values('set')) {
    const equals = pair.indexOf('=')
    if (equals < 1) {
      // The text behind the name may be a token, so it is not shown.
      const name = /^[\w.-]*/.exec(pair)![0]
      throw new UsageError(`--set needs a name and a value, not "${name}"`, 'write --set http.port=8080')
    }
    const setting = pair.slice(0, equals)
    put(setting, `--set ${setting}`, [pair.slice(equals + 1)])
  }
  return overrides
}

/** The environment variable of a flag's setting. */
export function environmentOf(flag: SettingFlag): string {
  return environmentName(flag.setting)
}

function isList(leaf: NamedSetting['leaf']): boolean {
  return LISTS.has(leaf.type)
}
