/** How long each test file took the last time that it ran here. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** Milliseconds for each module that a file leads to, where the file was never measured: files that start a gateway lead to most. */
const GUESS = 7

export class Times {
  readonly #path: string
  readonly #measured: Map<string, number>

  constructor(path: string) {
    this.#path = path
    this.#measured = new Map(readTimes(path))
  }

  /** Milliseconds. `reach` is what the file leads to. */
  expect(file: string, reach: ReadonlySet<string>): number {
    return this.#measured.get(file) ?? reach.size * GUESS
  }

  note(file: string, ms: number): void {
    this.#measured.set(file, ms)
  }

  save(): void {
    mkdirSync(dirname(this.#path), { recursive: true })
    writeFileSync(this.#path, JSON.stringify(Object.fromEntries(this.#measured)))
  }
}

function readTimes(path: string): readonly (readonly [string, number])[] {
  try {
    return Object.entries(JSON.parse(readFileSync(path, 'utf8')) as Record<string, number>)
  } catch {
    // The file is missing at the first run; a damaged one is written anew.
    return []
  }
}
