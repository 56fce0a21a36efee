/** How long each test file took the last time that it ran here. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** What a file takes that was never measured, milliseconds for each module that it leads to: 140 of them are all but a gateway. */
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
    // Nothing was measured yet, or what was written is damaged: both are made anew.
    return []
  }
}
