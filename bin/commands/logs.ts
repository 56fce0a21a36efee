/** `portico logs`: the last lines of the running gateway's own log, and those that follow. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { LogAnswer } from '../../lib/admin/logs.ts'
import { findAdmin } from '../admin-client.ts'
import { askJson, NoAnswerError, tellNoAnswer } from '../ask.ts'
import { type Command, EXIT, INPUT_FLAGS, NO_WORDS } from '../command.ts'
import { readOutput } from '../output.ts'
import { SET_FLAG, SETTING_FLAGS } from '../setting-flag.ts'
import { UsageError } from '../usage-error.ts'

/** Milliseconds between two questions. */
const LOOK_MS = 500

export const command: Command = {
  name: 'logs',
  summary: "print the last lines of a running gateway's own log",
  usage: '[-f] [--tail NUMBER] [-o text|json]',
  about: [
    'Reloads, endpoints that fail and recover, ports, certificates: what the gateway',
    'says of itself, at the level of log.level. It keeps the last 1000 lines of its',
    'control process; lines of requests are those of the access log.',
    'Exit code 4 if no gateway is reached.',
  ],
  flags: [
    ...INPUT_FLAGS.filter(({ name }) => name === 'config'),
    { name: 'follow', short: 'f', doc: 'go on, and print what is logged' },
    { name: 'tail', value: 'NUMBER', doc: 'only so many of the last lines' },
    { name: 'output', short: 'o', value: 'text|json', doc: 'how to print' },
    SET_FLAG,
    ...SETTING_FLAGS,
  ],
  firstFlags: ['config', 'follow', 'tail', 'output', 'admin-port', 'admin-socket', 'admin-token-file'],
  examples: [
    ['portico logs --tail 20', 'the last lines'],
    ['portico logs -f -o json', 'as they come, for scripts'],
  ],
  words: NO_WORDS,
  async run(typed, terminal) {
    const output = readOutput(typed, ['text', 'json'])
    const tail = typed.value('tail')
    if (tail !== undefined && !/^\d{1,9}$/.test(tail)) throw new UsageError(`--tail ${tail} is no number`)
    const admin = await findAdmin(typed, terminal.host.env)
    const { createLinePrinter } = await import('../../lib/telemetry/log.ts')
    const isColoured = terminal.paint('bold', 'x') !== 'x'
    const print = output === 'json' ? JSON.stringify : createLinePrinter(isColoured)
    const other = 'read its standard output'
    const ask = async (after: number) => (await askJson(admin, `/api/v1/logs?after=${after}`, other)) as LogAnswer
    try {
      let { last, lines } = await ask(0)
      if (tail !== undefined) lines = Number(tail) === 0 ? [] : lines.slice(-Number(tail))
      terminal.host.stdout.once('error', () => terminal.host.exit(EXIT.ok))
      for (;;) {
        for (const line of lines) terminal.print(print(line as object).trimEnd())
        if (!typed.has('follow')) return EXIT.ok
        await sleep(LOOK_MS)
        const next = await ask(last)
        last = next.last
        lines = next.lines
      }
    } catch (error) {
      if (error instanceof NoAnswerError && typed.has('follow')) terminal.tell('the gateway has gone')
      return tellNoAnswer(error, terminal)
    }
  },
}
