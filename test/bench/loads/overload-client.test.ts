import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { runClient } from './client.ts'
import type { OverloadLoad, OverloadResult } from './overload-client.ts'

async function offer(serve: RequestListener, changes: Partial<OverloadLoad>): Promise<OverloadResult> {
  const server = createServer(serve)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
  const load: OverloadLoad = { port, request, rate: 0, connections: 4, seconds: 2, ...changes }
  return runClient('overload-client', load, 'any', 30_000)
}

/** Answers each request after so many milliseconds, and counts how many were under way at once. */
function answerAfter(ms: number) {
  const late = { most: 0, underWay: 0, answer }
  function answer(_request: IncomingMessage, response: ServerResponse): void {
    late.most = Math.max(late.most, ++late.underWay)
    setTimeout(() => {
      late.underWay--
      response.end('x')
    }, ms)
  }
  return late
}

t.test('without a rate each connection asks again once it was answered', async (t) => {
  const late = answerAfter(50)
  const result = await offer(late.answer, { connections: 4 })
  t.equal(late.most, 4)
  t.ok(result.answered > 0 && result.answered <= 80, `${result.answered} of at most 80 in the second that counts`)
  t.match(result, { good: result.answered, refused: 0, failed: 0 })
})

t.test('at a rate, requests do not wait for those before them', async (t) => {
  const late = answerAfter(1_200)
  const result = await offer(late.answer, { rate: 50, connections: 1, seconds: 3 })
  t.equal(result.offered, 150)
  t.ok(late.most > 50, `${late.most} were under way at once`)
  t.ok(result.answered > 0)
  t.equal(result.good, 0, 'none came within a second')
})

t.test('other statuses are refused, and cut connections failed', async (t) => {
  let asked = 0
  const result = await offer(
    (request, response) => {
      if (++asked % 2 === 0) response.writeHead(503, { connection: 'close', 'content-length': 1 }).end('x')
      else request.socket.destroy()
    },
    { rate: 50 },
  )
  t.equal(result.answered, 0)
  t.ok(result.refused > 0)
  t.ok(result.failed > 0)
})
