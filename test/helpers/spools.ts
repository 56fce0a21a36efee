/** Room for buffered bodies, in a folder of its own that goes with the test. */

import { randomUUID } from 'node:crypto'
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { Spools, type SpoolsOptions } from '../../lib/request/spools.ts'
import { makeSettings } from './settings.ts'

/** The folder is not there yet. */
export function chooseFolder(t: Test): string {
  const folder = join(tmpdir(), `portico-bodies-${randomUUID()}`)
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export function makeSpools(t: Test, options: Partial<SpoolsOptions> = {}): Spools {
  const { buffering } = makeSettings()
  return new Spools({
    folder: options.folder ?? chooseFolder(t),
    limits: () => buffering,
    reserve: { isReleased: false, watch() {} },
    warn() {},
    ...options,
  })
}
