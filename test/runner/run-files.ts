/** Runs test files in a process of their own. The runner of tap would load hooks into each, which cost more than most tests. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { keepChild } from '../helpers/kept-child.ts'
import { type Cost, readCosts } from './cost.ts'
import { type Outcome, readTap } from './tap-output.ts'

/** Characters of the output that are shown where no failed assertion says more. */
const SHOWN = 4_000

const RUN_MODULE = fileURLToPath(new URL('./run-module.js', import.meta.url))

export type FilesOutcome = Outcome &
  Readonly<{
    /** The files that ran in one process. */
    files: readonly string[]
    /** By file. */
    costs: ReadonlyMap<string, Cost>
  }>

/** `seconds` is the time limit of each test that sets none itself. */
export async function runFiles(files: readonly string[], seconds: number): Promise<FilesOutcome> {
  const modules = files.map((file) => `dist/${file.replace(/\.ts$/, '.js')}`)
  const child = keepChild(
    spawn(process.execPath, [RUN_MODULE, ...modules], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, TAP_TIMEOUT: String(seconds) },
    }),
  )
  // A file whose event loop is blocked cannot heed its own time limits, of which the longest is five minutes.
  const limit = setTimeout(() => child.kill('SIGKILL'), (seconds + 300) * files.length * 1_000)
  const [stdout, stderr, [code, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>,
  ])
  clearTimeout(limit)
  const byModule = readCosts(stdout)
  const costs = new Map<string, Cost>()
  for (const [index, file] of files.entries()) {
    const cost = byModule.get(modules[index]!)
    if (cost) costs.set(file, cost)
  }
  return { files, costs, ...judge(stdout, stderr, signal ?? code ?? 0) }
}

/** A file also fails if it ends before its tests do, runs no test, or ends with a code other than 0. */
export function judge(stdout: string, stderr: string, ending: number | string): Outcome {
  const outcome = readTap(stdout)
  const isWhole = outcome !== undefined && outcome.passed + outcome.failed + outcome.skips.length > 0
  if (isWhole && outcome.failed === 0 && ending === 0) return outcome
  const failures = [...(outcome?.failures ?? [])]
  if (!isWhole || failures.length === 0) failures.push(`ended with ${ending}\n${stdout.slice(-SHOWN)}`)
  if (stderr !== '') failures.push(`stderr\n${stderr.slice(-SHOWN)}`)
  return { passed: outcome?.passed ?? 0, failed: outcome?.failed || 1, skips: outcome?.skips ?? [], failures }
}
