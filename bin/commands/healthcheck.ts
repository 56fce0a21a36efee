/** `portico healthcheck`: for Docker and init systems, where no curl is at hand. */
import { askAdmin, findAdmin, UnreachableError } from '../admin-client.ts'
import { type Command, EXIT, INPUT_FLAGS, NO_WORDS } from '../command.ts'
import { SET_FLAG, SETTING_FLAGS } from '../setting-flag.ts'

export const command: Command = {
  name: 'healthcheck',
  summary: 'ask a running gateway whether it is ready',
  usage: '[--admin-port PORT]',
  about: [
    'Asks /readyz of the admin listener, at the address set by flags, environment or',
    'settings file, as for run. Exit code 0 if ready, 1 if not, always within two',
    'seconds.',
  ],
  flags: [...INPUT_FLAGS.filter(({ name }) => name === 'config'), SET_FLAG, ...SETTING_FLAGS],
  examples: [
    ['portico healthcheck', 'the gateway on this machine'],
    ['HEALTHCHECK CMD ["portico", "healthcheck"]', 'in a Dockerfile'],
  ],
  words: NO_WORDS,
  async run(typed, terminal) {
    const admin = await findAdmin(typed, terminal.host.env)
    try {
      const { status, body } = await askAdmin(admin, '/readyz')
      if (status === 200) {
        terminal.print('ready')
        return EXIT.ok
      }
      terminal.tell(`not ready: ${body.trim().slice(0, 500)}`)
    } catch (error) {
      if (!(error instanceof UnreachableError)) throw error
      terminal.tell(`not ready: ${error.message}`)
    }
    return EXIT.failure
  },
}
