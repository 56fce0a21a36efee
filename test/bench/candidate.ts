/** Something that proxies: found on this machine, started with a scenario, asked whether it serves, stopped. */
import { request } from 'node:http'
import { createServer } from 'node:net'
import type { Child, Core } from './child.ts'
import type { Scenario } from './scenario.ts'

/** Where one candidate listens and writes. */
export type Place = Readonly<{
  folder: string
  http: number
  https: number
  admin: number
  core: Core
  /** Most open files and sockets that it may have. */
  descriptors?: number
  /** PEM files: an ECDSA certificate on P-256 for `localhost`. */
  certificate: string
  key: string
}>

/** A candidate that serves. */
export type Running = Readonly<{
  child: Child
  place: Place
  /** Puts another scenario in force, by the means the candidate has; returns when it was told, not when it serves. */
  reload: (scenario: Scenario) => Promise<void>
}>

export type Candidate = Readonly<{
  name: string
  version: string
  /** Why it is left out of a scenario, where it is. */
  refuses?: (scenario: Scenario) => string | undefined
  start: (scenario: Scenario, place: Place) => Promise<Running>
  /** Serves a folder of manifests as it is, where the candidate can read them. */
  serveFolder?: (folder: string, place: Place) => Child
}>

const READY_MS = 120_000
const POLL_MS = 5

/** Throws where a port cannot be had: what answered there would be measured instead. */
export async function checkFree(ports: readonly number[]): Promise<void> {
  for (const port of ports) {
    await new Promise<void>((resolve, reject) => {
      const server = createServer()
      server.once('error', (error: NodeJS.ErrnoException) => {
        reject(new Error(`port ${port} of 127.0.0.1 cannot be had (${error.code}): --port chooses another range`))
      })
      server.listen(port, '127.0.0.1', () => server.close(() => resolve()))
    })
  }
}

/** Waits until the candidate answers 200 for the host and path; throws with its last words where it ends or takes too long. */
export async function waitUntilServing(running: Running, host: string, path: string): Promise<void> {
  const { child, place } = running
  const deadline = performance.now() + READY_MS
  while ((await ask(place.http, host, path)) !== 200) {
    if (child.isGone) throw new Error(`it ended: ${child.lastWords}`)
    if (performance.now() > deadline) throw new Error(`${host}${path} is not served: ${child.lastWords}`)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

/** The status of a GET, 0 where there is none. */
export function ask(port: number, host: string, path: string): Promise<number> {
  return new Promise((resolve) => {
    const asked = request({ host: '127.0.0.1', port, path, headers: { host }, agent: false, timeout: 5_000 })
    asked.once('response', (response) => {
      response.resume()
      response.once('close', () => resolve(response.statusCode ?? 0))
    })
    asked.once('timeout', () => asked.destroy())
    asked.once('error', () => resolve(0))
    asked.end()
  })
}
