import { createSetting, type Fault, refuse, type Setting, type SettingFacts, show } from '../setting.ts'

/** What a text must match, and how people are told to write it. */
export type TextForm = Readonly<{ pattern: string; form: string }>

/** One line of text. */
export function string({ pattern, form, ...facts }: SettingFacts<string> & Partial<TextForm>): Setting<string> {
  const textForm = pattern === undefined || form === undefined ? undefined : { pattern, form }
  return createSetting(facts, {
    read(raw, source, variable) {
      if (typeof raw !== 'string') return refuse('must be a string', 'put the value in quotes')
      if (source === 'document' && /\$\{|\$\(/.test(raw)) {
        const help = `give the value in the environment variable ${variable}`
        return refuse('variables are not replaced in this file', help)
      }
      if (/[\0\r\n]/.test(raw)) return refuse('must be one line', 'remove the line break')
      const fault = textForm && checkForm(raw, textForm, facts.secret)
      return fault ? refuse(fault.message, fault.help) : { value: raw }
    },
    schema: { type: 'string', ...(pattern !== undefined && { pattern }) },
    word: 'TEXT',
  })
}

export function checkForm(text: string, { pattern, form }: TextForm, secret: boolean = false): Fault | undefined {
  if (new RegExp(pattern).test(text)) return undefined
  return { message: `${secret ? 'the value' : show(text)} cannot stand here`, help: `write ${form}` }
}
