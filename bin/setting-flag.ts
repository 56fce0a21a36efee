/** Flags made from the settings table: every setting has one, and the frequent ones have a shorter name. */
import { explainSetting } from '../lib/settings/print.ts'
import { environmentName, flagName, SETTING_LIST, type TypedSetting } from '../lib/settings/resolve.ts'
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

/** Characters of a value's word that fit on a line with its flag; of a longer choice the text beside the flag has the values. */
const MAX_WORD = 40

/** One flag of a setting; `listed` is false for the long form of a setting that has a short name. */
export type SettingFlag = Flag &
  Readonly<{ setting: string; listed: boolean; advanced: boolean; separator?: ',' | ' ' }>

/** All flags of settings, in the order of the settings table. A boolean has a switch for each way; the one that changes the default is listed. */
export const SETTING_FLAGS: readonly SettingFlag[] = SETTING_LIST.flatMap((setting) => {
  const { name, doc, word, separator, advanced = false } = setting
  const long = flagName(name).slice(2)
  const short = SHORT_NAMES[name]
  return (short ? [short, long] : [long]).flatMap((flag, index): SettingFlag[] => {
    const shared = { setting: name, doc, name: flag, listed: index === 0, advanced }
    if (word === undefined) {
      const not = `Do not ${doc.charAt(0).toLowerCase()}${doc.slice(1)}`
      return [
        { ...shared, to: 'true', listed: index === 0 && setting.default === false },
        { ...shared, doc: not, name: `no-${flag}`, to: 'false', listed: index === 0 && setting.default === true },
      ]
    }
    const list = separator && ({ repeatable: true, separator } as const)
    if (word.length <= MAX_WORD) return [{ ...shared, value: word, ...list }]
    return [{ ...shared, value: 'NAME', doc: explainSetting(setting), ...list }]
  })
})

/** Sets a setting by its dotted name. */
export const SET_FLAG: Flag = {
  name: 'set',
  value: 'NAME=VALUE',
  repeatable: true,
  doc: 'any setting by its name in the settings file: timeouts.connect=2s; a list with commas between its entries: trustedProxies=10.0.0.0/8,192.0.2.7',
}

/** The values that flags give, by dotted setting name; resolveSettings checks them. */
export function readOverrides(typed: Typed): Readonly<Record<string, TypedSetting>> {
  const overrides: Record<string, TypedSetting> = {}
  const put = (setting: string, flag: string, values: readonly string[]) => {
    const last = values.at(-1)
    if (last === undefined) return
    const named = SETTING_LIST.find(({ name }) => name === setting)
    const before = overrides[setting]?.value
    const value = named?.separator ? [...(Array.isArray(before) ? before : []), ...values] : last
    overrides[setting] = { flag, value }
  }
  for (const { name, setting, to } of typed.flags) {
    if (setting !== undefined && typed.has(name))
      put(setting, `--${name}`, to === undefined ? typed.values(name) : [to])
  }
  for (const pair of typed.values('set')) {
    const equals = pair.indexOf('=')
    if (equals < 1) {
      // The value after the name may be a token.
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
