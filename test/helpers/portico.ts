/** Starts the compiled command line as a process of its own, on free ports, and waits until it says it is ready. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { giveCertificate } from './kept-certificate.ts'
import { keepChild } from './kept-child.ts'

export type RunningPortico = {
  readonly ports: Readonly<{ http: number; https: number; admin: number; dns?: number }>
  readonly process: ChildProcess
  /** All it has written so far. */
  output(): string
}

const main = fileURLToPath(new URL('../../bin/main.js', import.meta.url))

/** `words` begin with the verb: `['run', '-f', 'k8s/']`. Rejects with its output when it exits before it is ready. */
export async function startPortico(t: Test, words: readonly string[]): Promise<RunningPortico> {
  const folder = mkdtempSync(join(tmpdir(), 'portico-run-'))
  const readyFile = join(folder, 'ready.json')
  await giveCertificate(folder)
  const ports = ['http', 'https', 'admin', 'dns'].flatMap((name) => [`--${name}-port`, '0'])
  const free = [...ports, '--data-dir', folder]
  const all = [main, ...words, ...free, '--ready-file', readyFile]
  const child = keepChild(spawn(process.execPath, all, { stdio: ['ignore', 'pipe', 'pipe'] }))
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  child.stderr.on('data', (chunk) => {
    output += chunk
  })
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    rmSync(folder, { recursive: true, force: true })
  })
  while (!existsSync(readyFile)) {
    if (child.exitCode !== null) throw new Error(`portico exited with ${child.exitCode}:\n${output}`)
    await sleep(20)
  }
  const bound = JSON.parse(readFileSync(readyFile, 'utf8'))
  return { ports: bound, process: child, output: () => output }
}
