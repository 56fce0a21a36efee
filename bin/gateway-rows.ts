/** Rows of a running gateway, asked at its admin listener. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type AdminPlace, askAdmin, explainAnswer, printHostPort, UnreachableError } from './admin-client.ts'
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
        const answer = await askAdmin(admin, `/api/v1/${kind === 'settings' ? 'setting-rows' : kind}`)
        if (answer.status !== 200) return fail(explainAnswer(admin, answer))
        rows.set(kind, JSON.parse(answer.body) as unknown[])
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
