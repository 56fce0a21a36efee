/** Processes the benchmarks start: pinned to a core, in a group of their own, and gone when the benchmark is, however it ends. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { keepChild } from '../helpers/kept-child.ts'
import { findProgram } from './program.ts'

const STOP_MS = 5_000
const LOG_TAIL = 2_000

/** `any` is every core: not pinned. */
export type Core = number | 'any'

export type LaunchOptions = Readonly<{
  core: Core
  /** Most open files and sockets, which the process cannot raise; by `prlimit`. As many as this process may have where left out. */
  descriptors?: number
  /** Where standard output goes. */
  output: string
  /** Where standard error goes; the same as `output` where left out. */
  errors?: string
  env?: Readonly<Record<string, string>>
}>

const taskset = availableParallelism() > 1 ? findProgram('taskset') : undefined

/** Whether a process can be held on one core here (Linux, `taskset`, two cores). */
export const canPin = taskset !== undefined

const running = new Set<Child>()

/** A process that runs until it is stopped. */
export class Child {
  readonly #process: ChildProcess
  readonly #errors: string
  /** Resolves when it is gone. */
  readonly gone: Promise<void>
  #isGone = false

  constructor(command: string, args: readonly string[], options: LaunchOptions) {
    const { output, errors = output, descriptors } = options
    const files = output === errors ? [openSync(output, 'a')] : [openSync(output, 'a'), openSync(errors, 'a')]
    this.#errors = errors
    const limited =
      descriptors === undefined ? [command, ...args] : ['prlimit', `--nofile=${descriptors}`, command, ...args]
    this.#process = spawnPinned(limited[0]!, limited.slice(1), options.core, {
      stdio: ['ignore', files[0]!, files[1] ?? files[0]!],
      env: { ...process.env, ...options.env },
    })
    for (const file of files) closeSync(file)
    running.add(this)
    this.gone = new Promise((resolve) => {
      const end = () => {
        this.#isGone = true
        running.delete(this)
        resolve()
      }
      this.#process.once('error', end)
      this.#process.once('exit', end)
    })
  }

  /** Of the group too: all that it starts are in it. */
  get pid(): number {
    return this.#process.pid ?? 0
  }

  get isGone(): boolean {
    return this.#isGone
  }

  /** The end of what it wrote to standard error. */
  get lastWords(): string {
    return readFileSync(this.#errors, 'utf8').slice(-LOG_TAIL).trim()
  }

  signal(name: NodeJS.Signals): void {
    if (!this.#isGone) this.#process.kill(name)
  }

  /** Asks it to stop, and ends it and what it started after five seconds. */
  async stop(): Promise<void> {
    this.signal('SIGTERM')
    const timer = setTimeout(() => this.kill(), STOP_MS)
    await this.gone
    clearTimeout(timer)
    this.kill()
  }

  /** Ends the whole group at once. */
  kill(): void {
    killGroup(this.#process)
  }
}

/** Runs a program to its end and returns what it printed; throws where it fails or takes longer than `timeoutMs`. */
export function run(command: string, args: readonly string[], core: Core, timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawnPinned(command, args, core, { stdio: ['ignore', 'pipe', 'pipe'] })
    const handle = { kill: () => killGroup(child) } as Child
    running.add(handle)
    let output = ''
    let errors = ''
    const timer = setTimeout(() => {
      errors += `\nstill running after ${timeoutMs} ms`
      handle.kill()
    }, timeoutMs)
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      errors += text
    })
    child.once('error', reject)
    child.once('close', (code) => {
      clearTimeout(timer)
      running.delete(handle)
      if (code === 0) resolve(output)
      else reject(new Error(`${command} ${args.join(' ')}: ${errors.trim() || output.trim() || `exit code ${code}`}`))
    })
  })
}

/** Ends every process that still runs: for the ways out that cannot wait. */
export function killAll(): void {
  for (const child of running) child.kill()
}

function spawnPinned(command: string, args: readonly string[], core: Core, options: SpawnOptions): ChildProcess {
  const all = { ...options, detached: true }
  const child =
    taskset !== undefined && core !== 'any'
      ? spawn(taskset, ['-c', String(core), command, ...args], all)
      : spawn(command, [...args], all)
  return keepChild(child, { group: true })
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // ESRCH: the whole group is gone already.
  }
}
