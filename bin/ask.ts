/** Asks the admin listener for JSON, and turns every failure into a line for people and an exit code. */
import { type AdminPlace, askAdmin, printHostPort, UnreachableError } from './admin-client.ts'

/** `lines` say why there is no answer, and the way out. */
export class NoAnswerError extends Error {
  readonly lines: readonly string[]

  constructor(...lines: readonly string[]) {
    super(lines[0])
    this.lines = lines
  }
}

/** Throws a NoAnswerError unless the answer is 200 and JSON. `otherwise` is a line for where no gateway is reached. */
export async function askJson(admin: AdminPlace, path: string, otherwise: string): Promise<unknown> {
  const place = printHostPort(admin.address, admin.port)
  try {
    const { status, body } = await askAdmin(admin, path)
    if (status === 401 || status === 403) {
      const why = admin.tokenFault === undefined ? '' : `; ${admin.tokenFault}`
      throw new NoAnswerError(
        `the gateway at ${place} asks for its token: set PORTICO_ADMIN_TOKEN or --admin-token-file${why}`,
      )
    }
    if (status !== 200)
      throw new NoAnswerError(`the gateway at ${place} answers ${status}: ${body.trim().slice(0, 500)}`)
    return JSON.parse(body)
  } catch (error) {
    if (error instanceof SyntaxError) throw new NoAnswerError(`the server at ${place} is not Portico`)
    if (!(error instanceof UnreachableError)) throw error
    throw new NoAnswerError(
      `no running gateway reached: ${error.message}`,
      `  name another with --admin-port, or ${otherwise}`,
    )
  }
}
