/** Runs the command line, to its end or until it serves, in this process or in one of its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { runCommandLine } from '../../bin/command-line.ts'
import type { HostProcess } from '../../bin/host-process.ts'
import { giveCertificate } from '../helpers/kept-certificate.ts'
import { keepChild } from '../helpers/kept-child.ts'
import { until } from '../helpers/until.ts'
import { TestProcess } from './test-process.ts'

export type Finished = Readonly<{ status: number | null; stdout: string; stderr: string }>

/** Next to the compiled tests, whichever folder they were compiled to. */
export const MAIN = fileURLToPath(new URL('../../bin/main.js', import.meta.url))

export type ProcessOptions = Readonly<{ stdin?: string; environment?: NodeJS.ProcessEnv; cwd?: string }>

/** What the tests' own environment sets must not change the outcome. */
export function cleanEnvironment(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(PORTICO_|NO_COLOR|FORCE_COLOR|NODE_OPTIONS)/.test(name),
  )
  // What a gateway of this user keeps must not change it either.
  return { ...Object.fromEntries(kept), XDG_DATA_HOME: join(tmpdir(), 'portico-no-data'), ...more }
}

let turn: Promise<unknown> = Promise.resolve()

/**
 * Runs a verb that serves nothing in this process, which saves the start of another. Calls run one after the other, since
 * they share the working directory of the process.
 */
export function runPortico(words: readonly string[], options: ProcessOptions = {}): Promise<Finished> {
  const run = turn.then(() => runHere(words, options))
  turn = run.catch(() => {})
  return run
}

async function runHere(words: readonly string[], { stdin, environment, cwd }: ProcessOptions): Promise<Finished> {
  const host = new TestProcess(words, cleanEnvironment(environment), stdin)
  const before = process.cwd()
  if (cwd !== undefined) process.chdir(cwd)
  try {
    const status = await runCommandLine(host)
    return { status, stdout: host.output('stdout'), stderr: host.output('stderr') }
  } finally {
    process.chdir(before)
  }
}

/** Runs any verb as a process of its own: waits for the exit, and reads both streams whole. */
export async function runProcess(words: readonly string[], options: ProcessOptions = {}): Promise<Finished> {
  const child = keepChild(
    spawn(process.execPath, [MAIN, ...words], {
      stdio: 'pipe',
      env: cleanEnvironment(options.environment),
      ...(options.cwd && { cwd: options.cwd }),
    }),
  )
  child.stdin.on('error', () => {})
  child.stdin.end(options.stdin ?? '')
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { status: child.exitCode, stdout, stderr }
}

export type Started = Readonly<{
  ports: Readonly<{ http: number; https: number; admin: number; pid: number }>
  readyFile: string
  child: ChildProcess
  stdout(): string
  stderr(): string
  /** Resolves once stderr or stdout holds the text; rejects when the process ends before. */
  says(words: string | RegExp): Promise<void>
  /** Resolves to the exit code. */
  ended: Promise<number | null>
}>

export type StartOptions = ProcessOptions &
  Readonly<{
    nodeFlags?: readonly string[]
    /** File descriptors that each of its processes may have. */
    descriptors?: number
  }>

/** Starts a verb that serves, on free ports, and waits until its ready file is there. */
export async function startGateway(t: Test, words: readonly string[], options: StartOptions = {}): Promise<Started> {
  const folder = mkdtempSync(join(tmpdir(), 'portico-bin-'))
  const readyFile = join(folder, 'ready.json')
  await giveCertificate(folder)
  const free = ['--http-port', '0', '--https-port', '0', '--admin-port', '0', '--data-dir', folder]
  const nodeFlags = options.nodeFlags ?? []
  const all = [process.execPath, ...nodeFlags, MAIN, ...words, ...free, '--ready-file', readyFile]
  const [program = '', ...rest] = limitDescriptors(all, options.descriptors)
  const child = keepChild(
    spawn(program, rest, {
      stdio: 'pipe',
      env: cleanEnvironment(options.environment),
      ...(options.cwd && { cwd: options.cwd }),
    }),
  )
  child.stdin.on('error', () => {})
  child.stdin.end(options.stdin ?? '')
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const ended = once(child, 'close').then(() => child.exitCode)
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
    rmSync(folder, { recursive: true, force: true })
  })
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null
  const waitFor = async (what: string, isThere: () => boolean) => {
    while (!isThere()) {
      if (hasEnded()) throw new Error(`ended with ${child.exitCode} before ${what}:\n${stdout}${stderr}`)
      await sleep(10)
    }
  }
  await waitFor('it was ready', () => existsSync(readyFile))
  return {
    ports: JSON.parse(readFileSync(readyFile, 'utf8')),
    readyFile,
    child,
    stdout: () => stdout,
    stderr: () => stderr,
    says: (words) =>
      waitFor(`it said ${words}`, () =>
        typeof words === 'string' ? (stdout + stderr).includes(words) : words.test(stdout + stderr),
      ),
    ended,
  }
}

export type Served = Readonly<{
  ports: Readonly<{ http: number; https: number; admin: number; dns?: number; pid: number }>
  readyFile: string
  /** All that it has told so far. */
  stderr(): string
  /** Resolves once stderr holds the text. */
  says(words: string): Promise<void>
  /** As if this process had got the signal. */
  raise(signal: NodeJS.Signals): void
  /** Resolves to the exit code. */
  ended: Promise<number>
}>

/**
 * Serves in this process, which saves the start of another, on free ports. It has no log, which would go into the output of the
 * tests. Until the test ends `cwd` is the working directory of the process.
 */
export async function serveHere(t: Test, words: readonly string[], options: ProcessOptions = {}): Promise<Served> {
  const folder = mkdtempSync(join(tmpdir(), 'portico-here-'))
  const readyFile = join(folder, 'ready.json')
  await giveCertificate(folder)
  const free = ['http', 'https', 'admin', 'dns'].flatMap((name) => [`--${name}-port`, '0'])
  const all = [...words, ...free, '--data-dir', folder, '--ready-file', readyFile, '--set', 'log.level=silent']
  const test = new TestProcess(all, cleanEnvironment(options.environment), options.stdin)
  const listeners = new Map<string, () => void>()
  const on = (event: string, listener: () => void) => listeners.set(event, listener)
  // What ends a process that lingers would end the tests.
  const host: HostProcess = Object.assign(test, { on, exit: () => undefined as never })
  const before = process.cwd()
  if (options.cwd !== undefined) process.chdir(options.cwd)
  let code: number | undefined
  const ended = runCommandLine(host).then((ending) => {
    code = ending
    return ending
  })
  t.teardown(async () => {
    listeners.get('SIGTERM')?.()
    await ended
    process.chdir(before)
    rmSync(folder, { recursive: true, force: true })
  })
  let told = ''
  const stderr = () => {
    told += test.output('stderr')
    return told
  }
  await until(() => existsSync(readyFile) || code !== undefined)
  if (code !== undefined) throw new Error(`ended with ${code} before it was ready:\n${stderr()}`)
  return {
    ports: JSON.parse(readFileSync(readyFile, 'utf8')),
    readyFile,
    stderr,
    says: (words) => until(() => stderr().includes(words)),
    raise: (signal) => listeners.get(signal)?.(),
    ended,
  }
}

function limitDescriptors(command: readonly string[], most: number | undefined): readonly string[] {
  return most === undefined ? command : ['sh', '-c', `ulimit -n ${most}; exec "$0" "$@"`, ...command]
}
