/** The ports and addresses that Services were given, kept on disk between starts. What is there and cannot be used is made anew. */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { findDataDir, keepFile } from '../base/data-folder.ts'
import type { Settings } from '../settings/table.ts'
import type { Allocation, Allocations } from '../translate/exposure/allocation.ts'

const FILE = 'allocations.json'
const VERSION = 1
/** Some 100,000 allocations: a larger file was not written here. */
const MAX_BYTES = 16_777_216
const MAX_VALUE_LENGTH = 64
const MAX_KEY_LENGTH = 256

/** Where they are kept. */
export function findAllocationFile({ dataDir }: Settings, environment: NodeJS.ProcessEnv): string {
  return join(findDataDir(dataDir, environment), FILE)
}

/** None, where there is no file or nothing in it can be used. Never throws. */
export async function readAllocations(path: string): Promise<Allocations> {
  try {
    const { size } = await stat(path)
    return size > MAX_BYTES ? new Map() : parseAllocations(await readFile(path, 'utf8'))
  } catch {
    return new Map()
  }
}

/** Throws Node's errors. */
export async function writeAllocations(
  settings: Settings,
  environment: NodeJS.ProcessEnv,
  allocations: Allocations,
): Promise<void> {
  await keepFile(findDataDir(settings.dataDir, environment), FILE, printAllocations(allocations))
}

/** One line each, in the order of their names. */
export function printAllocations(allocations: Allocations): string {
  const lines = [...allocations]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, { value, goneAt }]) => {
      const entry = goneAt === undefined ? { value } : { value, goneAt: new Date(goneAt).toISOString() }
      return `    ${JSON.stringify(key)}: ${JSON.stringify(entry)}`
    })
  return `{\n  "version": ${VERSION},\n  "allocations": {\n${lines.join(',\n')}\n  }\n}\n`
}

/** Entries that are none are passed over. Throws where the text is no JSON. */
export function parseAllocations(text: string): Allocations {
  const root: unknown = JSON.parse(text)
  const found = new Map<string, Allocation>()
  if (!isMapping(root) || root.version !== VERSION || !isMapping(root.allocations)) return found
  for (const [key, entry] of Object.entries(root.allocations)) {
    if (!isMapping(entry) || typeof entry.value !== 'string') continue
    if (key.length > MAX_KEY_LENGTH || entry.value.length > MAX_VALUE_LENGTH) continue
    const goneAt = typeof entry.goneAt === 'string' ? Date.parse(entry.goneAt) : undefined
    if (goneAt === undefined) found.set(key, { value: entry.value })
    else if (!Number.isNaN(goneAt)) found.set(key, { value: entry.value, goneAt })
  }
  return found
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Writes what changed, one write after another; a folder that cannot be written is told once. */
export class AllocationKeeper {
  readonly #write: (allocations: Allocations) => Promise<void>
  readonly #onFailed: (error: unknown) => void
  #kept: Allocations
  #wanted: Allocations
  #running: Promise<void> | undefined
  #isTold = false

  /** `kept` is what is on disk. */
  constructor(
    kept: Allocations,
    write: (allocations: Allocations) => Promise<void>,
    onFailed: (error: unknown) => void,
  ) {
    this.#kept = kept
    this.#wanted = kept
    this.#write = write
    this.#onFailed = onFailed
  }

  keep(allocations: Allocations): void {
    this.#wanted = allocations
    if (this.#running === undefined && allocations !== this.#kept) this.#running = this.#run()
  }

  /** Resolves when the newest is written, or could not be. */
  async settle(): Promise<void> {
    await this.#running
  }

  async #run(): Promise<void> {
    while (this.#kept !== this.#wanted) {
      const wanted = this.#wanted
      try {
        await this.#write(wanted)
      } catch (error) {
        if (!this.#isTold) this.#onFailed(error)
        this.#isTold = true
      }
      // What could not be written is not tried again until something changes.
      this.#kept = wanted
    }
    this.#running = undefined
  }
}
