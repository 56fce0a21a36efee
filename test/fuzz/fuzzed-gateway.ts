/** The gateway that is fuzzed: a process with one worker, a client that it must always serve, and all that would show a fault. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { findFreePorts } from '../helpers/free-ports.ts'
import { connectRaw, connectRawTls, type RawClient } from '../helpers/raw-client.ts'
import { ConnectionEndpoints } from './connection-endpoints.ts'
import type { Door, Transport } from './connection-plan.ts'

const MAIN = fileURLToPath(new URL('../../../bin/portico', import.meta.url))

/** What only a bug can bring into the log. Clients and endpoints cannot write these words: `level` stands first in a line. */
const ALARMS = [/^\{"level":"(error|fatal)"/, /PORTICO_GW_UNEXPECTED/, /\\n {4}at /]
/** Quotes in what clients sent stand behind a backslash. */
const TRIES = /,"tries":(\d+)/
/** Of the control client: no answer within this time is none, milliseconds. */
const CONTROL_MS = 15_000
const CONTROL_PAUSE_MS = 50
const READY_MS = 30_000
/** Longer than any time limit of the settings below, milliseconds. */
const QUIET_MS = 30_000

/** Short times, so that what is held is given back soon; the answers to the control client get longer. */
const SETTINGS = `apiVersion: portico.dev/v1alpha1
kind: GatewayConfiguration
http: { address: 127.0.0.1 }
https: { address: 127.0.0.1 }
nodePorts: { addresses: [127.0.0.1], range: 1024-65535 }
workers: 1
watch: false
timeouts:
  requestHeaders: 1s
  requestBodyIdle: 1s
  keepAlive: 2s
  connect: 2s
  responseHeaders: 1s
  responseIdle: 1s
  writeStall: 1s
  tunnelIdle: 2s
services:
  default/control: { timeouts: { responseHeaders: 30s } }
`

function manifests(endpoints: number, port: number): string {
  const service = (name: string, spec: string) => `apiVersion: v1
kind: Service
metadata: { name: ${name}, annotations: { portico.dev/endpoints: "127.0.0.1:${endpoints}", portico.dev/layer: L7 } }
spec: ${spec}
---
`
  const path = (text: string, name: string) =>
    `          - { path: ${text}, pathType: Prefix, backend: { service: { name: ${name}, port: { number: 80 } } } }`
  return `${service('odd', '{ ports: [{ port: 80 }] }')}${service('control', '{ ports: [{ port: 80 }] }')}${service(
    'port',
    `{ type: NodePort, ports: [{ port: 80, nodePort: ${port} }] }`,
  )}apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: all }
spec:
  rules:
    - http:
        paths:
${[path('/', 'odd'), path('/control', 'control')].join('\n')}
`
}

/** However the fuzzer ends, no gateway stays. */
const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

export type GatewayFigures = Readonly<{
  restarts: number
  contained: number
  inFlight: number
  tunnels: number
  connections: number
  residentBytes: number
  /** Log lines that could not be written. */
  dropped: number
}>

export class FuzzedGateway {
  readonly door: Door
  readonly ports: Readonly<Record<Transport | 'admin', number>>
  readonly endpoints: ConnectionEndpoints
  readonly #process: ChildProcess
  readonly #folder: string
  #isStopping = false
  #fault: string | undefined
  /** Of the requests in the access log, those of the control clients left out. */
  #loggedTries = 0
  #asked = 0
  /** The control clients' loops. */
  #controls: Promise<void>[] = []

  private constructor(
    door: Door,
    ports: Readonly<Record<Transport | 'admin', number>>,
    endpoints: ConnectionEndpoints,
    process: ChildProcess,
    folder: string,
  ) {
    this.door = door
    this.ports = ports
    this.endpoints = endpoints
    this.#process = process
    this.#folder = folder
    for (const stream of [process.stdout!, process.stderr!]) this.#readLines(stream)
    process.once('exit', (code, signal) => {
      if (!this.#isStopping) this.report(`the control process ended: ${signal ?? code}`)
    })
    this.#controls = (['http', 'https'] as const).map((transport) => this.#control(transport))
  }

  static async start(door: Door): Promise<FuzzedGateway> {
    const endpoints = new ConnectionEndpoints()
    const folder = mkdtempSync(join(tmpdir(), 'portico-fuzz-'))
    const [port = 0] = await findFreePorts(1)
    writeFileSync(join(folder, 'manifests.yaml'), manifests(await endpoints.start(), port))
    writeFileSync(join(folder, 'portico.yaml'), SETTINGS)
    const readyFile = join(folder, 'ready.json')
    const words = ['run', '-f', join(folder, 'manifests.yaml'), '-c', join(folder, 'portico.yaml')]
    const free = ['http', 'https', 'admin'].flatMap((name) => [`--${name}-port`, '0'])
    const flags = ['--data-dir', folder, '--ready-file', readyFile, '--log-format', 'json']
    const all = [MAIN, ...words, ...free, ...flags, ...(door === 'node' ? ['--no-fast-lane'] : [])]
    const child = spawn(process.execPath, all, { stdio: ['ignore', 'pipe', 'pipe'] })
    running.add(child)
    child.once('exit', () => running.delete(child))
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
        throw new Error(`the gateway does not start:\n${output}`)
      }
      await sleep(20)
    }
    child.stdout.off('data', note)
    child.stderr.off('data', note)
    const { http, https, admin } = JSON.parse(readFileSync(readyFile, 'utf8'))
    return new FuzzedGateway(door, { http, https, admin, port }, endpoints, child, folder)
  }

  /** The first thing that went wrong. */
  get fault(): string | undefined {
    return this.#fault ?? this.endpoints.complaint
  }

  /** Requests of the control clients that were answered. */
  get controlled(): number {
    return this.#asked
  }

  report(fault: string): void {
    this.#fault ??= fault
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
      residentBytes: sum(/^portico_worker_resident_memory_bytes/),
      dropped: sum(/^portico_log_lines_dropped_total/),
    }
  }

  /** Process ids of the workers, as the admin interface says. */
  async workers(): Promise<readonly number[]> {
    const response = await fetch(`http://127.0.0.1:${this.ports.admin}/api/v1/workers`)
    const workers = (await response.json()) as readonly { pid: number }[]
    return workers.map(({ pid }) => pid)
  }

  /** Waits until nothing but the control clients is there any more; notes what does not go, and what else the figures show. */
  async settle(mostBytes: number): Promise<GatewayFigures | undefined> {
    const until = performance.now() + QUIET_MS
    for (;;) {
      if (this.fault !== undefined) return undefined
      let now: GatewayFigures
      try {
        now = await this.figures()
      } catch (error) {
        this.report(`no metrics: ${error}`)
        return undefined
      }
      const { restarts, contained, residentBytes, inFlight, tunnels, connections, dropped } = now
      if (restarts > 0) this.report(`${restarts} restarts of the worker`)
      if (contained > 0) this.report(`${contained} errors were contained`)
      if (residentBytes > mostBytes) {
        this.report(`the worker holds ${(residentBytes / 2 ** 20).toFixed(0)} MiB`)
      }
      // One of the control clients' requests may be under way at each.
      const controls = this.#controls.length
      const { total } = this.endpoints
      const isLogged = this.#loggedTries >= total || dropped > 0
      if (inFlight <= controls && tunnels === 0 && connections <= controls && isLogged) return now
      if (performance.now() > until) {
        this.report(
          `left behind: ${inFlight} requests, ${tunnels} tunnels, ${connections} connections; endpoints saw ${total} requests, the log tells of ${this.#loggedTries}`,
        )
      }
      await sleep(50)
    }
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const gone = once(this.#process, 'exit')
      // The control process alone would leave its worker a while.
      this.#process.kill('SIGTERM')
      this.#process.kill('SIGTERM')
      const timer = setTimeout(() => this.#process.kill('SIGKILL'), 3_000)
      await gone
      clearTimeout(timer)
    }
    await Promise.all(this.#controls)
    await this.endpoints.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  #readLines(stream: NodeJS.ReadableStream): void {
    let rest = ''
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop()!
      for (const line of lines) {
        if (!line.includes('"service":"default/control:80"')) this.#loggedTries += Number(TRIES.exec(line)?.[1] ?? 0)
        if (!this.#isStopping && ALARMS.some((alarm) => alarm.test(line))) this.report(`the log says ${line}`)
      }
    })
  }

  /** An ordinary client, all along on one connection. */
  async #control(transport: 'http' | 'https'): Promise<void> {
    let client: RawClient | undefined
    const connect = transport === 'http' ? connectRaw : connectRawTls
    try {
      client = await connect(this.ports[transport])
      for (let at = 0; !this.#isStopping; at++) {
        const path = `/control/${transport}/${at}`
        client.send(`GET ${path} HTTP/1.1\r\nHost: control.test\r\n\r\n`)
        const { status, body } = await client.response({ timeoutMs: CONTROL_MS })
        this.#asked++
        if (status !== 200 || body.toString() !== `GET ${path} 0`) throw new Error(`${status} ${body.toString()}`)
        await sleep(CONTROL_PAUSE_MS)
      }
    } catch (error) {
      if (!this.#isStopping) this.report(`an ordinary client over ${transport} was not served: ${error}`)
    } finally {
      client?.destroy()
    }
  }
}
