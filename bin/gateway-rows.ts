/** Rows of a running gateway, asked at its admin listener. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type AdminPlace, askAdmin, printHostPort, UnreachableError } from './admin-client.ts'
import { EXIT } from './command.ts'
import type { Kind } from './kind.ts'
import type { Reading, RowSource } from './row-source.ts'

/** Milliseconds between two requests. */
const LOOK_MS = 1_000

export class GatewayRows implements RowSource {
  readonly #admin: AdminPlace

  constructor(admin: AdminPlace) {
    this.#admin = admin
  }

  async read(kinds: readonly Kind[]): Promise<Reading> {
    const admin = this.#admin
    const place = printHostPort(admin.address, admin.port)
    const rows = new Map<Kind, readonly unknown[]>()
    const fail = (...talk: readonly string[]): Reading => ({ rows: EXIT.unreachable, talk })
    for (const kind of kinds) {
      try {
        const { status, body } = await askAdmin(admin, `/api/v1/${kind === 'settings' ? 'setting-rows' : kind}`)
        if (status === 401 || status === 403) {
          const why = admin.tokenFault === undefined ? '' : `; ${admin.tokenFault}`
          return fail(`the gateway at ${place} asks for its token: set PORTICO_ADMIN_TOKEN or --admin-token-file${why}`)
        }
        if (status !== 200) return fail(`the gateway at ${place} answers ${status}: ${body.trim().slice(0, 500)}`)
        rows.set(kind, JSON.parse(body) as unknown[])
      } catch (error) {
        if (error instanceof SyntaxError) return fail(`the server at ${place} is not Portico`)
        if (!(error instanceof UnreachableError)) throw error
        return fail(
          `no running gateway reached: ${error.message}`,
          `  name another with --admin-port, or read files: portico get ${kind} -f FILE-OR-FOLDER`,
        )
      }
    }
    return { rows, talk: [] }
  }

  async change(): Promise<void> {
    await sleep(LOOK_MS)
  }
}
