/** `portico drain`: drains the running gateway, or takes one endpoint out while its requests end. */
import { printCount } from '../../lib/base/count.ts'
import { type AdminPlace, findAdmin } from '../admin-client.ts'
import { orderJson, tellNoAnswer } from '../ask.ts'
import { type Command, EXIT, INPUT_FLAGS } from '../command.ts'
import { SET_FLAG, SETTING_FLAGS } from '../setting-flag.ts'
import type { Terminal } from '../terminal.ts'
import { UsageError } from '../usage-error.ts'

type Refusal = Readonly<{ message: string }>

export const command: Command = {
  name: 'drain',
  summary: 'drain a running gateway, or take one endpoint out',
  usage: '[ENDPOINT] [--undo] [flags]',
  about: [
    'Without ENDPOINT the gateway takes no more connections, lets requests end and',
    'stops, as at SIGTERM. An endpoint gets no new requests, and those under way end;',
    'that holds over reloads, until --undo or a restart. It is named by its address,',
    'or as get endpoints -o name has it.',
    'Exit code 1 if there is no such endpoint, 4 if no gateway is reached. It must',
    'run with admin.writes; without that, kill -TERM PID drains it.',
  ],
  flags: [
    ...INPUT_FLAGS.filter(({ name }) => name === 'config'),
    { name: 'undo', doc: 'let the endpoint have requests again' },
    SET_FLAG,
    ...SETTING_FLAGS,
  ],
  firstFlags: ['config', 'undo', 'admin-socket', 'admin-port', 'admin-token-file'],
  examples: [
    ['portico drain default/web:80/127.0.0.1:3000', 'one endpoint of a Service'],
    ['portico drain 127.0.0.1:3000', 'wherever it is an endpoint'],
    ['portico drain 127.0.0.1:3000 --undo', 'requests go there again'],
    ['portico drain', 'the whole gateway'],
  ],
  words: { least: 0, most: 1, name: 'ENDPOINT' },
  async run(typed, terminal) {
    const [endpoint] = typed.positionals
    if (endpoint === undefined && typed.has('undo')) {
      throw new UsageError('--undo needs an endpoint', 'a gateway that drains cannot be called back')
    }
    const admin = await findAdmin(typed, terminal.host.env)
    try {
      if (endpoint === undefined) return await drainGateway(admin, terminal)
      return await drainEndpoint(admin, endpoint, typed.has('undo'), terminal)
    } catch (error) {
      return tellNoAnswer(error, terminal)
    }
  },
}

async function drainGateway(admin: AdminPlace, terminal: Terminal): Promise<number> {
  const { status, value } = await orderJson(admin, '/api/v1/drain', {}, 'kill -TERM drains it as well')
  if (status !== 202) {
    terminal.tell(`not drained: ${(value as Refusal).message}`)
    return EXIT.failure
  }
  const { inFlight, deadlineMs } = value as { inFlight: number; deadlineMs: number }
  terminal.print(`draining: ${printCount(inFlight, 'request')} in flight, at most ${deadlineMs / 1000} s`)
  return EXIT.ok
}

async function drainEndpoint(admin: AdminPlace, endpoint: string, undo: boolean, terminal: Terminal): Promise<number> {
  const { status, value } = await orderJson(admin, `/api/v1/endpoints/${undo ? 'undrain' : 'drain'}`, { endpoint })
  if (status !== 200) {
    terminal.tell((value as Refusal).message)
    return EXIT.failure
  }
  const { endpoints } = value as { endpoints: readonly string[] }
  for (const name of endpoints)
    terminal.print(`endpoint/${name} ${undo ? 'gets requests again' : 'gets no new requests'}`)
  return EXIT.ok
}
