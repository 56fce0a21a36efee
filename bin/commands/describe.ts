/** `portico describe`: everything known of one object, of a running gateway or of manifests. */
import { type Command, EXIT, INPUT_FLAGS } from '../command.ts'
import { DESCRIBED, type DescribedKind, describe } from '../description.ts'
import { readAsked } from '../kind.ts'
import { openRows } from '../open-rows.ts'
import { readOutput } from '../output.ts'
import { printDescription } from '../print/description.ts'
import { SET_FLAG, SETTING_FLAGS } from '../setting-flag.ts'
import { UsageError } from '../usage-error.ts'

const KINDS: readonly string[] = DESCRIBED.filter((kind) => kind !== 'diagnostics')

export const command: Command = {
  name: 'describe',
  summary: 'tell everything known of one object',
  usage: 'KIND NAME [flags]',
  about: [
    'KIND is ingress (or route), service, endpoint, certificate (or secret) or',
    'listener; names are those of get, and KIND/NAME will do. Prints its fields, its',
    'routes, endpoints with health and traffic, certificates and ports, and its',
    'problems with their places. With -f or -c it tells of these files, and starts',
    'nothing; without them it asks the running gateway.',
    'Exit code 1 if there is no such object, 4 if no gateway is reached.',
  ],
  flags: [
    ...INPUT_FLAGS,
    { name: 'output', short: 'o', value: 'text|json', doc: 'how to print' },
    SET_FLAG,
    ...SETTING_FLAGS,
  ],
  firstFlags: ['filename', 'config', 'output', 'endpoints', 'ingress-class', 'admin-port', 'set'],
  examples: [
    ['portico describe ingress shop -f k8s/', 'an Ingress of manifests'],
    ['portico describe service default/api', 'of the running gateway, with its traffic'],
    ['portico describe endpoint 127.0.0.1:3000', 'one endpoint'],
  ],
  words: { least: 1, most: 2, name: 'KIND', values: KINDS },
  async run(typed, terminal) {
    const output = readOutput(typed, ['text', 'json'])
    const asked = readAsked(typed.positionals)
    const [{ kind, names }] = asked as [(typeof asked)[number]]
    const [name] = names
    if (asked.length > 1 || !KINDS.includes(kind)) {
      throw new UsageError(`${typed.positionals[0]} cannot be described`, `one of ${KINDS.join(', ')}`)
    }
    if (name === undefined || names.length > 1) throw new UsageError('NAME is missing', `portico describe ${kind} NAME`)
    const source = await openRows(`describe ${typed.positionals.join(' ')}`, typed, terminal)
    const { rows, talk } = await source.read(DESCRIBED)
    for (const line of talk) terminal.tell(line)
    if (typeof rows === 'number') return rows
    const description = describe(kind as DescribedKind, name, rows)
    if (!description) {
      terminal.tell(`no ${kind} named "${name}"`)
      return EXIT.failure
    }
    if (output === 'json') terminal.print(JSON.stringify(description, undefined, 2))
    else terminal.print(printDescription(description, terminal.paint))
    return EXIT.ok
  },
}
