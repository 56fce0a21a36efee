import { findLogFieldFault, parseLogTemplate } from '../../base/log-template.ts'
import { createSetting, refuse, type Setting, type SettingFacts } from '../setting.ts'
import { createList } from './list.ts'

/** A template of log lines; `''`: none. */
export function logTemplate(facts: SettingFacts<string>): Setting<string> {
  return createSetting(facts, {
    read(raw) {
      if (typeof raw !== 'string') return refuse('must be a string', 'put the value in quotes')
      if (/[\0\r\n]/.test(raw)) return refuse('must be one line', 'remove the line break')
      const parts = raw === '' ? [] : parseLogTemplate(raw)
      return 'message' in parts ? refuse(parts.message, parts.help) : { value: raw }
    },
    schema: { type: 'string' },
    word: 'TEMPLATE',
  })
}

/** Names of fields of log lines. */
export function logFields(facts: SettingFacts<readonly string[]>): Setting<readonly string[]> {
  return createList(facts, { what: 'a list of fields', word: 'FIELD', check: findLogFieldFault })
}
