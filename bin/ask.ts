/** Asks the admin listener for JSON, and turns every failure into a line for people and an exit code. */
import { type AdminAnswer, type AdminPlace, askAdmin, printPlace, UnreachableError } from './admin-client.ts'
import { EXIT } from './command.ts'
import type { Terminal } from './terminal.ts'

/** `lines` say why there is no answer, and the way out. */
export class NoAnswerError extends Error {
  readonly lines: readonly string[]
  readonly exitCode: number

  constructor(lines: readonly string[], exitCode: number = EXIT.unreachable) {
    super(lines[0])
    this.lines = lines
    this.exitCode = exitCode
  }
}

/** Throws a NoAnswerError unless the answer is 200 and JSON. `otherwise` is what to do where no gateway is reached. */
export async function askJson(admin: AdminPlace, path: string, otherwise: string): Promise<unknown> {
  const { status, body } = await ask(admin, path, undefined, otherwise)
  if (status === 200) return read(admin, body)
  throw new NoAnswerError([`the gateway at ${printPlace(admin)} answers ${status}: ${body.trim().slice(0, 500)}`])
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
  const place = printPlace(admin)
  try {
    const answer = await askAdmin(admin, path, body)
    if (answer.status !== 401 && answer.status !== 403) return answer
    const why = admin.tokenFault === undefined ? '' : `; ${admin.tokenFault}`
    throw new NoAnswerError([
      `the gateway at ${place} asks for its token: set PORTICO_ADMIN_TOKEN or --admin-token-file${why}`,
    ])
  } catch (error) {
    if (!(error instanceof UnreachableError)) throw error
    throw new NoAnswerError([
      `no running gateway reached: ${error.message}`,
      `  name another with --admin-port or --admin-socket${otherwise === undefined ? '' : `, or ${otherwise}`}`,
    ])
  }
}

function read(admin: AdminPlace, body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    throw new NoAnswerError([`the server at ${printPlace(admin)} is not Portico`])
  }
}
