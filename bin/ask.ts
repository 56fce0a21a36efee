/** Asks the admin listener for JSON, and turns every failure into a line for people and an exit code. */
import {
  type AdminAnswer,
  type AdminEvent,
  type AdminPlace,
  type AdminStream,
  askAdmin,
  followAdmin,
  printPlace,
  UnreachableError,
} from './admin-client.ts'
import { EXIT } from './command.ts'
import type { Terminal } from './terminal.ts'

/** `lines` say why there is no answer, and the way out. */
export class NoAnswerError extends Error {
  readonly lines: readonly string[]
  readonly exitCode: number
  /** Of the answer that had nothing; undefined: there was none. */
  readonly status: number | undefined

  constructor(lines: readonly string[], exitCode: number = EXIT.unreachable, status?: number) {
    super(lines[0])
    this.lines = lines
    this.exitCode = exitCode
    this.status = status
  }
}

/** Throws a NoAnswerError unless the answer is 200 and JSON. `otherwise` is what to do where no gateway is reached. */
export async function askJson(admin: AdminPlace, path: string, otherwise?: string): Promise<unknown> {
  const answer = await ask(admin, path, undefined, otherwise)
  if (answer.status === 200) return read(admin, answer.body)
  throw refuse(admin, answer)
}

/** Opens a stream of server-sent events; its events throw a NoAnswerError where it breaks off. */
export async function followEvents(admin: AdminPlace, path: string): Promise<AdminStream> {
  const stream = await reach(() => followAdmin(admin, path), undefined)
  if ('status' in stream) throw refuse(admin, stream)
  return { close: stream.close, events: guard(stream.events) }
}

async function* guard(events: AsyncIterable<AdminEvent>): AsyncGenerator<AdminEvent> {
  try {
    yield* events
  } catch (error) {
    throw explainUnreached(error, undefined)
  }
}

/**
 * POSTs a write; gives the status and what was answered. Throws a NoAnswerError where no gateway is reached, or it takes no writes;
 * `otherwise` is another way to the same.
 */
export async function orderJson(
  admin: AdminPlace,
  path: string,
  body: object,
  otherwise?: string,
): Promise<Readonly<{ status: number; value: unknown }>> {
  const { status, body: text } = await ask(admin, path, body, otherwise)
  if (status !== 405) return { status, value: read(admin, text) }
  const way = 'start it with admin.writes and a token or socket: portico run --admin-writes --admin-socket PATH'
  throw new NoAnswerError(
    [
      `the gateway at ${printPlace(admin)} takes no writes: ${way}${otherwise === undefined ? '' : `; or ${otherwise}`}`,
    ],
    EXIT.failure,
  )
}

/** Tells why there was no answer, and gives the exit code. Throws any other error. */
export function tellNoAnswer(error: unknown, terminal: Terminal): number {
  if (!(error instanceof NoAnswerError)) throw error
  for (const line of error.lines) terminal.tell(line)
  return error.exitCode
}

async function ask(
  admin: AdminPlace,
  path: string,
  body: object | undefined,
  otherwise: string | undefined,
): Promise<AdminAnswer> {
  const answer = await reach(() => askAdmin(admin, path, body), otherwise)
  if (answer.status === 401 || answer.status === 403) throw refuse(admin, answer)
  return answer
}

async function reach<T>(asked: () => Promise<T>, otherwise: string | undefined): Promise<T> {
  try {
    return await asked()
  } catch (error) {
    throw explainUnreached(error, otherwise)
  }
}

/** Any other error stays as it is. */
function explainUnreached(error: unknown, otherwise: string | undefined): unknown {
  if (!(error instanceof UnreachableError)) return error
  return new NoAnswerError([
    `no running gateway reached: ${error.message}`,
    `  name another with --admin-port or --admin-socket${otherwise === undefined ? '' : `, or ${otherwise}`}`,
  ])
}

/** Why an answer with this status has nothing that was asked for. */
function refuse(admin: AdminPlace, { status, body }: AdminAnswer): NoAnswerError {
  const place = printPlace(admin)
  if (status === 401 || status === 403) {
    const why = admin.tokenFault === undefined ? '' : `; ${admin.tokenFault}`
    return new NoAnswerError([
      `the gateway at ${place} asks for its token: set PORTICO_ADMIN_TOKEN or --admin-token-file${why}`,
    ])
  }
  const line = `the gateway at ${place} answers ${status}: ${readMessage(body)}`
  return new NoAnswerError([line], EXIT.unreachable, status)
}

/** The text of the answer, or the message that it has as JSON. */
function readMessage(body: string): string {
  try {
    const { message } = JSON.parse(body) as { message?: unknown }
    if (typeof message === 'string') return message
  } catch {
    // No JSON.
  }
  return body.trim().slice(0, 500)
}

function read(admin: AdminPlace, body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    throw new NoAnswerError([`the server at ${printPlace(admin)} is not Portico`])
  }
}
