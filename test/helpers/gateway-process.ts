/** A gateway as users start it, with one worker and without a test around it: for programs that drive it for long. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { giveCertificate } from './kept-certificate.ts'
import { keepChild } from './kept-child.ts'

/** Beside the compiled tests, so that any Node can run it. */
const MAIN = fileURLToPath(new URL('../../bin/main.js', import.meta.url))
const READY_MS = 30_000
const STOP_MS = 3_000

export type GatewayFigures = Readonly<{
  restarts: number
  contained: number
  inFlight: number
  tunnels: number
  connections: number
  workerResident: number
  workerHeap: number
  /** Log lines that could not be written. */
  dropped: number
}>

/** Of a process, from /proc: resident bytes and open descriptors; 0 of one that is gone. */
export type ProcessFigures = Readonly<{ resident: number; descriptors: number }>

export class GatewayProcess {
  readonly ports: Readonly<{ http: number; https: number; admin: number }>
  readonly #child: ChildProcess
  readonly #folder: string
  readonly #readers = new Set<(line: string) => void>()

  private constructor(ports: GatewayProcess['ports'], child: ChildProcess, folder: string) {
    this.ports = ports
    this.#child = child
    this.#folder = folder
    for (const stream of [child.stdout!, child.stderr!]) this.#readLines(stream)
  }

  /** `settings` is a GatewayConfiguration. Rejects with its output when it does not come to be ready. */
  static async start(manifests: string, settings: string, flags: readonly string[] = []): Promise<GatewayProcess> {
    const folder = mkdtempSync(join(tmpdir(), 'portico-process-'))
    const [file, readyFile] = [join(folder, 'manifests.yaml'), join(folder, 'ready.json')]
    await giveCertificate(folder)
    writeFileSync(file, manifests)
    writeFileSync(join(folder, 'portico.yaml'), settings)
    const free = ['http', 'https', 'admin'].flatMap((name) => [`--${name}-port`, '0'])
    const kept = ['--data-dir', folder, '--ready-file', readyFile, '--log-format', 'json', '--workers', '1']
    const words = [MAIN, 'run', '-f', file, '-c', join(folder, 'portico.yaml'), ...free, ...kept, ...flags]
    const child = keepChild(spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] }))
    let output = ''
    const note = (chunk: Buffer) => {
      output += chunk
    }
    child.stdout.on('data', note)
    child.stderr.on('data', note)
    const until = performance.now() + READY_MS
    while (!existsSync(readyFile)) {
      if (child.exitCode !== null || performance.now() > until) {
        child.kill('SIGKILL')
        rmSync(folder, { recursive: true, force: true })
        throw new Error(`the gateway does not start:\n${output}`)
      }
      await sleep(20)
    }
    child.stdout.off('data', note)
    child.stderr.off('data', note)
    return new GatewayProcess(JSON.parse(readFileSync(readyFile, 'utf8')), child, folder)
  }

  get pid(): number {
    return this.#child.pid!
  }

  /** Undefined while it runs: its exit code or the signal that ended it. */
  get ending(): number | string | undefined {
    return this.#child.exitCode ?? this.#child.signalCode ?? undefined
  }

  /** Every line of its log from now on, and whatever else it says. */
  onLine(read: (line: string) => void): void {
    this.#readers.add(read)
  }

  onExit(tell: (ending: number | string | null) => void): void {
    this.#child.once('exit', (code, signal) => tell(signal ?? code))
  }

  async figures(): Promise<GatewayFigures> {
    const [response] = await once(get({ host: '127.0.0.1', port: this.ports.admin, path: '/metrics' }), 'response')
    const lines = (await text(response)).split('\n')
    const sum = (name: RegExp) =>
      lines.filter((line) => name.test(line)).reduce((total, line) => total + Number(line.split(' ').at(-1)), 0)
    return {
      restarts: sum(/^portico_worker_restarts_total/),
      contained: sum(/^portico_contained_errors_total/),
      inFlight: sum(/^portico_requests_in_flight /),
      tunnels: sum(/^portico_tunnels_open /),
      connections: sum(/^portico_connections\{/),
      workerResident: sum(/^portico_worker_resident_memory_bytes/),
      workerHeap: sum(/^portico_worker_heap_bytes/),
      dropped: sum(/^portico_log_lines_dropped_total/),
    }
  }

  /** Process ids of the workers. */
  async workers(): Promise<readonly number[]> {
    const response = await fetch(`http://127.0.0.1:${this.ports.admin}/api/v1/workers`)
    const workers = (await response.json()) as readonly { pid: number }[]
    return workers.map(({ pid }) => pid)
  }

  /** Puts other manifests in place of those it has, whole at once. */
  change(manifests: string): void {
    const next = join(this.#folder, 'next')
    writeFileSync(next, manifests)
    renameSync(next, join(this.#folder, 'manifests.yaml'))
  }

  async stop(): Promise<void> {
    if (this.ending === undefined) {
      const gone = once(this.#child, 'exit')
      // The second cuts what the first would wait for.
      this.#child.kill('SIGTERM')
      this.#child.kill('SIGTERM')
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS)
      await gone
      clearTimeout(timer)
    }
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #readLines(stream: NodeJS.ReadableStream): void {
    let rest = ''
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop()!
      for (const line of lines) for (const read of this.#readers) read(line)
    })
  }
}

export function readProcess(pid: number): ProcessFigures {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const descriptors = readdirSync(`/proc/${pid}/fd`).length
    return { resident: Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024, descriptors }
  } catch {
    return { resident: 0, descriptors: 0 }
  }
}
