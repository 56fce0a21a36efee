import { createSetting, type Setting, type SettingFacts } from '../setting.ts'
import { createList, readList } from './list.ts'
import { checkForm, type TextForm } from './string.ts'

/** Names, or texts of one form. */
export function strings({
  pattern,
  form,
  ...facts
}: SettingFacts<readonly string[]> & (TextForm | { [K in keyof TextForm]?: never })): Setting<readonly string[]> {
  if (pattern === undefined) return createList(facts, { what: 'a list of names', word: 'NAME', check: () => undefined })
  return createSetting(facts, {
    read(raw, source) {
      // YAML makes numbers of entries that are written without quotes.
      const entries = Array.isArray(raw) ? raw.map((entry) => (typeof entry === 'number' ? String(entry) : entry)) : raw
      return readList(entries, source, 'a list', (entry) => checkForm(entry, { pattern, form }))
    },
    schema: { type: 'array', items: { type: /\d/.test(pattern) ? ['string', 'integer'] : 'string', pattern } },
    word: 'NAME',
    separator: ',',
  })
}
