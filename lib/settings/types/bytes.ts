import { BYTES, printBytes } from '../../base/measure.ts'
import { createSetting, type Setting, type SettingFacts } from '../setting.ts'
import { readMeasure } from './measure.ts'
import { describeRange, type Range } from './range.ts'

/** Written `64Ki`, `1Mi` or as a number. */
export function bytes({ min, max, ...facts }: SettingFacts<number> & Range): Setting<number> {
  return createSetting(facts, {
    read: (raw, form) => readMeasure(raw, form, BYTES, min, max),
    schema: {
      anyOf: [
        { type: 'integer', ...describeRange(min, max) },
        { type: 'string', pattern: '^\\d+(\\.\\d+)?(Ki|Mi|Gi|k|M|G)?$' },
      ],
    },
    word: 'SIZE',
    write: (value) => (value === 0 ? 0 : printBytes(value)),
  })
}
