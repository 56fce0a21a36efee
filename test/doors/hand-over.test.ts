/** What waits behind a request in the fast lane reaches node:http whole and in order when the connection is handed over. */
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { startProxy } from '../helpers/proxy-server.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { until } from '../helpers/until.ts'

const SIZE = 2_000_000

function hash(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

t.test(
  'uploads pipelined behind a slow answer arrive as they were sent, at an upstream that reads slowly',
  async (t) => {
    const seen: string[] = []
    let answerFirst = () => {}
    const upstream = createServer((request, response) => {
      if (request.url === '/first') {
        answerFirst = () => response.end('first')
        return
      }
      const digest = createHash('sha256')
      request.on('data', (chunk: Buffer) => {
        digest.update(chunk)
        // Backpressure, all the way to the client.
        request.pause()
        setTimeout(() => request.resume(), 2)
      })
      request.on('end', () => {
        seen.push(digest.digest('hex'))
        response.end('read')
      })
    })
    await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
    t.teardown(() => upstream.close())
    const server = await startProxy(t, [(upstream.address() as AddressInfo).port])
    const bodies = [1, 2, 3].map((seed) =>
      Buffer.from(Array.from({ length: SIZE }, (_, at) => (at * 31 + at / 251 + seed) & 0xff)),
    )
    const client = await connectRaw(server.port)
    client.socket.write('GET /first HTTP/1.1\r\nHost: a\r\n\r\n')
    // Not for the lane: another method, and names that Connection lists.
    for (const body of bodies) {
      client.socket.write(
        `REPORT /upload HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, x-foo\r\nContent-Length: ${SIZE}\r\n\r\n`,
      )
      client.socket.write(body)
    }
    await until(() => client.socket.bytesWritten >= 100_000)
    // So much is on its way that some of it waits in the gateway.
    await new Promise((resolve) => setTimeout(resolve, 100))
    answerFirst()
    t.equal((await client.response()).status, 200)
    for (const body of bodies) {
      t.equal((await client.response()).status, 200)
      t.equal(seen.shift(), hash(body))
    }
  },
)
