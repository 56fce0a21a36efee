/** `portico tap`: the requests of a running gateway, as they end. */
import { DURATION, parseMeasure } from '../../lib/base/measure.ts'
import type { RequestDetail, RequestSummary } from '../../lib/report/request-view.ts'
import { parseStatusWish } from '../../lib/telemetry/request-query.ts'
import { type AdminPlace, findAdmin } from '../admin-client.ts'
import { askJson, followEvents, NoAnswerError, tellNoAnswer } from '../ask.ts'
import { type Command, EXIT, INPUT_FLAGS, NO_WORDS } from '../command.ts'
import type { Typed } from '../flag.ts'
import { readOutput } from '../output.ts'
import { printRequest, printRequestDetail } from '../print/request.ts'
import { SET_FLAG, SETTING_FLAGS } from '../setting-flag.ts'
import type { Terminal } from '../terminal.ts'
import { UsageError } from '../usage-error.ts'

/** The flags that say which requests are wanted, and the parameters of the admin API that they are. */
const FILTERS = {
  host: ['HOST', 'only requests for this host; *.shop.test is every host one label below'],
  route: ['ROUTE', 'only this route, by its id or a part of it: an Ingress, a host, a path'],
  service: ['SERVICE', 'only this Service: web, shop/web or shop/web:80'],
  status: ['STATUS', 'only these statuses: 404, 5xx, ">=400", 400-499'],
  method: ['METHOD', 'only this method'],
  client: ['ADDRESS', 'only this client, an address or a range as 10.0.0.0/8'],
  code: ['CODE', "only requests that failed with this code, with or without 'PORTICO_'"],
} as const

const MIN_DURATION = 'min-duration'
const FOLLOW = 'follow-request'

export const command: Command = {
  name: 'tap',
  summary: 'show the requests of a running gateway as they end',
  usage: '[flags]',
  about: [
    'Asks the gateway that runs on this machine, at the admin address of flags and',
    'environment; exit code 4 if it cannot be reached. Goes on until it is',
    'interrupted. What may be secret is not shown: values of query parameters as',
    'accessLog.redact names them, credentials and cookies.',
    '--follow-request prints what became of one request, at once where the gateway',
    'has it still, and else when it ends.',
  ],
  flags: [
    ...Object.entries(FILTERS).map(([name, [value, doc]]) => ({ name, value, doc })),
    { name: MIN_DURATION, value: 'TIME', doc: 'only requests that took this long: 500ms, 2s' },
    { name: FOLLOW, value: 'ID', doc: 'the request with this id (X-Request-Id), step by step' },
    {
      name: 'output',
      short: 'o',
      value: 'FORM',
      doc: 'wide has client, route, endpoint and id as well; json is one object a line',
    },
    ...INPUT_FLAGS.filter(({ name }) => name === 'config'),
    SET_FLAG,
    ...SETTING_FLAGS,
  ],
  firstFlags: [...Object.keys(FILTERS), MIN_DURATION, FOLLOW, 'output', 'config', 'admin-port', 'set'],
  examples: [
    ['portico tap', 'every request'],
    ['portico tap --host shop.localhost --status 5xx', 'what fails there'],
    ['portico tap --min-duration 500ms -o wide', 'what is slow, and where'],
    ['portico tap --follow-request 3f9a1c', 'one request, step by step'],
    ['portico tap --service shop/api -o json', 'for jq'],
  ],
  words: NO_WORDS,
  async run(typed, terminal) {
    const output = readOutput(typed, ['line', 'wide', 'json'])
    const query = readFilters(typed)
    const admin = await findAdmin(typed, terminal.host.env)
    const id = typed.value(FOLLOW)
    try {
      return id === undefined
        ? await tap(admin, query, output, terminal)
        : await followOne(admin, id, output === 'json', terminal)
    } catch (error) {
      return tellNoAnswer(error, terminal)
    }
  },
}

function readFilters(typed: Typed): URLSearchParams {
  const query = new URLSearchParams()
  for (const name of Object.keys(FILTERS)) {
    const value = typed.value(name)
    if (value !== undefined) query.set(name, value)
  }
  const status = query.get('status')
  if (status !== null && !parseStatusWish(status)) {
    throw new UsageError(`"${status}" is no status`, "write 404, 5xx, '>=400' or 400-499")
  }
  const least = typed.value(MIN_DURATION)
  if (least !== undefined) {
    if (!DURATION.pattern.test(least)) throw new UsageError(`"${least}" is not a time`, 'write 500ms or 2s')
    query.set('min_duration_ms', String(parseMeasure(least, DURATION)))
  }
  return query
}

async function tap(
  admin: AdminPlace,
  query: URLSearchParams,
  output: 'line' | 'wide' | 'json',
  terminal: Terminal,
): Promise<number> {
  terminal.host.stdout.once('error', () => terminal.host.exit(EXIT.ok))
  const stream = await followEvents(admin, `/api/v1/requests/stream?${query}`)
  for await (const { event, data } of stream.events) {
    if (event === 'dropped') {
      const { count } = JSON.parse(data) as { count: number }
      terminal.tell(`${count} more came too fast to be shown`)
    } else if (event !== 'request') continue
    else if (output === 'json') terminal.print(data)
    else terminal.print(printRequest(JSON.parse(data) as RequestSummary, output === 'wide', terminal.paint))
  }
  terminal.tell('the gateway has ended')
  return EXIT.unreachable
}

async function followOne(admin: AdminPlace, id: string, isJson: boolean, terminal: Terminal): Promise<number> {
  const print = (detail: RequestDetail) => {
    terminal.print(isJson ? JSON.stringify(detail) : printRequestDetail(detail, terminal.paint))
    return EXIT.ok
  }
  // The stream is there before the records are asked: a request that ends in between is in one of them.
  const stream = await followEvents(admin, `/api/v1/requests/stream?${new URLSearchParams({ id })}`)
  try {
    const known = await findKept(admin, id)
    if (known) return print(known)
    terminal.tell(`no request ${id} so far: waiting for its end`)
    for await (const { event, data } of stream.events) {
      if (event === 'request') return print(JSON.parse(data) as RequestDetail)
    }
  } finally {
    // An open stream would keep the process alive.
    stream.close()
  }
  terminal.tell('the gateway has ended')
  return EXIT.unreachable
}

/** Undefined where the gateway has no record of the request, or none any more. */
async function findKept(admin: AdminPlace, id: string): Promise<RequestDetail | undefined> {
  try {
    return (await askJson(admin, `/api/v1/requests/${encodeURIComponent(id)}`)) as RequestDetail
  } catch (error) {
    if (error instanceof NoAnswerError && error.status === 404) return undefined
    throw error
  }
}
