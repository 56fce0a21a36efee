/** `portico top`: what the routes and endpoints of a running gateway have to do just now. */
import type { TrafficView } from '../../lib/report/traffic-view.ts'
import { type AdminPlace, findAdmin } from '../admin-client.ts'
import { askJson, followEvents, tellNoAnswer } from '../ask.ts'
import { type Command, EXIT, INPUT_FLAGS, NO_WORDS } from '../command.ts'
import { readOutput } from '../output.ts'
import { printTraffic } from '../print/traffic.ts'
import { SET_FLAG, SETTING_FLAGS } from '../setting-flag.ts'
import type { Terminal } from '../terminal.ts'

/** Rows of a terminal that does not say how many it has. */
const USUAL_ROWS = 24
/** The other screen of the terminal, without a cursor; and back. */
const ENTER = '\x1b[?1049h\x1b[?25l'
const LEAVE = '\x1b[?25h\x1b[?1049l'

export const command: Command = {
  name: 'top',
  summary: 'show what routes and endpoints have to do just now',
  usage: '[flags]',
  about: [
    'Requests a second, failures and durations by route and endpoint, the busiest',
    'first: rates over the last five seconds, durations over the last minute or so.',
    'On a terminal it goes on, once a second, until it is interrupted; elsewhere it',
    'prints once. Asks the gateway that runs on this machine, at the admin address',
    'of flags and environment; exit code 4 if it cannot be reached.',
  ],
  flags: [
    { name: 'once', doc: 'print once, on a terminal too' },
    { name: 'output', short: 'o', value: 'FORM', doc: 'table, or json, which is printed once' },
    ...INPUT_FLAGS.filter(({ name }) => name === 'config'),
    SET_FLAG,
    ...SETTING_FLAGS,
  ],
  firstFlags: ['once', 'output', 'config', 'admin-port', 'set'],
  examples: [
    ['portico top', 'once a second'],
    ['portico top --once', 'for a look'],
    ['portico top -o json', 'for jq'],
  ],
  words: NO_WORDS,
  async run(typed, terminal) {
    const output = readOutput(typed, ['table', 'json'])
    const admin = await findAdmin(typed, terminal.host.env)
    try {
      if (output === 'json' || typed.has('once') || !terminal.host.stdout.isTTY) {
        return await printOnce(admin, output === 'json', terminal)
      }
      return await watch(admin, terminal)
    } catch (error) {
      return tellNoAnswer(error, terminal)
    }
  },
}

async function printOnce(admin: AdminPlace, isJson: boolean, terminal: Terminal): Promise<number> {
  const view = (await askJson(admin, '/api/v1/traffic')) as TrafficView
  terminal.print(isJson ? JSON.stringify(view, undefined, 2) : printTraffic(view, { paint: terminal.paint }).join('\n'))
  return EXIT.ok
}

/** In place, until it is interrupted or the gateway ends. */
async function watch(admin: AdminPlace, terminal: Terminal): Promise<number> {
  const { host } = terminal
  const { stdout } = host
  const stream = await followEvents(admin, '/api/v1/traffic/stream?limit=100')
  const leave = () => void stdout.write(LEAVE)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    host.on(signal, () => {
      leave()
      host.exit(EXIT.ok)
    })
  }
  stdout.once('error', () => host.exit(EXIT.ok))
  stdout.write(ENTER)
  try {
    for await (const { event, data } of stream.events) {
      if (event !== 'traffic') continue
      const { rows = USUAL_ROWS, columns } = stdout
      const lines = printTraffic(JSON.parse(data) as TrafficView, { paint: terminal.paint, rows: rows - 1, columns })
      stdout.write(`\x1b[H${lines.map((line) => `${line}\x1b[K`).join('\n')}\x1b[J`)
    }
  } finally {
    leave()
  }
  terminal.tell('the gateway has ended')
  return EXIT.unreachable
}
