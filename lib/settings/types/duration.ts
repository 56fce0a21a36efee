import { DURATION, printDuration } from '../../base/measure.ts'
import { createSetting, type Setting, type SettingFacts } from '../setting.ts'
import { readMeasure } from './measure.ts'
import type { Range } from './range.ts'

/** Written `500ms`, `10s`, `5m`, `1h`; held in milliseconds. */
export function duration({ min, max, ...facts }: SettingFacts<number> & Range): Setting<number> {
  return createSetting(facts, {
    read: (raw, form) => readMeasure(raw, form, DURATION, min, max),
    schema: { anyOf: [{ const: 0 }, { type: 'string', pattern: '^(0|(\\d+(\\.\\d+)?(ms|s|m|h))+)$' }] },
    word: 'TIME',
    write: printDuration,
  })
}
