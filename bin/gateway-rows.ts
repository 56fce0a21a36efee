/** Rows of a running gateway, asked at its admin listener. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { AdminPlace } from './admin-client.ts'
import { askJson, NoAnswerError } from './ask.ts'
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
    const rows = new Map<Kind, readonly unknown[]>()
    for (const kind of kinds) {
      try {
        const path = `/api/v1/${kind === 'settings' ? 'setting-rows' : kind}`
        const value = await askJson(this.#admin, path, `read files: portico get ${kind} -f FILE-OR-FOLDER`)
        rows.set(kind, value as unknown[])
      } catch (error) {
        if (!(error instanceof NoAnswerError)) throw error
        return { rows: error.exitCode, talk: error.lines }
      }
    }
    return { rows, talk: [] }
  }

  async change(): Promise<void> {
    await sleep(LOOK_MS)
  }
}
