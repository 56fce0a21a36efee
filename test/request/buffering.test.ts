/** Request bodies that are read whole before an endpoint is asked, and answers that leave their endpoint however slow the client is. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import http, { type IncomingMessage, type ServerResponse } from 'node:http'
import type { ClientHttp2Stream } from 'node:http2'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Duplex, Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { makeCertificate } from '../helpers/certificates.ts'
import { FAST_LANE } from '../helpers/fast-lane.ts'
import { connectH2 } from '../helpers/h2-client.ts'
import { type ProxyServer, type ProxyServerOptions, startProxy } from '../helpers/proxy-server.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { answerWith, startRawUpstream } from '../helpers/raw-upstream.ts'
import { chooseFolder } from '../helpers/spools.ts'
import { until } from '../helpers/until.ts'

const MIB = 1024 * 1024
const PIECE = randomBytes(MIB)
const ALL = { 'upstream.requestBuffering': 'all' }
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

type Door = 'HTTP/1' | 'HTTP/1 over TLS' | 'HTTP/2' | 'HTTP/2 over TLS'

/** The fast lane is a door of HTTP/1 alone: HTTP/2 is tested once. */
const PLAIN: readonly Door[] = FAST_LANE ? ['HTTP/1', 'HTTP/2'] : ['HTTP/1']
const DOORS: readonly Door[] = PLAIN.flatMap((door) => [door, `${door} over TLS` as Door])

type Received = { length: string | undefined; encoding: string | undefined; sum: string; bytes: number }

function sumOf(pieces: readonly Buffer[]): string {
  const hash = createHash('sha256')
  for (const piece of pieces) hash.update(piece)
  return hash.digest('hex')
}

/** An endpoint that answers with what it received. */
async function startHashing(t: Test): Promise<{ port: number; asked: number }> {
  const state = { port: 0, asked: 0 }
  const server = http.createServer((request, response) => {
    state.asked++
    const hash = createHash('sha256')
    let bytes = 0
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      hash.update(chunk)
    })
    request.on('end', () => {
      const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
      response.end(JSON.stringify({ length, encoding, bytes, sum: hash.digest('hex') } satisfies Received))
    })
  })
  state.port = await listen(t, server)
  return state
}

async function listen(t: Test, server: http.Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** An endpoint that answers as told. */
async function startAnswering(
  t: Test,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<number> {
  return listen(t, http.createServer(answer))
}

async function startBuffering(
  t: Test,
  ports: readonly number[],
  changes: Readonly<Record<string, unknown>> = {},
  options: Omit<ProxyServerOptions, 'settings'> = {},
): Promise<ProxyServer & { folder: string; warnings: string[] }> {
  const folder = options.spools?.folder ?? chooseFolder(t)
  const warnings: string[] = []
  const spools = { folder, warn: (message: string) => void warnings.push(message) }
  const server = await startProxy(t, ports, { ...options, settings: { ...ALL, ...changes }, spools })
  return { ...server, folder, warnings }
}

type Exchanged = { to: Writable; answer: Promise<Readable & { status: number }>; cut: () => void }

/** One request; `length` declares its body, else it has chunks or the frames of HTTP/2. */
function send(
  t: Test,
  server: ProxyServer,
  door: Door,
  method: string,
  fields: Record<string, string> = {},
): Exchanged {
  if (door.startsWith('HTTP/2')) {
    const isTls = door === 'HTTP/2 over TLS'
    const session = connectH2(t, isTls ? server.h2TlsPort : server.h2Port, { tls: isTls })
    const stream: ClientHttp2Stream = session.request({ ':method': method, ':authority': 'gw.test', ...fields })
    stream.on('error', () => {})
    const answer = once(stream, 'response').then(([head]) =>
      Object.assign(stream as Duplex, { status: Number(head[':status']) }),
    )
    return { to: stream, answer, cut: () => session.destroy() }
  }
  const isTls = door === 'HTTP/1 over TLS'
  const options = { host: '127.0.0.1', method, agent: false as const, headers: { Host: 'gw.test', ...fields } }
  const request = isTls
    ? https.request({ ...options, port: server.tlsPort, rejectUnauthorized: false })
    : http.request({ ...options, port: server.port })
  request.on('error', () => {})
  const answer = once(request, 'response').then(([response]) =>
    Object.assign(response as IncomingMessage, { status: (response as IncomingMessage).statusCode! }),
  )
  answer.catch(() => {})
  return { to: request, answer, cut: () => request.destroy() }
}

async function write(to: Writable, pieces: readonly Buffer[]): Promise<void> {
  for (const piece of pieces) {
    if (to.write(piece)) continue
    await new Promise<void>((resolve) => {
      const go = () => {
        to.off('drain', go).off('close', go)
        resolve()
      }
      to.on('drain', go).on('close', go)
    })
  }
}

async function readText(readable: Readable): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of readable) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

async function upload(
  t: Test,
  server: ProxyServer,
  door: Door,
  pieces: readonly Buffer[],
  method = 'POST',
  fields: Record<string, string> = {},
): Promise<{ status: number; text: string }> {
  const { to, answer } = send(t, server, door, method, fields)
  await write(to, pieces)
  to.end()
  const response = await answer
  return { status: response.status, text: await readText(response) }
}

/** Nothing is left: no bytes, no descriptor, no file with a name. */
async function checkEmpty(t: Test, server: ProxyServer & { folder: string }): Promise<void> {
  const { spools, folder } = server
  const isOpen = (number: string) => {
    try {
      return readlinkSync(`/proc/self/fd/${number}`).startsWith(folder)
    } catch {
      return false
    }
  }
  await until(() => spools.fileBytes === 0 && spools.memoryBytes === 0 && !readdirSync('/proc/self/fd').some(isOpen))
  if (existsSync(folder)) t.same(readdirSync(folder), [])
}

t.test(
  'an upload of any length is read whole before the endpoint is asked, which gets it with its length',
  async (t) => {
    const endpoint = await startHashing(t)
    const server = await startBuffering(
      t,
      [endpoint.port],
      {},
      { certificate: await makeCertificate({ names: ['gw.test'] }) },
    )
    for (const door of DOORS) {
      const pieces = Array.from({ length: door === 'HTTP/1' ? 50 : 6 }, () => PIECE)
      const bytes = pieces.length * MIB
      const before = endpoint.asked
      for (const declared of [false, true]) {
        const fields: Record<string, string> = declared ? { 'Content-Length': String(bytes + 1) } : {}
        const { to, answer } = send(t, server, door, 'POST', fields)
        await write(to, pieces)
        await until(() => server.spools.fileBytes + server.spools.memoryBytes >= bytes)
        t.equal(endpoint.asked, before + Number(declared), `${door}: not before the last byte`)
        to.end('!')
        const response = await answer
        t.equal(response.status, 200, door)
        const received = JSON.parse(await readText(response)) as Received
        t.same(
          received,
          { length: String(bytes + 1), bytes: bytes + 1, sum: sumOf([...pieces, Buffer.from('!')]) },
          door,
        )
        await checkEmpty(t, server)
      }
    }
  },
)

t.test('a short body stays in memory, whatever its framing', async (t) => {
  const endpoint = await startHashing(t)
  const server = await startBuffering(t, [endpoint.port])
  for (const door of PLAIN) {
    for (const fields of [{}, { 'Content-Length': '9' }]) {
      const { to, answer } = send(t, server, door, 'POST', fields as Record<string, string>)
      to.write('hello')
      await sleep(20)
      to.end(' all')
      const { length, encoding, bytes } = JSON.parse(await readText(await answer)) as Received
      t.same({ length, encoding, bytes }, { length: '9', encoding: undefined, bytes: 9 }, door)
    }
  }
  const empty = await connectRaw(server.port)
  empty.send('POST / HTTP/1.1\r\nHost: gw.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')
  t.match(JSON.parse((await empty.response()).body.toString()), { length: '0', bytes: 0 })
  empty.destroy()
  t.notOk(existsSync(server.folder), 'no folder was needed')
  await checkEmpty(t, server)
})

t.test('none: not even a short body is held back', async (t) => {
  for (const requestBuffering of ['none', 'short']) {
    const upstream = await startRawUpstream(() => {})
    t.teardown(() => upstream.close())
    const server = await startProxy(t, [upstream.port], { settings: { 'upstream.requestBuffering': requestBuffering } })
    const client = await connectRaw(server.port)
    client.send('POST / HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 9\r\n\r\nhel')
    if (requestBuffering === 'none') await (await upstream.connection(0)).until((text) => text.endsWith('hel'))
    else {
      await sleep(100)
      t.equal(upstream.connections.length, 0)
    }
    client.destroy()
  }
})

t.test('trailers keep their chunks', async (t) => {
  const upstream = await startRawUpstream(async (connection) => {
    await connection.until((text) => text.includes('X-Sum'))
    connection.send(OK)
  })
  t.teardown(() => upstream.close())
  const server = await startBuffering(t, [upstream.port])
  const client = await connectRaw(server.port)
  client.send(
    'POST / HTTP/1.1\r\nHost: gw.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Sum: 1\r\n\r\n',
  )
  t.equal((await client.response()).status, 200)
  t.match(upstream.connections[0]!.text, /Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\nX-Sum: 1\r\n\r\n$/)
  client.destroy()
})

t.test('a client that expects 100 is asked for its body by the gateway', async (t) => {
  const endpoint = await startHashing(t)
  const server = await startBuffering(t, [endpoint.port], { 'upstream.bodyLimit': 100_000 })
  const client = await connectRaw(server.port)
  client.send('POST / HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 80000\r\nExpect: 100-continue\r\n\r\n')
  await client.until((text) => text.startsWith('HTTP/1.1 100 Continue\r\n\r\n'))
  t.equal(endpoint.asked, 0)
  client.clear()
  client.send(Buffer.alloc(80_000, 'x'))
  t.match(JSON.parse((await client.response()).body.toString()), { length: '80000', bytes: 80_000 })
  client.destroy()

  const refused = await connectRaw(server.port)
  refused.send('POST / HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 100001\r\nExpect: 100-continue\r\n\r\n')
  t.equal((await refused.response()).status, 413, 'and not where it is too large')
  refused.destroy()
  await checkEmpty(t, server)
})

t.test('what is longer than the route allows is refused as soon as it is', async (t) => {
  const endpoint = await startHashing(t)
  const server = await startBuffering(t, [endpoint.port], { 'upstream.bodyLimit': 3 * MIB })
  for (const door of PLAIN) {
    const { to, answer, cut } = send(t, server, door, 'POST')
    void write(to, [PIECE, PIECE, PIECE, Buffer.from('!')])
    const response = await answer
    t.equal(response.status, 413, door)
    cut()
  }
  t.equal(endpoint.asked, 0)
  await checkEmpty(t, server)
})

t.test('a body is sent again from its file, for the methods that may be repeated', async (t) => {
  let failures = 0
  const failing = await startRawUpstream(async (connection) => {
    await connection.until((text) => text.length > MIB)
    failures++
    connection.socket.resetAndDestroy()
  })
  t.teardown(() => failing.close())
  const endpoint = await startHashing(t)
  const pieces = Array.from({ length: 5 }, () => PIECE)
  for (const door of PLAIN) {
    const server = await startBuffering(t, [failing.port, endpoint.port])
    const before = failures
    for (let n = 0; n < 4; n++) {
      const { status, text } = await upload(t, server, door, pieces, 'PUT')
      t.equal(status, 200, door)
      t.match(JSON.parse(text), { length: String(5 * MIB), sum: sumOf(pieces) })
    }
    t.ok(failures > before, 'one endpoint fails in the midst of it')
    t.match(
      server.records.find(({ tries }) => tries === 2),
      { retries: [{ reason: 'reset', result: 'answered' }] },
    )
    await checkEmpty(t, server)
  }
  const server = await startBuffering(t, [failing.port, failing.port])
  const before = failures
  t.equal((await upload(t, server, 'HTTP/1', pieces)).status, 502, 'a POST is sent once')
  t.equal(failures, before + 1)
  await checkEmpty(t, server)
})

t.test('an endpoint may answer before it has read all, and one that reads slowly is not lost', async (t) => {
  const early = await startRawUpstream(answerWith('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'))
  t.teardown(() => early.close())
  const pieces = Array.from({ length: 8 }, () => PIECE)
  const server = await startBuffering(t, [early.port])
  t.match(await upload(t, server, 'HTTP/1', pieces, 'PUT'), { status: 403, text: 'no' })
  await checkEmpty(t, server)

  const slow = await startAnswering(t, async (request, response) => {
    for await (const chunk of request) if ((chunk as Buffer).length > 0) await sleep(4)
    response.end('ok')
  })
  const patient = await startBuffering(t, [slow], { 'timeouts.responseHeaders': 1500 })
  const begun = Date.now()
  t.match(await upload(t, patient, 'HTTP/1', [...pieces, ...pieces, ...pieces], 'PUT'), { status: 200 })
  t.ok(Date.now() - begun > 1500, 'which took longer than the limit')
  await checkEmpty(t, patient)

  const deaf = await startAnswering(t, () => {})
  const impatient = await startBuffering(t, [deaf], { 'timeouts.responseHeaders': 200 })
  t.match(await upload(t, impatient, 'HTTP/1', pieces, 'PUT'), { status: 504 })
  await checkEmpty(t, impatient)
})

t.test('no room: requests get 503, answers go on as fast as their clients take them', async (t) => {
  const size = 20 * MIB
  const endpoint = await startAnswering(t, (request, response) => {
    request.resume()
    request.on('end', () => response.end(request.method === 'GET' ? Buffer.alloc(size, PIECE) : 'ok'))
  })
  const blocked = chooseFolder(t)
  writeFileSync(blocked, 'a file')
  for (const [changes, folder, why] of [
    [{ 'buffering.disk': 2 * MIB }, undefined, /buffering\.disk is used up/],
    [{}, join(blocked, 'bodies'), /cannot be written: .*ENOTDIR/],
  ] as const) {
    const server = await startBuffering(
      t,
      [endpoint],
      { ...changes, 'upstream.responseBuffering': 'all' },
      folder ? { spools: { folder } } : {},
    )
    for (const door of PLAIN) {
      const { to, answer, cut } = send(t, server, door, 'POST')
      void write(to, [PIECE, PIECE, PIECE])
      const response = await answer
      t.equal(response.status, 503, door)
      const fields = (response as unknown as IncomingMessage).headers
      if (fields) t.equal(fields['retry-after'], '1')
      cut()
      t.match(await server.record(), { error: 'PORTICO_GW_BUFFERS_FULL', detail: why })
      await checkEmpty(t, server)

      const { to: get, answer: long } = send(t, server, door, 'GET')
      get.end()
      const slow = await long
      await sleep(200)
      t.equal(inFlightOf(server), 1, 'the endpoint waits for the client')
      t.equal(sumOf([Buffer.from(await readBinary(slow))]), sumOf([Buffer.alloc(size, PIECE)]))
      t.match(await server.record(), { status: 200, error: undefined, bytesOut: size })
      await checkEmpty(t, server)
    }
    t.equal((await upload(t, server, 'HTTP/1', [Buffer.from('short')])).status, 200)
    if (folder) t.match(server.warnings[0], /no body can be buffered in a file of .*bodies: ENOTDIR/)
  }
})

function inFlightOf(server: ProxyServer): number {
  return [...server.registry.states()].reduce((sum, { inFlight }) => sum + inFlight, 0)
}

async function readBinary(readable: Readable): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of readable) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

t.test('a client that leaves in the midst leaves nothing', async (t) => {
  const endpoint = await startHashing(t)
  const server = await startBuffering(
    t,
    [endpoint.port],
    {},
    { certificate: await makeCertificate({ names: ['gw.test'] }) },
  )
  for (const door of DOORS) {
    for (const pieces of [[PIECE, PIECE, PIECE], [PIECE.subarray(0, 1000)]]) {
      const { to, cut } = send(t, server, door, 'POST')
      await write(to, pieces)
      await until(() => server.spools.fileBytes + server.spools.memoryBytes > 0)
      cut()
      // To the fast lane chunks without an end are malformed.
      t.match(await server.record(), { error: /^PORTICO_REQ_(ABORTED|MALFORMED)$/ }, door)
      await checkEmpty(t, server)
    }
  }
  t.equal(endpoint.asked, 0)
})

t.test('many long uploads at once take a bounded memory', async (t) => {
  const endpoint = await startHashing(t)
  const server = await startBuffering(t, [endpoint.port])
  const before = process.memoryUsage().rss
  let most = 0
  let inMemory = 0
  const timer = setInterval(() => {
    most = Math.max(most, process.memoryUsage().rss)
    inMemory = Math.max(inMemory, server.spools.memoryBytes)
  }, 20)
  const pieces = Array.from({ length: 10 }, () => PIECE)
  const sum = sumOf(pieces)
  const answers = await Promise.all(Array.from({ length: 40 }, () => upload(t, server, 'HTTP/1', pieces)))
  clearInterval(timer)
  for (const { status, text } of answers) {
    t.equal(status, 200)
    t.equal((JSON.parse(text) as Received).sum, sum)
  }
  t.ok(inMemory <= 40 * 4 * 65_536, `${inMemory} bytes of bodies in memory`)
  t.ok(most - before < 200 * MIB, `${Math.round((most - before) / MIB)} MiB more, clients and endpoint included`)
  await checkEmpty(t, server)
})

t.test('gRPC and upgrades are not held', async (t) => {
  const upstream = await startRawUpstream(() => {})
  t.teardown(() => upstream.close())
  const server = await startBuffering(t, [upstream.port])
  const { to, cut } = send(t, server, 'HTTP/2', 'POST', { 'Content-Type': 'application/grpc+proto' })
  to.write('message')
  await (await upstream.connection(0)).until((text) => text.includes('message'))
  cut()

  const switching = await startRawUpstream(
    answerWith('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\nhello'),
  )
  t.teardown(() => switching.close())
  const both = await startBuffering(t, [switching.port], { 'upstream.responseBuffering': 'all' })
  const client = await connectRaw(both.port)
  client.send('GET / HTTP/1.1\r\nHost: gw.test\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n')
  await client.until((text) => text.startsWith('HTTP/1.1 101') && text.endsWith('hello'))
  client.send('there')
  await switching.connections[0]!.until((text) => text.endsWith('there'))
  client.destroy()
})

t.test('a long answer leaves its endpoint at once, however slow the client is, and reaches it whole', async (t) => {
  const size = 20 * MIB
  const body = Buffer.alloc(size, PIECE)
  for (const isCounted of [true, false]) {
    const endpoint = await startAnswering(t, (_request, response) => {
      if (isCounted) response.setHeader('Content-Length', size)
      response.end(body)
    })
    const server = await startBuffering(
      t,
      [endpoint],
      { 'upstream.responseBuffering': 'all' },
      { certificate: await makeCertificate({ names: ['gw.test'] }) },
    )
    for (const door of DOORS) {
      const { to, answer } = send(t, server, door, 'GET')
      to.end()
      const response = await answer
      const begun = Date.now()
      await until(() => inFlightOf(server) === 0)
      t.ok(Date.now() - begun < 1000, `${door}: free after ${Date.now() - begun} ms`)
      t.ok(server.spools.fileBytes > 5 * MIB, `${server.spools.fileBytes} bytes in a file`)
      t.ok(server.spools.memoryBytes <= 4 * 65_536)
      t.ok((await readBinary(response)).equals(body), door)
      t.match(await server.record(), { status: 200, error: undefined, bytesOut: size })
      await checkEmpty(t, server)

      const leaving = send(t, server, door, 'GET')
      leaving.to.end()
      await leaving.answer
      await until(() => inFlightOf(server) === 0)
      leaving.cut()
      t.match(await server.record(), { error: 'PORTICO_REQ_ABORTED' }, `${door}: a client that leaves`)
      await checkEmpty(t, server)
    }
  }
})

t.test('an answer that is read fast touches no file, and its first bytes come at once', async (t) => {
  let finish = () => {}
  const endpoint = await startAnswering(t, (_request, response) => {
    response.write('first')
    finish = () => response.end('last')
  })
  const server = await startBuffering(t, [endpoint], { 'upstream.responseBuffering': 'all' })
  for (const door of PLAIN) {
    const { to, answer } = send(t, server, door, 'GET')
    to.end()
    const response = await answer
    const [first] = await once(response, 'data')
    t.equal(String(first), 'first', door)
    finish()
    t.equal(await readText(response), 'last')
  }
  t.notOk(existsSync(server.folder))
})

t.test('what is on its way to a slow client is bounded, and a client that takes nothing is cut', async (t) => {
  const size = 40 * MIB
  const endpoint = await startAnswering(t, (_request, response) => response.end(Buffer.alloc(size, PIECE)))
  const server = await startBuffering(t, [endpoint], {
    'upstream.responseBuffering': 'all',
    'buffering.answerDisk': 2 * MIB,
    'timeouts.writeStall': 1000,
  })
  for (const door of PLAIN) {
    const { to, answer } = send(t, server, door, 'GET')
    to.end()
    const response = await answer
    await until(() => server.spools.fileBytes > MIB)
    await sleep(100)
    t.equal(inFlightOf(server), 1, 'the endpoint waits')
    t.ok(server.spools.fileBytes <= 2 * MIB)
    t.ok((await readBinary(response)).equals(Buffer.alloc(size, PIECE)), door)
    await server.record()

    const stuck = send(t, server, door, 'GET')
    stuck.to.end()
    await stuck.answer
    t.match(await server.record(), { error: 'PORTICO_REQ_ABORTED' }, `${door}: nothing was taken`)
    stuck.cut()
    await checkEmpty(t, server)
  }
})

t.test('a slow client is not cut while it takes something, also after the endpoint has gone', async (t) => {
  const size = 8 * MIB
  const endpoint = await startAnswering(t, (_request, response) => response.end(Buffer.alloc(size, PIECE)))
  const server = await startBuffering(t, [endpoint], {
    'upstream.responseBuffering': 'all',
    'timeouts.writeStall': 1_500,
  })
  for (const door of PLAIN) {
    const { to, answer } = send(t, server, door, 'GET')
    to.end()
    const response = await answer
    let bytes = 0
    for await (const chunk of response) {
      const before = Math.floor(bytes / (256 * 1024))
      bytes += (chunk as Buffer).length
      if (Math.floor(bytes / (256 * 1024)) > before) await sleep(100)
    }
    t.equal(bytes, size, door)
    t.match(await server.record(), { status: 200, error: undefined })
  }
})

t.test('streams, and answers whose endpoint says so, are not kept', async (t) => {
  for (const fields of [
    { 'Content-Type': 'text/event-stream' },
    { 'Content-Type': 'application/grpc' },
    { 'X-Accel-Buffering': 'no' },
  ]) {
    const endpoint = await startAnswering(t, (_request, response) => {
      response.writeHead(200, fields)
      response.end(Buffer.alloc(20 * MIB, PIECE))
    })
    const server = await startBuffering(t, [endpoint], { 'upstream.responseBuffering': 'all' })
    const { to, answer, cut } = send(t, server, 'HTTP/1', 'GET')
    to.end()
    await answer
    await sleep(200)
    t.equal(inFlightOf(server), 1, JSON.stringify(fields))
    t.equal(server.spools.fileBytes + server.spools.memoryBytes, 0)
    cut()
    await server.record()
  }
})

t.test('an answer that breaks off is cut, never taken for a whole', async (t) => {
  const upstream = await startRawUpstream(async (connection) => {
    await connection.head()
    connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${20 * MIB}\r\n\r\n`).send(Buffer.alloc(10 * MIB, PIECE))
    await once(connection.socket, 'drain')
    connection.socket.destroy()
  })
  t.teardown(() => upstream.close())
  const server = await startBuffering(t, [upstream.port], { 'upstream.responseBuffering': 'all' })
  const { to, answer } = send(t, server, 'HTTP/1', 'GET')
  to.end()
  const response = await answer
  await t.rejects(readBinary(response), /aborted|ECONNRESET/)
  t.match(await server.record(), { error: 'PORTICO_UP_TRUNCATED' })
  await checkEmpty(t, server)
})
