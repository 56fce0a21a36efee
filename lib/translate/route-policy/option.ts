/**
 * Options in a RoutePolicy, and in `routes` of the settings. They have the names of the annotations in camelCase (`rateLimitBurst` for
 * `portico.dev/rate-limit-burst`), and mean the same: a value of YAML becomes the text that the annotation would have.
 */
import { FILTERS } from '../../filters/registry.ts'
import { ANNOTATION_DOMAIN } from '../../settings/service.ts'
import { isMapping } from '../../settings/setting.ts'
import { isCondition } from '../ingress/match-annotation.ts'
import { ROUTE_OPTIONS } from '../ingress/route-option.ts'
import type { OptionForm, OptionText, OptionValue } from './option-form.ts'

type OptionForms = ReadonlyMap<string, OptionForm | undefined>

/** By the names of options; undefined: any text. */
const FILTER_OPTIONS: OptionForms = new Map(
  FILTERS.flatMap(({ annotations }) =>
    Object.entries(annotations).map(([name, { form }]) => [findOptionName(name), form] as const),
  ),
)

const POLICY_OPTIONS: OptionForms = new Map([
  ...FILTER_OPTIONS,
  ...[...ROUTE_OPTIONS].map(([name, form]) => [findOptionName(name), form] as const),
])

/** Options that keep requests away: where nothing stands behind their names, something is missing. */
const RESTRICTING: ReadonlySet<string> = new Set([
  ...FILTERS.filter(({ isGuard }) => isGuard).flatMap(({ annotations }) =>
    Object.keys(annotations).map(findOptionName),
  ),
  ...[...ROUTE_OPTIONS.keys()].filter(isCondition).map(findOptionName),
])

const ANNOTATION_NAMES: ReadonlySet<string> = new Set([
  ...FILTERS.flatMap(({ annotations }) => Object.keys(annotations)),
  ...ROUTE_OPTIONS.keys(),
])

/** The options that there are. */
export function listOptions(owner: 'RoutePolicy' | 'Setting'): OptionForms {
  return owner === 'Setting' ? FILTER_OPTIONS : POLICY_OPTIONS
}

export function isRestricting(option: string): boolean {
  return RESTRICTING.has(option)
}

/** `rate-limit-burst` → `rateLimitBurst` */
export function findOptionName(annotation: string): string {
  return annotation.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}

/** The whole name of the annotation that an option would be. */
export function findAnnotationName(option: string): string {
  return ANNOTATION_DOMAIN + option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** The text of an annotation that means the same as what the option has, without white space around it; undefined: it is left out. */
export function readOption(
  owner: 'RoutePolicy' | 'Setting',
  options: Readonly<Record<string, unknown>>,
  option: string,
): OptionValue | undefined {
  const value = Object.hasOwn(options, option) ? options[option] : undefined
  if (value === undefined || (value === null && !isRestricting(option))) return undefined
  const form = listOptions(owner).get(option)
  const text = readScalar(value) ?? (form?.structure && readStructure(value, form))
  if (text !== undefined) return typeof text === 'string' ? text.trim() : text
  const message = value === null ? 'nothing stands here' : `it cannot be a ${Array.isArray(value) ? 'list' : 'mapping'}`
  return { message, help: form?.optionHelp ?? form?.help ?? 'write a text' }
}

/** Undefined where the value has another structure. */
function readStructure(value: unknown, form: OptionForm): OptionValue | undefined {
  const { structure } = form
  if (structure === 'secret') return readSource(value, form)
  if (Array.isArray(value)) {
    if (structure === 'list' || structure === 'weights') return readList(value)
    return structure === 'fields' ? readLines(value) : readConditionList(value)
  }
  if (!isMapping(value) || structure === 'list') return undefined
  if (structure === 'fields') return readFields(value)
  return structure === 'conditions' ? readConditions(value) : readWeights(value)
}

/** Text about annotations, with the names of options in their place. */
export function renameAnnotations(text: string): string {
  return text.replace(/(portico\.dev\/)?([a-z]+(?:-[a-z0-9]+)*)/g, (all, _domain, name: string) =>
    ANNOTATION_NAMES.has(name) ? findOptionName(name) : all,
  )
}

function readScalar(value: unknown): string | undefined {
  return typeof value === 'string' ? value : isPlain(value) ? String(value) : undefined
}

function isPlain(value: unknown): value is number | boolean {
  return typeof value === 'number' || typeof value === 'boolean'
}

/** Items of a list are separated by commas or white space, so that none can stand in an item. */
function readList(values: readonly unknown[]): OptionText {
  const items = values.map((value) => readScalar(value)?.trim())
  const wrong = items.findIndex((item) => item === undefined || item === '' || /[\s,]/.test(item))
  if (wrong < 0) return items.join(', ')
  return {
    message: `item ${wrong + 1} is not one of a list`,
    help: 'write a text without commas and white space for each',
  }
}

function readLines(values: readonly unknown[]): OptionText {
  const lines = values.map((value) => readScalar(value))
  const wrong = lines.findIndex((line) => line === undefined || line.includes('\n'))
  if (wrong < 0) return lines.join('\n')
  return { message: `item ${wrong + 1} is not one line`, help: 'write "Name: value" for each' }
}

/** A field may have several values, in a list. */
function readFields(fields: Readonly<Record<string, unknown>>): OptionText {
  const lines: string[] = []
  for (const [name, value] of Object.entries(fields)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      const text = readScalar(one)?.trim()
      if (text === undefined || text.includes('\n') || /[:\s]/.test(name) || name === '') {
        return {
          message: `${JSON.stringify(name)} is no field with a value`,
          help: 'write names of fields with their values, as in {X-Frame-Options: DENY}',
        }
      }
      lines.push(`${name}: ${text}`)
    }
  }
  return lines.join('\n')
}

/** Keys that people write where `file` or `env` is to stand. */
const USUAL_KEYS: ReadonlySet<string> = new Set(['path', 'name', 'secret', 'secretName', 'key', 'variable', 'value'])

/** Undefined where it is no mapping. */
function readSource(value: unknown, { help, optionHelp = help }: OptionForm): OptionValue | undefined {
  if (!isMapping(value)) return undefined
  const [[key, name] = [], ...others] = Object.entries(value)
  const isNamed = others.length === 0 && typeof name === 'string' && name.trim() !== ''
  if (isNamed && key === 'file') return { file: name.trim() }
  if (isNamed && key === 'env' && /^[A-Za-z_]\w*$/.test(name.trim())) return { env: name.trim() }
  // Another key may be a secret as well as its value.
  const known = others.length === 0 && key !== undefined && USUAL_KEYS.has(key) ? `it has "${key}", and` : 'it'
  return { message: `${known} names neither a file nor a variable`, help: optionHelp }
}

/** Conditions one by one: lines, and mappings of one condition or several. */
function readConditionList(values: readonly unknown[]): OptionText {
  const lines: string[] = []
  for (const [at, value] of values.entries()) {
    const text = isMapping(value) ? readConditions(value) : readLines([value])
    if (typeof text !== 'string') {
      return {
        message: `item ${at + 1} is no condition`,
        help: 'write "name: value", "name: ~expression", "name" or "!name"',
      }
    }
    lines.push(text)
  }
  return lines.join('\n')
}

/** A name without a value is a line that has the name alone. */
function readConditions(conditions: Readonly<Record<string, unknown>>): OptionText {
  const lines: string[] = []
  for (const [name, value] of Object.entries(conditions)) {
    const text = value === null ? '' : readScalar(value)?.trim()
    if (text === undefined || text.includes('\n') || /[:\n]/.test(name) || name.trim() === '') {
      return {
        message: `${JSON.stringify(name)} is no name with a value`,
        help: 'write names with their values, as in {X-Env: staging}, and nothing behind a name that is to be there',
      }
    }
    lines.push(value === null ? name : `${name}: ${text}`)
  }
  return lines.join('\n')
}

function readWeights(weights: Readonly<Record<string, unknown>>): OptionText {
  const entries = Object.entries(weights)
  const wrong = entries.find(([name, weight]) => /[\s,=]/.test(name) || !/^\d+$/.test(readScalar(weight) ?? ''))
  if (wrong === undefined) return entries.map(([name, weight]) => `${name}=${readScalar(weight)}`).join(', ')
  return {
    message: `${JSON.stringify(wrong[0])} is no Service with a weight`,
    help: 'write Services with their weights, as in {web: 90, web-next: 10}',
  }
}
