import { findNearest } from '../../base/nearest.ts'
import { createSetting, refuse, type Setting, type SettingFacts, show } from '../setting.ts'

/** One of a few words. */
export function choice<const V extends string>(choices: readonly V[], facts: SettingFacts<NoInfer<V>>): Setting<V> {
  return createSetting<V>(facts, {
    read(raw) {
      const value = choices.find((each) => each === raw)
      if (value !== undefined) return { value }
      const near = typeof raw === 'string' ? findNearest(raw, choices) : undefined
      const help = near ? `did you mean "${near}"?` : `write ${choices.join(' or ')}`
      return refuse(`${show(raw)} is not one of ${choices.join(', ')}`, help)
    },
    schema: { enum: choices },
    word: choices.join('|'),
    choices,
  })
}
