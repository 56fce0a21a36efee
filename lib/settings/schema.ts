/** The settings for people and editors: `config/portico.yaml` and its JSON Schema, both printed from the table. */
import { printBytes, printDuration } from '../base/measure.ts'
import { isSettingLeaf, type SettingLeaf, type SettingTable } from './leaf.ts'
import { SETTINGS_API_VERSION, SETTINGS_KIND } from './resolve.ts'
import { MAX_WORKERS, SETTINGS } from './table.ts'

type Schema = { readonly [keyword: string]: unknown }

/** JSON Schema (2020-12) of a GatewayConfiguration. */
export function createSettingsSchema(): Schema {
  const { properties, ...rest } = describeTable(SETTINGS)
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'https://portico.dev/schema/v1alpha1/gateway-configuration.json',
    title: `Portico ${SETTINGS_KIND}`,
    ...rest,
    properties: {
      apiVersion: { const: SETTINGS_API_VERSION },
      kind: { const: SETTINGS_KIND },
      metadata: { type: 'object' },
      ...(properties as object),
    },
    required: ['apiVersion', 'kind'],
  }
}

function describeTable(table: SettingTable): Schema {
  const properties = Object.fromEntries(
    Object.entries(table).map(([key, entry]) => [
      key,
      isSettingLeaf(entry) ? describeLeaf(entry) : describeTable(entry),
    ]),
  )
  return { type: 'object', additionalProperties: false, properties }
}

function describeLeaf(leaf: SettingLeaf): Schema {
  const common = { description: leaf.doc, default: writtenDefault(leaf) }
  switch (leaf.type) {
    case 'boolean':
      return { ...common, type: leaf.type }
    case 'hostPolicy':
    case 'hostname':
      return { ...common, type: 'string' }
    case 'string':
      return { ...common, type: leaf.type, ...(leaf.pattern !== undefined && { pattern: leaf.pattern }) }
    case 'address':
      return { ...common, type: 'string', anyOf: [{ format: 'ipv4' }, { format: 'ipv6' }] }
    case 'enum':
      return { ...common, enum: leaf.values }
    case 'port':
      return { ...common, type: 'integer', minimum: 0, maximum: 65_535 }
    case 'integer':
      return { ...common, type: 'integer', ...limits(leaf) }
    case 'workers':
      return { ...common, anyOf: [{ const: 'auto' }, { type: 'integer', minimum: 0, maximum: MAX_WORKERS }] }
    case 'duration':
      return { ...common, anyOf: [{ const: 0 }, { type: 'string', pattern: '^(0|(\\d+(\\.\\d+)?(ms|s|m|h))+)$' }] }
    case 'bytes':
      return {
        ...common,
        anyOf: [
          { type: 'integer', ...limits(leaf) },
          { type: 'string', pattern: '^\\d+(\\.\\d+)?(Ki|Mi|Gi|k|M|G)?$' },
        ],
      }
    case 'statuses':
      return { ...common, type: ['string', 'integer'] }
    case 'strings':
      if (leaf.pattern !== undefined) {
        const type = /\d/.test(leaf.pattern) ? ['string', 'integer'] : 'string'
        return { ...common, type: 'array', items: { type, pattern: leaf.pattern } }
      }
      return { ...common, type: 'array', items: { type: 'string', minLength: 1 } }
    case 'serviceNames':
    case 'codes':
    case 'servers':
    case 'cidrs':
    case 'addressRanges':
      return { ...common, type: 'array', items: { type: 'string', minLength: 1 } }
    case 'services':
      return {
        ...common,
        type: 'object',
        propertyNames: { pattern: '^[a-z0-9-]+/[a-z0-9-]+$' },
        additionalProperties: describeTable(SETTINGS.upstream),
      }
    case 'addresses':
      return { ...common, type: 'array', items: { type: 'string', anyOf: [{ format: 'ipv4' }, { format: 'ipv6' }] } }
    case 'serviceRange':
      return { ...common, type: 'string', pattern: '^[0-9a-fA-F.:]+/\\d{1,3}$' }
    case 'portRange':
      return { ...common, type: 'string', pattern: '^\\d{1,5}(-\\d{1,5})?$' }
    case 'endpoints':
      return {
        ...common,
        type: 'object',
        propertyNames: { pattern: '^[a-z0-9-]+/[a-z0-9-]+(:[a-z0-9-]+)?$' },
        additionalProperties: { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }] },
      }
  }
}

function limits(leaf: { min?: number; max?: number }): Schema {
  return {
    ...(leaf.min !== undefined && { minimum: leaf.min }),
    ...(leaf.max !== undefined && { maximum: leaf.max }),
  }
}

/** The default as a person would write it. */
function writtenDefault(leaf: SettingLeaf): unknown {
  if (leaf.type === 'duration') return printDuration(Number(leaf.default))
  if (leaf.type === 'bytes') return leaf.default === 0 ? 0 : printBytes(Number(leaf.default))
  return leaf.default
}

/** The default as `portico run --help` and `config/portico.yaml` print it. */
export function printDefault(leaf: SettingLeaf): string {
  const value = writtenDefault(leaf)
  const plain = typeof value === 'string' && /^[A-Za-z0-9][A-Za-z0-9.]*$/.test(value)
  return plain ? value : JSON.stringify(value)
}

const HEADER = `# yaml-language-server: $schema=portico.schema.json
#
# Every setting of Portico with its default. Use it with \`portico run -c portico.yaml -f manifests/\`, or put the document
# among the manifests. A flag beats an environment variable, that beats this file: http.port is also --http-port and
# PORTICO_HTTP_PORT. Durations are written 500ms, 10s, 5m, 1h; sizes 64Ki, 1Mi.
# Settings marked "restart" are read once, at the start; all others follow a change of this file at once.
`

const WIDTH = 118

/** The text of `config/portico.yaml`. */
export function printSettingsFile(): string {
  const lines = [HEADER, `apiVersion: ${SETTINGS_API_VERSION}`, `kind: ${SETTINGS_KIND}`]
  printTable(SETTINGS, '', lines)
  return `${lines.join('\n')}\n`
}

function printTable(table: SettingTable, indent: string, lines: string[]): void {
  for (const [key, entry] of Object.entries(table)) {
    if (indent === '') lines.push('')
    if (isSettingLeaf(entry)) {
      const text = entry.type === 'enum' ? `${entry.doc} One of ${entry.values.join(', ')}.` : entry.doc
      lines.push(...wrap(entry.restart ? `${text} (restart)` : text, `${indent}# `))
      lines.push(`${indent}${key}: ${printDefault(entry)}`)
    } else {
      lines.push(`${indent}${key}:`)
      printTable(entry, `${indent}  `, lines)
    }
  }
}

function wrap(text: string, prefix: string): string[] {
  const lines: string[] = []
  let line = prefix
  for (const word of text.split(' ')) {
    if (line.length > prefix.length && line.length + word.length > WIDTH) {
      lines.push(line.trimEnd())
      line = prefix
    }
    line += `${word} `
  }
  return [...lines, line.trimEnd()]
}
