/** What each test file has cost the last time that it passed here. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Cost } from './cost.ts'

/** Milliseconds for each module that a file leads to, where the file was never measured: files that start a gateway lead to most. */
const GUESS = 6

/** How much longer than known a file is taken to need after one run. */
const GROWTH = 1.25

export class Times {
  readonly #path: string
  readonly #measured: Map<string, Cost>

  constructor(path: string) {
    this.#path = path
    this.#measured = new Map(readTimes(path))
  }

  /** Milliseconds. `reach` is what the file leads to. */
  expect(file: string, reach: ReadonlySet<string>): number {
    return this.#measured.get(file)?.ms ?? reach.size * GUESS
  }

  /** A busy machine makes a file slow, never quick: a time that grows is believed in steps. */
  note(file: string, cost: Cost): void {
    const known = this.#measured.get(file)?.ms ?? Number.POSITIVE_INFINITY
    this.#measured.set(file, { ...cost, ms: Math.min(cost.ms, Math.ceil(known * GROWTH)) })
  }

  save(): void {
    mkdirSync(dirname(this.#path), { recursive: true })
    writeFileSync(this.#path, JSON.stringify(Object.fromEntries(this.#measured)))
  }
}

function readTimes(path: string): readonly (readonly [string, Cost])[] {
  try {
    return Object.entries(JSON.parse(readFileSync(path, 'utf8')) as Record<string, Cost>)
  } catch {
    // The file is missing at the first run; a damaged one is written anew.
    return []
  }
}
