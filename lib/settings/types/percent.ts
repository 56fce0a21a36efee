import { createSetting, refuse, type Setting, type SettingFacts, show } from '../setting.ts'

const PERCENT = '^(100|\\d{1,2})(\\.\\d+)?%$'

/** Written `10%`, `0.1%`; held as a share from 0 to 1. */
export function percent(facts: SettingFacts<number>): Setting<number> {
  return createSetting(facts, {
    read(raw) {
      const share =
        typeof raw === 'string' && new RegExp(PERCENT).test(raw) ? Number(raw.slice(0, -1)) / 100 : Number.NaN
      return share <= 1 ? { value: share } : refuse(`${show(raw)} is no share`, 'write 100%, 5% or 0.1%')
    },
    schema: { type: 'string', pattern: PERCENT },
    word: 'SHARE',
    write: (share) => `${Number((share * 100).toPrecision(12))}%`,
  })
}
