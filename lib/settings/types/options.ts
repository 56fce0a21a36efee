import {
  createSetting,
  type Form,
  isMapping,
  type Read,
  refuse,
  type Setting,
  type SettingFacts,
  show,
  type ValueProblem,
} from '../setting.ts'
import { splitText } from './list.ts'

/** By name. Names and values are not checked here, but where filters are known (translate/route-policy/default-options). */
type Options = Readonly<Record<string, unknown>>

/** Options of filters, as a RoutePolicy has them. As text: `name=value`, separated by spaces. */
export function options(facts: SettingFacts<Options>): Setting<Options> {
  return createSetting(facts, {
    read: readOptions,
    schema: { type: 'object' },
    word: 'OPTION=VALUE',
    separator: ' ',
    write: (value) => Object.fromEntries(Object.entries(value).map(([name, each]) => [name, hideQuery(each)])),
  })
}

/** The query of a URL may hold a secret. */
function hideQuery(value: unknown): unknown {
  return typeof value === 'string' && /^\s*https?:/.test(value) ? value.replace(/\?.*$/s, '?…') : value
}

function readOptions(raw: unknown, form: Form): Read<Options> {
  if (form === 'document') {
    if (!isMapping(raw)) return refuse('must be a mapping of options', 'write rateLimit: 100/s')
    return { value: raw }
  }
  const problems: ValueProblem[] = []
  const value: Record<string, string> = {}
  for (const part of splitText(raw, /\s+/)) {
    const [, name, text = ''] = /^([^=]+)=(.*)$/s.exec(String(part)) ?? []
    if (name !== undefined) value[name] = text
    else
      problems.push({
        at: [],
        message: `${show(part)} is no option`,
        help: 'write option=value, as in rateLimit=100/s',
      })
  }
  return problems.length > 0 ? { problems } : { value }
}
