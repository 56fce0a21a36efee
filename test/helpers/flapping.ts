/** Steady load on a gateway while its endpoints are killed and started again, one after the other. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, get, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import type { EndpointRow } from '../../lib/report/endpoint-view.ts'
import { findFreePorts } from './free-ports.ts'
import { keepChild } from './kept-child.ts'
import { startPortico } from './portico.ts'

export type FlappingOptions = Readonly<{
  /** How long there is load while endpoints flap, milliseconds. */
  durationMs: number
  /** Between two kills; halfway the endpoint is started again, milliseconds. */
  everyMs: number
  /** Requests a second, whether earlier ones have been answered or not. */
  rate: number
  workers: number
}>

export type FlappingResult = Readonly<{
  requests: number
  /** What was answered otherwise than 200, or not at all, with the count of each. */
  failures: Readonly<Record<string, number>>
  kills: number
  /** Answers by endpoint, of requests that were sent one after the other when all endpoints were good again. */
  spread: readonly number[]
}>

/** Requests after which each endpoint must have had its share. */
const AFTERWARDS = 3000

const MANIFEST = (ports: readonly number[]) => `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  rules:
    - http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: v1
kind: Service
metadata:
  name: web
  annotations:
    portico.dev/endpoints: "${ports.map((port) => `127.0.0.1:${port}`).join(', ')}"
    portico.dev/health-check: http
    portico.dev/health-interval: 500ms
spec: {ports: [{port: 80}]}
`

/** The gateway and its endpoints are processes of their own, ended with the test. */
export async function runFlapping(t: Test, options: FlappingOptions): Promise<FlappingResult> {
  const { durationMs, everyMs, rate, workers } = options
  const ports = await findFreePorts(3)
  const endpoints: ChildProcess[] = []
  t.teardown(() => {
    for (const endpoint of endpoints) endpoint.kill('SIGKILL')
  })
  const start = async (index: number) => {
    const endpoint = keepChild(spawn(process.execPath, ['examples/echo.mjs', String(ports[index])], { stdio: 'pipe' }))
    endpoints[index] = endpoint
    await once(endpoint.stdout, 'data')
  }
  await Promise.all(ports.map((_, index) => start(index)))
  const folder = mkdtempSync(join(tmpdir(), 'portico-flapping-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'web.yaml')
  writeFileSync(file, MANIFEST(ports))
  const portico = await startPortico(t, ['run', '-f', file, '--no-access-log', '--workers', String(workers)])
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })
  t.teardown(() => agent.destroy())
  const ask = () => readPort(portico.ports.http, agent)

  const failures: Record<string, number> = {}
  const pending = new Set<Promise<void>>()
  let requests = 0
  const startedAt = performance.now()
  const load = setInterval(() => {
    for (const due = ((performance.now() - startedAt) / 1000) * rate; requests < due; requests++) {
      const asked = ask().then(
        () => {},
        (error: Error) => {
          failures[error.message] = (failures[error.message] ?? 0) + 1
        },
      )
      pending.add(asked)
      void asked.then(() => pending.delete(asked))
    }
  }, 10)
  t.teardown(() => clearInterval(load))
  let kills = 0
  while (performance.now() - startedAt < durationMs) {
    const index = kills++ % ports.length
    const endpoint = endpoints[index]!
    endpoint.kill('SIGKILL')
    await once(endpoint, 'exit')
    await sleep(everyMs / 2)
    await start(index)
    await sleep(everyMs / 2)
  }
  clearInterval(load)
  await Promise.all(pending)

  while (!(await readStates(portico.ports.admin)).every((state) => state === 'ready')) await sleep(50)
  const counts = new Map(ports.map((port) => [port, 0]))
  for (let count = 0; count < AFTERWARDS; count++) {
    const port = await ask()
    counts.set(port, (counts.get(port) ?? 0) + 1)
  }
  return { requests, failures, kills, spread: [...counts.values()] }
}

/** Whether no request failed, and no endpoint's share differs from the others' by more than 2 %. */
export function checkFlapping(t: Test, { requests, failures, kills, spread }: FlappingResult): void {
  t.comment(
    `${requests} requests, ${kills} kills, failures ${JSON.stringify(failures)}, afterwards ${spread.join(' ')}`,
  )
  t.ok(requests > 0 && kills > 0)
  t.same(failures, {}, 'no request failed')
  const even = AFTERWARDS / spread.length
  for (const count of spread) t.ok(Math.abs(count - even) <= even * 0.02, `${count} of ${AFTERWARDS} is even`)
}

/** The port that answered. Rejects with the status, or with Node's error code. */
async function readPort(port: number, agent: Agent): Promise<number> {
  const asked = get({ host: '127.0.0.1', port, path: '/', agent })
  const [response] = (await once(asked, 'response').catch((error: NodeJS.ErrnoException) => {
    throw new Error(error.code ?? error.message)
  })) as [IncomingMessage]
  const body = await text(response)
  if (response.statusCode !== 200) throw new Error(`${response.statusCode} ${body.slice(0, 200)}`)
  return (JSON.parse(body) as { port: number }).port
}

async function readStates(admin: number): Promise<readonly string[]> {
  const response = await fetch(`http://127.0.0.1:${admin}/api/v1/endpoints`)
  return ((await response.json()) as EndpointRow[]).map(({ state }) => state)
}
