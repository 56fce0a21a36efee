/** `portico reload`: has the running gateway read its files anew, and prints what that changed. */
import type { ReloadOutcome } from '../../lib/report/reloaded.ts'
import { findAdmin } from '../admin-client.ts'
import { orderJson, tellNoAnswer } from '../ask.ts'
import { type Command, EXIT, INPUT_FLAGS, NO_WORDS } from '../command.ts'
import { readOutput } from '../output.ts'
import { printReloaded, printReloadFailed } from '../print/reload.ts'
import { SET_FLAG, SETTING_FLAGS } from '../setting-flag.ts'

export const command: Command = {
  name: 'reload',
  summary: 'have a running gateway read its files anew',
  usage: '[flags]',
  about: [
    'Prints what changed, as the gateway itself does. Exit code 0 if all of it is in',
    'force, 1 if something was not taken, with the problems; 4 if no gateway is',
    'reached. The gateway must run with admin.writes; without it, kill -HUP PID',
    'reloads, and so does a changed file.',
  ],
  flags: [
    ...INPUT_FLAGS.filter(({ name }) => name === 'config'),
    { name: 'output', short: 'o', value: 'text|json', doc: 'how to print' },
    SET_FLAG,
    ...SETTING_FLAGS,
  ],
  firstFlags: ['config', 'output', 'admin-socket', 'admin-port', 'admin-token-file'],
  examples: [
    ['portico reload --admin-socket /run/portico.sock', 'by its socket'],
    ['portico reload --admin-token-file token -o json', 'with its token, for scripts'],
  ],
  words: NO_WORDS,
  async run(typed, terminal) {
    const output = readOutput(typed, ['text', 'json'])
    const admin = await findAdmin(typed, terminal.host.env)
    try {
      const other = 'kill -HUP reloads as well'
      const { status, value } = await orderJson(admin, '/api/v1/reload', {}, other)
      const outcome = value as ReloadOutcome | { type: undefined; message: string }
      if (outcome.type === undefined) {
        terminal.tell(`not reloaded: ${outcome.message ?? `the gateway answers ${status}`}`)
        return EXIT.failure
      }
      if (output === 'json') terminal.print(JSON.stringify(outcome, undefined, 2))
      else if (outcome.type === 'failed') terminal.tell(printReloadFailed(outcome.failure, terminal.paintTalk))
      else terminal.print(printReloaded(outcome.reloaded, outcome.inFlight, terminal.paint))
      return outcome.type === 'failed' || outcome.reloaded.kept.length > 0 ? EXIT.failure : EXIT.ok
    } catch (error) {
      return tellNoAnswer(error, terminal)
    }
  },
}
