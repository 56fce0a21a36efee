/** The gateway that is fuzzed: a process with one worker, a client that it must always serve, and all that would show a fault. */
import { setTimeout as sleep } from 'node:timers/promises'
import { findFreePort } from '../helpers/free-ports.ts'
import { type GatewayFigures, GatewayProcess } from '../helpers/gateway-process.ts'
import { connectRaw, connectRawTls, type RawClient } from '../helpers/raw-client.ts'
import { ConnectionEndpoints } from './connection-endpoints.ts'
import type { Door, Transport } from './connection-plan.ts'

/** What only a bug can bring into the log. Clients and endpoints cannot write these words: `level` stands first in a line. */
const ALARMS = [/^\{"level":"(error|fatal)"/, /PORTICO_GW_UNEXPECTED/, /\\n {4}at /]
/** Quotes in what clients sent stand behind a backslash. */
const TRIES = /,"tries":(\d+)/
/** Of the control client: no answer within this time is none, milliseconds. */
const CONTROL_MS = 15_000
const CONTROL_PAUSE_MS = 50
/** Half of `timeouts.keepAlive` below. */
const CONTROL_KEPT_MS = 1_000
/** Longer than any time limit of the settings below, milliseconds. */
const QUIET_MS = 30_000

/** Short times, so that what is held is given back soon; the answers to the control client get longer. */
const SETTINGS = `apiVersion: portico.dev/v1alpha1
kind: GatewayConfiguration
http: { address: 127.0.0.1 }
https: { address: 127.0.0.1 }
nodePorts: { addresses: [127.0.0.1], range: 1024-65535 }
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

export class FuzzedGateway {
  readonly door: Door
  readonly ports: Readonly<Record<Transport, number>>
  readonly endpoints: ConnectionEndpoints
  readonly #process: GatewayProcess
  readonly #controls: readonly Promise<void>[]
  #isStopping = false
  #fault: string | undefined
  /** Lines that are not of the log. */
  readonly #lastWords: string[] = []
  /** Of the requests in the access log, those of the control clients left out. */
  #loggedTries = 0

  private constructor(door: Door, process: GatewayProcess, port: number, endpoints: ConnectionEndpoints) {
    this.door = door
    this.ports = { ...process.ports, port }
    this.endpoints = endpoints
    this.#process = process
    process.onLine((line) => this.#readLine(line))
    process.onExit((ending) => {
      if (!this.#isStopping) this.report(`the control process ended: ${ending}`)
    })
    this.#controls = (['http', 'https'] as const).map((transport) => this.#control(transport))
  }

  static async start(door: Door): Promise<FuzzedGateway> {
    const endpoints = new ConnectionEndpoints()
    const port = await findFreePort()
    const flags = door === 'node' ? ['--no-fast-lane'] : []
    const process = await GatewayProcess.start(manifests(await endpoints.start(), port), SETTINGS, flags)
    return new FuzzedGateway(door, process, port, endpoints)
  }

  /** The first thing that went wrong. */
  get fault(): string | undefined {
    return this.#fault ?? this.endpoints.complaint
  }

  report(fault: string): void {
    this.#fault ??= fault
  }

  /** Process ids of the workers. */
  workers(): Promise<readonly number[]> {
    return this.#process.workers()
  }

  /** Waits until nothing but the control clients is there any more; notes what does not go, and what else the figures show. */
  async settle(mostBytes: number): Promise<GatewayFigures | undefined> {
    const until = performance.now() + QUIET_MS
    for (;;) {
      if (this.fault !== undefined) return undefined
      let now: GatewayFigures
      try {
        now = await this.#process.figures()
      } catch (error) {
        this.report(`no metrics: ${error}`)
        return undefined
      }
      const { restarts, contained, workerResident, inFlight, tunnels, connections, dropped } = now
      if (restarts > 0) this.report(`${restarts} restarts of the worker`)
      if (contained > 0) this.report(`${contained} errors were contained`)
      if (workerResident > mostBytes) {
        this.report(`the worker holds ${(workerResident / 2 ** 20).toFixed(0)} MiB`)
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
    await this.#process.stop()
    await Promise.all(this.#controls)
    await this.endpoints.stop()
  }

  #readLine(line: string): void {
    if (this.#isStopping) return
    if (!line.includes('"service":"default/control:80"')) this.#loggedTries += Number(TRIES.exec(line)?.[1] ?? 0)
    // What a dying process writes itself comes before the line that tells of its end.
    if (line !== '' && !line.startsWith('{')) this.#lastWords.push(line)
    if (ALARMS.some((alarm) => alarm.test(line)))
      this.report([`the log says ${line}`, ...this.#lastWords.slice(-30)].join('\n'))
  }

  /** An ordinary client, all along on one connection, unless a busy machine has left it idle for so long that the gateway may close it. */
  async #control(transport: 'http' | 'https'): Promise<void> {
    let client: RawClient | undefined
    const connect = transport === 'http' ? connectRaw : connectRawTls
    try {
      let answeredAt = 0
      for (let at = 0; !this.#isStopping; at++) {
        if (client === undefined || performance.now() - answeredAt > CONTROL_KEPT_MS) {
          client?.destroy()
          client = await connect(this.ports[transport])
        }
        const path = `/control/${transport}/${at}`
        client.send(`GET ${path} HTTP/1.1\r\nHost: control.test\r\n\r\n`)
        const { status, body } = await client.response({ timeoutMs: CONTROL_MS })
        if (status !== 200 || body.toString() !== `GET ${path} 0`) throw new Error(`${status} ${body.toString()}`)
        answeredAt = performance.now()
        await sleep(CONTROL_PAUSE_MS)
      }
    } catch (error) {
      if (!this.#isStopping) this.report(`an ordinary client over ${transport} was not served: ${error}`)
    } finally {
      client?.destroy()
    }
  }
}
