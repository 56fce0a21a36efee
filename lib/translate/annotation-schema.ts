/** JSON Schemas of values of annotations: strings, around which white space does not count. */
import type { ServiceSetting } from '../settings/service.ts'
import { isMapping, type Schema } from '../settings/setting.ts'

export function describeChoices(description: string, choices: readonly string[]): Schema {
  return { description, type: 'string', enum: choices }
}

/** `pattern` begins with `^` and ends with `$`; undefined: any text. */
export function describeText(description: string, pattern?: string): Schema {
  return { description, type: 'string', ...(pattern !== undefined && { pattern: allowSpace(pattern) }) }
}

/** The values of a setting as text. */
export function describeSetting({ doc, schema, choices, separator }: ServiceSetting): Schema {
  if (choices !== undefined) return describeChoices(doc, choices)
  if (schema.type === 'boolean') return describeChoices(doc, ['true', 'false'])
  if (separator !== undefined) return describeText(doc, listPattern(schema.items, separator))
  if (schema.type === 'integer') return describeText(doc, '^-?\\d{1,15}$')
  return describeText(doc, findPattern(schema))
}

/** The pattern of a schema, or of the one of its alternatives that has a pattern. */
function findPattern(schema: unknown): string | undefined {
  if (!isMapping(schema)) return undefined
  if (typeof schema.pattern === 'string') return schema.pattern
  const alternatives: readonly unknown[] = Array.isArray(schema.anyOf) ? schema.anyOf : []
  return alternatives.map(findPattern).find((pattern) => pattern !== undefined)
}

function listPattern(items: unknown, separator: string): string | undefined {
  const pattern = findPattern(items)
  if (pattern === undefined) return undefined
  const item = `(?:${pattern.slice(1, -1)})`
  return `^${item}?(?:\\s*${separator}\\s*${item}?)*$`
}

function allowSpace(pattern: string): string {
  return `^\\s*(?:${pattern.slice(1, -1)})\\s*$`
}
