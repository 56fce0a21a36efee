/** An HTTP endpoint that does what it is told to, and counts what it was asked. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { findFreePort } from '../../helpers/free-ports.ts'

/** `reset` in the middle of the answer, `cut` before it; `hang` never answers, `slow` after `slowMs`. */
export type Fault = 'none' | 'cut' | 'reset' | 'hang' | 'slow' | number

export type FaultyServer = {
  readonly port: number
  fault: Fault
  slowMs: number
  requests: IncomingMessage[]
  /** Open connections. */
  readonly connections: () => Promise<number>
  /** Refuses connections. */
  stop(): Promise<void>
  /** Listens again, on the same port. */
  restart(): Promise<void>
}

/** `isFaulty` says of which requests the fault is; left out: of all. */
export async function startFaultyServer(
  t: Test,
  fault: Fault = 'none',
  isFaulty: (request: IncomingMessage) => boolean = () => true,
): Promise<FaultyServer> {
  const server = createServer((request, response) => {
    faulty.requests.push(request)
    void answer(isFaulty(request) ? faulty.fault : 'none', response)
  })
  async function answer(fault: Fault, response: ServerResponse): Promise<void> {
    if (fault === 'hang') return
    if (fault === 'cut') response.socket?.resetAndDestroy()
    else if (fault === 'reset') {
      response.writeHead(200, { 'content-length': '1000' })
      response.write('the beginning')
      // Once it is out.
      setImmediate(() => response.socket?.resetAndDestroy())
    } else {
      if (fault === 'slow') await sleep(faulty.slowMs)
      response.statusCode = typeof fault === 'number' ? fault : 200
      response.end(`${faulty.port}`)
    }
  }
  const port = await findFreePort()
  const listen = async (): Promise<void> => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  }
  const stop = async (): Promise<void> => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }
  await listen()
  const faulty: FaultyServer = {
    port,
    fault,
    slowMs: 0,
    requests: [],
    connections: () => new Promise((resolve) => server.getConnections((_error, count) => resolve(count))),
    stop,
    restart: listen,
  }
  t.teardown(stop)
  return faulty
}
