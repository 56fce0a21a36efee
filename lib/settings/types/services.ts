import { findNearest } from '../../base/nearest.ts'
import { explainFormer } from '../former-setting.ts'
import {
  createSetting,
  type Form,
  isMapping,
  type Read,
  refuse,
  type Setting,
  type SettingFacts,
  type ValueProblem,
} from '../setting.ts'
import { describeTable, listSettings, type NamedSetting, type SettingTable } from '../tree.ts'
import { splitText } from './list.ts'
import { SERVICE_NAME } from './service-names.ts'

/** By Service, then by dotted name in the table. */
type Services = Readonly<Record<string, Readonly<Record<string, unknown>>>>

/** By Service, settings of `table`. As text: `namespace/name:setting=value`, separated by spaces. */
export function services(table: SettingTable, facts: SettingFacts<Services>): Setting<Services> {
  const known = new Map(listSettings(table).map((setting) => [setting.name, setting]))
  return createSetting(facts, {
    read: (raw, form, variable) => readServices(raw, form, variable, known),
    schema: {
      type: 'object',
      propertyNames: { pattern: '^[a-z0-9-]+/[a-z0-9-]+$' },
      additionalProperties: describeTable(table),
    },
    word: 'NS/NAME:SETTING=VALUE',
    separator: ' ',
  })
}

function readServices(
  raw: unknown,
  form: Form,
  variable: string,
  known: ReadonlyMap<string, NamedSetting>,
): Read<Services> {
  const entries = form === 'text' ? parseServices(raw) : raw
  if (!isMapping(entries)) {
    return refuse('must be a mapping of Services to settings', 'write default/api: {balancer: least-requests}')
  }
  const problems: ValueProblem[] = []
  const remarks: ValueProblem[] = []
  const value: Record<string, Record<string, unknown>> = Object.create(null)
  for (const [service, given] of Object.entries(entries)) {
    if (!SERVICE_NAME.test(service)) {
      problems.push({ at: [service], message: `"${service}" names no Service`, help: 'write namespace/name' })
    }
    if (!isMapping(given)) {
      const help = 'write them as they stand under upstream: {balancer: least-requests}'
      problems.push({ at: [service], message: 'must be a mapping of settings', help })
      continue
    }
    const found: Record<string, unknown> = Object.create(null)
    for (const [at, name, inner] of flatten(given, [])) {
      const former = explainFormer(`upstream.${name}`)
      if (former) {
        const { message, help, isConstant } = former
        if (isConstant) remarks.push({ at: [service, ...at], message, help })
        else problems.push({ at: [service, ...at], message, help: help.replace('upstream.', '') })
        continue
      }
      const read = known.get(name)?.read(inner, form, variable) ?? explainUnknown(name, known)
      if ('value' in read) found[name] = read.value
      else problems.push(...read.problems.map((each) => ({ ...each, at: [service, ...at, ...each.at] })))
    }
    value[service] = found
  }
  return problems.length > 0 ? { problems } : { value, ...(remarks.length > 0 && { remarks }) }
}

/** Undefined where the text has another form. */
function parseServices(raw: unknown): unknown {
  const found: Record<string, Record<string, string>> = {}
  for (const part of splitText(raw, /\s+/)) {
    const [, service = '', name = '', value = ''] = /^([^:=]+):([^=]+)=(.*)$/.exec(String(part)) ?? []
    if (service === '') return undefined
    found[service] = { ...found[service], [name]: value }
  }
  return found
}

/** Paths, dotted names and values of all that is no group of settings. */
function* flatten(
  mapping: Readonly<Record<string, unknown>>,
  path: readonly string[],
): Generator<readonly [at: readonly string[], name: string, value: unknown]> {
  for (const [key, inner] of Object.entries(mapping)) {
    const at = [...path, key]
    if (isMapping(inner)) yield* flatten(inner, at)
    else yield [at, at.join('.'), inner]
  }
}

function explainUnknown(name: string, known: ReadonlyMap<string, NamedSetting>): { problems: ValueProblem[] } {
  const near = findNearest(name, known.keys())
  return refuse(`unknown setting "${name}"`, near ? `did you mean "${near}"?` : 'all under upstream can stand here')
}
