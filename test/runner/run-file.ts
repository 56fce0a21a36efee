/** Runs one test file as a process of its own, as `node FILE` does. The runner of tap would load hooks into each, which cost more than most tests. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { keepChild } from '../helpers/kept-child.ts'
import { type Outcome, readTap } from './tap-output.ts'

/** Characters of the output that are shown where no failed assertion says more. */
const SHOWN = 4_000

export type FileOutcome = Outcome & Readonly<{ file: string; ms: number }>

/** `seconds` is the time limit of each test in it that sets none itself. `module` is the compiled file. */
export async function runFile(file: string, module: string, seconds: number): Promise<FileOutcome> {
  const start = performance.now()
  const child = keepChild(
    spawn(process.execPath, ['--enable-source-maps', module], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, TAP_TIMEOUT: String(seconds) },
    }),
  )
  // A file whose event loop is blocked cannot heed its own time limits, of which the longest is five minutes.
  const limit = setTimeout(() => child.kill('SIGKILL'), (seconds + 300) * 1_000)
  const [stdout, stderr, [code, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>,
  ])
  clearTimeout(limit)
  return { file, ms: Math.round(performance.now() - start), ...judge(stdout, stderr, signal ?? code ?? 0) }
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
