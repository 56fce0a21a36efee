import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { runClient } from './client.ts'
import type { OpenLoopLoad, OpenLoopResult } from './open-loop-client.ts'

const STALL_MS = 300

function offer(server: Server, changes: Partial<OpenLoopLoad>): Promise<OpenLoopResult> {
  const { port } = server.address() as AddressInfo
  const load = { port, request: 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', rate: 100, connections: 4, seconds: 1, ...changes }
  return runClient('open-loop-client', load, 'any', 30_000)
}

function listen(server: Server): Promise<Server> {
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)))
}

t.test('a stall of the server is seen by every request that was due meanwhile, sent or not', async (t) => {
  let answered = 0
  const server = await listen(
    createServer((_, response) => {
      const answer = () => response.end('x')
      // One connection: all that is due during the wait has to wait too.
      if (++answered === 20) setTimeout(answer, STALL_MS)
      else answer()
    }),
  )
  const result = await offer(server, { connections: 1 })
  t.equal(result.requests, 100)
  t.equal(result.failures, 0)
  t.ok(result.slowestMs >= STALL_MS - 1, `the slowest took ${result.slowestMs} ms`)
  t.ok(result.p99Ms > STALL_MS - 50, `the second slowest was due 10 ms later: ${result.p99Ms} ms`)
})

t.test('a connection that is cut in the middle of a request is a failure and is opened again', async (t) => {
  let asked = 0
  const server = await listen(
    createServer((request, response) => {
      if (++asked === 10) request.socket.resetAndDestroy()
      else response.end('x')
    }),
  )
  const result = await offer(server, { connections: 1 })
  t.equal(result.failures, 1)
  t.equal(result.requests, 99)
})

t.test('answers other than 200 are failures', async (t) => {
  const server = await listen(createServer((_, response) => response.writeHead(503, { 'content-length': 1 }).end('x')))
  const result = await offer(server, { rate: 50 })
  t.equal(result.failures, 50)
  t.equal(result.requests, 0)
})
