/** The settings for people and editors: `config/portico.yaml` and its JSON Schema, both printed from the table. */
import { SETTINGS_API_VERSION, SETTINGS_KIND } from './resolve.ts'
import type { Schema, Setting } from './setting.ts'
import { SETTINGS } from './table.ts'
import { describeTable, isSetting, type SettingTable } from './tree.ts'

/** JSON Schema (2020-12) of a GatewayConfiguration; `options` are those that may stand under `routes`. */
export function createSettingsSchema(options: Readonly<Record<string, Schema>>): Schema {
  const { properties, ...rest } = describeTable(SETTINGS) as Schema & { properties: Record<string, Schema> }
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'https://portico.dev/schema/v1alpha1/gateway-configuration.json',
    title: `Portico ${SETTINGS_KIND}`,
    ...rest,
    properties: {
      apiVersion: { const: SETTINGS_API_VERSION },
      kind: { const: SETTINGS_KIND },
      metadata: { type: 'object' },
      ...properties,
      routes: { ...properties.routes, additionalProperties: false, properties: options },
    },
    required: ['apiVersion', 'kind'],
  }
}

const HEADER = `# yaml-language-server: $schema=portico.schema.json
#
# Every setting of Portico with its default. Use it with \`portico run -c portico.yaml -f manifests/\`, or put the document
# among the manifests. A flag beats an environment variable, that beats this file: http.port is also --http-port and
# PORTICO_HTTP_PORT. Durations are written 500ms, 10s, 5m, 1h; sizes 64Ki, 1Mi.
# Settings marked "advanced" are right for almost everybody as they are.
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
    if (isSetting(entry)) {
      lines.push(...wrap(`${explainSetting(entry)}${printMarks(entry)}`, `${indent}# `))
      lines.push(`${indent}${key}: ${printScalar(entry.write(entry.default))}`)
    } else {
      lines.push(`${indent}${key}:`)
      printTable(entry, `${indent}  `, lines)
    }
  }
}

/** What a setting does, with all its values where these are few. */
export function explainSetting({ doc, choices }: Setting): string {
  return choices ? `${doc} One of ${choices.join(', ')}.` : doc
}

function printMarks({ restart, advanced }: Setting): string {
  const marks = [...(advanced ? ['advanced'] : []), ...(restart ? ['restart'] : [])]
  return marks.length === 0 ? '' : ` (${marks.join(', ')})`
}

/** A value as a document of YAML has it on one line. */
function printScalar(value: unknown): string {
  return typeof value === 'string' && /^[A-Za-z0-9][A-Za-z0-9.]*$/.test(value) ? value : JSON.stringify(value)
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
