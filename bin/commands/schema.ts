/** `portico schema [NAME]` */

import { alignColumns } from '../../lib/base/columns.ts'
import { createSettingsSchema } from '../../lib/settings/print.ts'
import type { Schema } from '../../lib/settings/setting.ts'
import { createAnnotationsSchema } from '../../lib/translate/annotation.ts'
import { createRoutePolicySchema, describeOptions } from '../../lib/translate/route-policy/policy-schema.ts'
import { type Command, EXIT } from '../command.ts'
import { createTestSchema } from '../route-test/fields.ts'
import { suggestName } from '../suggestion.ts'
import { UsageError } from '../usage-error.ts'

type PrintedSchema = Readonly<{ of: string; create: () => Schema }>

const SCHEMAS: Readonly<Record<string, PrintedSchema>> = {
  settings: {
    of: 'settings: kind GatewayConfiguration',
    create: () => createSettingsSchema(describeOptions('Setting')),
  },
  annotations: {
    of: 'annotations under portico.dev/ on Ingresses, Services and EndpointSlices',
    create: createAnnotationsSchema,
  },
  routepolicy: {
    of: 'filters and conditions in a document of their own: kind RoutePolicy',
    create: createRoutePolicySchema,
  },
  routetest: { of: 'files of portico test: kind RouteTest', create: createTestSchema },
}
const NAMES = Object.keys(SCHEMAS)

export const command: Command = {
  name: 'schema',
  summary: 'print a JSON Schema, by which editors complete and check',
  usage: `[${NAMES.join('|')}]`,
  about: [
    'Without a name it lists the schemas. The same are in the folder config of the',
    'package. A line at the top of a document turns one on in editors:',
    '# yaml-language-server: $schema=route-policy.schema.json',
  ],
  flags: [],
  examples: [
    ['portico schema routepolicy > route-policy.schema.json', 'for documents of kind RoutePolicy'],
    ['portico schema settings > portico.schema.json', 'for the settings'],
  ],
  words: { least: 0, most: 1, name: 'NAME', values: NAMES },
  async run(typed, terminal) {
    // The kind is written RoutePolicy, the schema routepolicy.
    const name = typed.positionals[0]?.toLowerCase()
    if (name === undefined) {
      for (const line of alignColumns(
        NAMES.map((each) => [each, SCHEMAS[each]!.of]),
        3,
      ))
        terminal.print(line)
      return EXIT.ok
    }
    if (!NAMES.includes(name)) {
      throw new UsageError(`unknown schema "${name}"`, suggestName(name, NAMES) ?? `schemas: ${NAMES.join(', ')}`)
    }
    terminal.print(JSON.stringify(SCHEMAS[name]!.create(), null, 2))
    return EXIT.ok
  },
}
