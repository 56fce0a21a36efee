import { BYTES, printBytes } from '../../base/measure.ts'
import { createSetting, type Setting, type SettingFacts } from '../setting.ts'
import { readMeasure } from './measure.ts'
import { describeRange, type Range } from './range.ts'

/** The word for a size that nothing exceeds. */
const UNLIMITED = 'unlimited'

/** Written `64Ki`, `1Mi` or as a number; where it may be `unlimited`, that is the largest number. */
export function bytes({
  min,
  max,
  unlimited = false,
  ...facts
}: SettingFacts<number> & Range & Readonly<{ unlimited?: boolean }>): Setting<number> {
  return createSetting(facts, {
    read: (raw, form) =>
      unlimited && raw === UNLIMITED ? { value: BYTES.max } : readMeasure(raw, form, BYTES, min, max),
    schema: {
      anyOf: [
        { type: 'integer', ...describeRange(min, max) },
        { type: 'string', pattern: `^(\\d+(\\.\\d+)?(Ki|Mi|Gi|k|M|G)?${unlimited ? `|${UNLIMITED}` : ''})$` },
      ],
    },
    word: 'SIZE',
    write: (value) => (value === 0 ? 0 : unlimited && value === BYTES.max ? UNLIMITED : printBytes(value)),
  })
}
