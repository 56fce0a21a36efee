/** Rows of a running gateway, asked at its admin listener. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ReloadRow } from '../lib/report/reload-history.ts'
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
    return { rows, talk: kinds.includes('diagnostics') ? await this.#tellRefused() : [] }
  }

  /** Tells of a reload that was refused: the gateway lists the diagnostics of the configuration that it serves, not of the refused one. */
  async #tellRefused(): Promise<readonly string[]> {
    try {
      const [last] = (await askJson(this.#admin, '/api/v1/reloads')) as readonly ReloadRow[]
      return last?.outcome === 'refused' ? ['the last reload was refused: portico logs tells why'] : []
    } catch (error) {
      // A gateway of another version may not tell; the rows are there all the same.
      if (error instanceof NoAnswerError) return []
      throw error
    }
  }

  async change(): Promise<void> {
    await sleep(LOOK_MS)
  }
}
