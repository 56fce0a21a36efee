/**
 * Options of filters in a RoutePolicy. They have the names of the annotations in camelCase (`rateLimitBurst` for
 * `portico.dev/rate-limit-burst`), and mean the same: a value of YAML becomes the text that the annotation would have.
 */
import type { AnnotationForm } from '../../filters/annotation-form.ts'
import { FILTERS } from '../../filters/registry.ts'
import { ANNOTATION_DOMAIN } from '../../settings/service.ts'
import { isMapping } from '../../settings/setting.ts'

/** Forms of the options by their names; undefined: any text. */
export const OPTIONS: ReadonlyMap<string, AnnotationForm | undefined> = new Map(
  FILTERS.flatMap(({ annotations }) =>
    Object.entries(annotations).map(([name, { form }]) => [findOptionName(name), form] as const),
  ),
)

const ANNOTATIONS_OF_FILTERS = new Set(FILTERS.flatMap(({ annotations }) => Object.keys(annotations)))

/** The text; or what is wrong with a value that no text stands for. */
export type OptionText = string | Readonly<{ message: string; help: string }>

/** `rate-limit-burst` → `rateLimitBurst` */
export function findOptionName(annotation: string): string {
  return annotation.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}

/** The whole name of the annotation that an option would be. */
export function findAnnotationName(option: string): string {
  return ANNOTATION_DOMAIN + option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** The text of an annotation that means the same as `value`, without white space around it. */
export function readOption(value: unknown, form: AnnotationForm | undefined): OptionText {
  const text = readScalar(value)
  if (text !== undefined) return text.trim()
  if (form?.structure === 'list' && Array.isArray(value)) return readList(value)
  if (form?.structure === 'fields' && Array.isArray(value)) return readLines(value)
  if (form?.structure === 'fields' && isMapping(value)) return readFields(value)
  const message = Array.isArray(value) ? 'it cannot be a list' : 'it cannot be a mapping'
  return { message, help: form?.help ?? 'write a text' }
}

/** Text about annotations, with the names of options in their place. */
export function renameAnnotations(text: string): string {
  return text.replace(/(portico\.dev\/)?([a-z]+(?:-[a-z0-9]+)*)/g, (all, _domain, name: string) =>
    ANNOTATIONS_OF_FILTERS.has(name) ? findOptionName(name) : all,
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
