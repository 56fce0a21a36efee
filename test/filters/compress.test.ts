import { randomBytes } from 'node:crypto'
import { get, type IncomingMessage } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import { brotliDecompressSync, createGunzip, type Gunzip, gunzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { chooseCoding } from '../../lib/filters/content-coding.ts'
import { ZSTD } from '../../lib/filters/zstd.ts'
import type { Answer } from '../doors/recorder.ts'
import { connectH2 } from '../helpers/h2-client.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { type RawConnection, startRawUpstream } from '../helpers/raw-upstream.ts'
import { runGateway } from '../helpers/running-gateway.ts'
import { until } from '../helpers/until.ts'
import { ask, type Filtered, HOST, printFiltered, startFiltered, translateFiltered } from './filtered.ts'

const TEXT = 'Portico compresses this sentence. '.repeat(100)
const JSON_TYPE = 'Content-Type: application/json\r\n'

function answer(lines: string, body: string = TEXT, status: string = '200 OK'): Answer {
  return { pieces: [`HTTP/1.1 ${status}\r\n${lines}Content-Length: ${body.length}\r\n\r\n${body}`] }
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')
const gunzip = ({ body }: Filtered): string => gunzipSync(bytes(body)).toString('latin1')
const GZIP = { fields: [['accept-encoding', 'gzip']] as const }
const WITH_ZSTD = { skip: ZSTD === undefined && 'this Node has no zstd' } as const
const WITHOUT_ZSTD = { skip: ZSTD !== undefined && 'this Node has zstd' } as const

async function unzstd({ body }: Filtered): Promise<string> {
  return (await buffer(ZSTD!.createDecoder().end(bytes(body)))).toString('latin1')
}

t.test('an answer is compressed for those that accept it, at every door', async (t) => {
  const lines = `${JSON_TYPE}ETag: "v1"\r\nAccept-Ranges: bytes\r\nVary: Origin\r\n`
  const chunks = ['400', TEXT.slice(0, 1024), TEXT.slice(1024).length.toString(16), TEXT.slice(1024)]
  const chunked = `HTTP/1.1 200 OK\r\n${lines}Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n${chunks.join('\r\n')}\r\n0\r\nX-Sum: 7\r\n\r\n`
  const doors = await startFiltered(t, { compress: 'br, gzip' }, '/', '', {
    '/': answer(lines),
    '/chunked': { pieces: [chunked.slice(0, 300), chunked.slice(300, 1500), chunked.slice(1500)] },
    '/close': { pieces: [`HTTP/1.1 200 OK\r\n${lines}\r\n${TEXT}`], ending: 'fin' },
  })
  for (const door of doors.names) {
    for (const target of ['/', '/chunked', '/close']) {
      const label = `${target}, ${door}`
      const zipped = await ask(doors, door, { target, ...GZIP })
      t.equal(zipped.status, 200, label)
      t.equal(gunzip(zipped), TEXT, label)
      t.ok(zipped.body.length < TEXT.length / 10)
      t.same(zipped.field('content-encoding'), ['gzip'])
      t.same(zipped.field('etag'), ['W/"v1"'])
      t.same(zipped.field('vary'), ['Origin', 'Accept-Encoding'])
      t.same([zipped.field('content-length'), zipped.field('accept-ranges')], [[], []])
      t.ok(zipped.upstream.includes('accept-encoding: gzip'), 'the endpoint may compress by itself')
      const best = await ask(doors, door, { target, fields: [['accept-encoding', 'gzip, br']] })
      t.same(best.field('content-encoding'), ['br'])
      t.equal(brotliDecompressSync(bytes(best.body)).toString('latin1'), TEXT)
      const plain = await ask(doors, door, { target })
      t.equal(plain.body, TEXT, label)
      t.same([plain.field('content-encoding'), plain.field('etag')], [[], ['"v1"']])
      t.same(plain.field('vary'), ['Origin', 'Accept-Encoding'], 'caches must tell them apart')
      const head = await ask(doors, door, { method: 'HEAD', target, ...GZIP })
      t.same([head.body, head.field('content-encoding'), head.field('etag')], ['', ['gzip'], ['W/"v1"']], 'HEAD')
      t.same(head.field('content-length'), [])
    }
  }
  const other = await ask(doors, 'lane', { host: 'gw.test', ...GZIP })
  t.same(other.field('content-encoding'), [], 'other routes are left alone')
})

t.test('zstd is used where it comes first and the client accepts it, at every door', WITH_ZSTD, async (t) => {
  const lines = `${JSON_TYPE}ETag: "v1"\r\nAccept-Ranges: bytes\r\n`
  const big = Array.from({ length: 40_000 }, (_, index) => `line ${index}`).join('\n')
  const doors = await startFiltered(t, { compress: 'true' }, '/', '', {
    '/': answer(lines),
    '/big': answer(lines, big),
  })
  for (const door of doors.names) {
    for (const [target, whole] of [
      ['/', TEXT],
      ['/big', big],
    ] as const) {
      const zipped = await ask(doors, door, { target, fields: [['accept-encoding', 'gzip, deflate, br, zstd']] })
      t.same([zipped.status, zipped.field('content-encoding')], [200, ['zstd']], door)
      t.equal(await unzstd(zipped), whole, door)
      t.ok(zipped.body.length < whole.length / 3, `${zipped.body.length} of ${whole.length}`)
      t.same([zipped.field('etag'), zipped.field('vary')], [['W/"v1"'], ['Accept-Encoding']])
      t.same([zipped.field('content-length'), zipped.field('accept-ranges')], [[], []])
    }
    const head = await ask(doors, door, { method: 'HEAD', target: '/', fields: [['accept-encoding', 'zstd']] })
    t.same([head.body, head.field('content-encoding'), head.field('etag')], ['', ['zstd'], ['W/"v1"']], 'HEAD')
    const weighed = await ask(doors, door, { target: '/', fields: [['accept-encoding', 'zstd;q=0.5, gzip']] })
    t.same([weighed.field('content-encoding'), gunzip(weighed)], [['gzip'], TEXT], 'weights decide first')
  }
})

t.test('a Node without zstd uses the other codings', WITHOUT_ZSTD, async (t) => {
  const doors = await startFiltered(t, { compress: 'zstd, gzip' }, '/', '', { '/': answer(JSON_TYPE) })
  const other = await ask(doors, 'lane', { target: '/', fields: [['accept-encoding', 'gzip, zstd']] })
  t.same([other.field('content-encoding'), gunzip(other)], [['gzip'], TEXT])
  const none = await ask(doors, 'lane', { target: '/', fields: [['accept-encoding', 'zstd']] })
  t.same([none.field('content-encoding'), none.body], [[], TEXT])
  t.match(translateFiltered({ compress: 'zstd' }), {
    route: { filters: undefined },
    diagnostics: [
      {
        code: 'PORTICO_ANN_VALUE',
        message:
          /compress: zstd needs Node 22\.15, 23\.8 or later, and this is Node \d+\.\d+\.\d+: answers are not compressed$/,
        help: /"zstd, gzip"/,
      },
    ],
  })
})

t.test('what compression does not fit is left alone', async (t) => {
  const cases: Readonly<Record<string, Answer>> = {
    '/coded': answer(`${JSON_TYPE}Content-Encoding: br\r\n`),
    '/no-transform': answer(`${JSON_TYPE}Cache-Control: public, No-Transform\r\n`),
    '/digest': answer(`${JSON_TYPE}Repr-Digest: sha-256=:AAAA:\r\n`),
    '/range': answer(`${JSON_TYPE}Content-Range: bytes 0-3399/9000\r\n`, TEXT, '206 Partial Content'),
    '/short': answer(JSON_TYPE, TEXT.slice(0, 1023)),
    '/image': answer('Content-Type: image/png\r\n'),
    '/grpc': answer('Content-Type: application/grpc+json\r\n'),
    '/untyped': answer(''),
  }
  const doors = await startFiltered(t, { compress: 'true' }, '/', '', { ...cases, '/fits': answer(JSON_TYPE) })
  for (const [target, { pieces }] of Object.entries(cases)) {
    for (const accepted of ['gzip', 'zstd']) {
      const { body, field } = await ask(doors, 'lane', { target, fields: [['accept-encoding', accepted]] })
      t.equal(body, pieces[0]!.split('\r\n\r\n')[1], target)
      t.same(field('content-encoding'), target === '/coded' ? ['br'] : [])
      t.same(field('vary'), [], target)
    }
  }
  for (const fields of [
    [...GZIP.fields, ['range', 'bytes=0-9']],
    [...GZIP.fields, ['cache-control', 'no-transform']],
    [['accept-encoding', 'gzip;q=0']],
    [['accept-encoding', 'deflate']],
  ] as const) {
    const { body, field } = await ask(doors, 'lane', { target: '/fits', fields })
    t.equal(body, TEXT, fields.join(' '))
    t.same(field('vary'), ['Accept-Encoding'])
  }
})

t.test('a client that revalidates what it got compressed is told of the same tag', async (t) => {
  const doors = await startFiltered(t, { compress: 'true' }, '/', '', {
    '/same': { pieces: ['HTTP/1.1 304 Not Modified\r\nETag: "v1"\r\n\r\n'] },
  })
  for (const [sent, tag] of [
    ['W/"v1"', 'W/"v1"'],
    ['"v1"', '"v1"'],
    ['W/"v0", W/"v1"', 'W/"v1"'],
  ] as const) {
    const { status, field } = await ask(doors, 'lane', { target: '/same', fields: [['if-none-match', sent]] })
    t.same([status, field('etag'), field('vary')], [304, [tag], ['Accept-Encoding']], sent)
  }
})

t.test('answers of the gateway and of other filters are compressed too, from the size that is set', async (t) => {
  const doors = await startFiltered(t, {
    compress: 'gzip',
    'compress-min-size': '100',
    'respond-status': '403',
    'respond-body': TEXT,
  })
  for (const door of doors.names) {
    const refused = await ask(doors, door, GZIP)
    t.same([refused.status, refused.field('content-encoding'), gunzip(refused)], [403, ['gzip'], TEXT.trim()], door)
  }
})

const printRequest = (coding: string): string => `GET / HTTP/1.1\r\nHost: ${HOST}\r\nAccept-Encoding: ${coding}\r\n\r\n`
const REQUEST = printRequest('gzip')

/** The port of a gateway before an endpoint that behaves so. */
async function startGateway(
  t: Test,
  workers: string,
  behave: (connection: RawConnection) => void | Promise<void>,
): Promise<number> {
  const upstream = await startRawUpstream(behave)
  t.teardown(() => upstream.close())
  const manifests = printFiltered({ compress: 'true' })
  const gateway = await runGateway(t, manifests, { endpoints: { web: [upstream.port] }, flags: { workers } })
  return gateway.http
}

/** A client that has sent a request, and the connection on which the endpoint got it. */
async function startStreaming(t: Test, workers: string = '0', coding: string = 'gzip') {
  let found: ((connection: RawConnection) => void) | undefined
  const arrival = new Promise<RawConnection>((resolve) => {
    found = resolve
  })
  const port = await startGateway(t, workers, (each) => found?.(each))
  const client = await connectRaw(port)
  t.teardown(() => client.destroy())
  client.send(printRequest(coding))
  const connection = await arrival
  await connection.head()
  return { client, connection }
}

const toChunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`

t.test('what an endpoint sends piece by piece arrives piece by piece, with workers too', (t) =>
  passPieces(t, ['0', '2'], 'gzip', createGunzip),
)

t.test('so it does with zstd', WITH_ZSTD, (t) => passPieces(t, ['0'], 'zstd', () => ZSTD!.createDecoder()))

async function passPieces(t: Test, all: readonly string[], coding: string, createDecoder: () => Gunzip): Promise<void> {
  for (const workers of all) {
    const { client, connection } = await startStreaming(t, workers, coding)
    connection.send('HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n')
    let seen = ''
    const engine = createDecoder().on('data', (chunk: Buffer) => {
      seen += chunk
    })
    t.teardown(() => engine.destroy())
    let written = 0
    for (const line of ['{"a":1}\n', '{"a":2}\n', '{"a":3}\n']) {
      connection.send(toChunk(line))
      await until(() => {
        const whole = readChunks(client.received)
        engine.write(whole.subarray(written))
        written = whole.length
        return seen.endsWith(line)
      })
    }
    t.equal(seen, '{"a":1}\n{"a":2}\n{"a":3}\n', `${workers} workers`)
    connection.send('0\r\n\r\n')
    t.ok((await client.response()).complete)
  }
}

/** What has come of a chunked body; its last chunk may be missing. */
function readChunks(received: Buffer): Buffer {
  const pieces: Buffer[] = []
  for (let at = received.indexOf('\r\n\r\n') + 4; at > 3; ) {
    const end = received.indexOf('\r\n', at)
    const size = Number.parseInt(received.toString('latin1', at, end), 16)
    if (!(size > 0) || received.length < end + 2 + size + 2) break
    pieces.push(received.subarray(end + 2, end + 2 + size))
    at = end + 2 + size + 2
  }
  return Buffer.concat(pieces)
}

t.test('small pieces that come all the time arrive while they come', async (t) => {
  const { client, connection } = await startStreaming(t)
  connection.send(`HTTP/1.1 200 OK\r\n${JSON_TYPE}Transfer-Encoding: chunked\r\n\r\n`)
  const sending = setInterval(() => connection.send(toChunk('1,')), 4)
  t.teardown(() => clearInterval(sending))
  const engine = createGunzip()
  t.teardown(() => engine.destroy())
  let seen = 0
  engine.on('data', (piece: Buffer) => {
    seen += piece.length
  })
  let written = 0
  await until(() => {
    const whole = readChunks(client.received)
    engine.write(whole.subarray(written))
    written = whole.length
    return seen > 20
  })
  t.pass('though the endpoint never waits')
})

t.test('events are not compressed, and arrive at once', async (t) => {
  const { client, connection } = await startStreaming(t, '0', 'gzip, br, zstd')
  connection.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n')
  for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
    connection.send(toChunk(event))
    await client.until((text) => text.endsWith(toChunk(event)))
  }
  t.notMatch(client.text, /content-encoding/i)
})

t.test('an answer that is cut while it is compressed is seen to be cut', async (t) => {
  const { client, connection } = await startStreaming(t)
  connection.send(`HTTP/1.1 200 OK\r\n${JSON_TYPE}Content-Length: 9000\r\n\r\n${TEXT}`)
  await client.until((text) => text.includes('gzip'))
  connection.socket.resetAndDestroy()
  await until(() => client.hasEnded)
  t.equal((await client.response()).complete, false)
})

t.test(
  'as many answers are compressed at once as memory is meant for, half of them for one client, and all are served',
  async (t) => {
    const ask = async (localAddress: string): Promise<string> => {
      const client = await connectRaw(port, { localAddress })
      t.teardown(() => client.destroy())
      clients.push(client)
      client.send(REQUEST)
      return client.until((text) => text.includes('\r\n\r\n'))
    }
    const clients: { destroy(): void }[] = []
    const port = await startGateway(t, '0', async (each) => {
      await each.head()
      each.send(`HTTP/1.1 200 OK\r\n${JSON_TYPE}Transfer-Encoding: chunked\r\n\r\n${toChunk('[')}`)
    })
    const isZipped = (head: string): boolean => /content-encoding: gzip/i.test(head)
    for (const [address, zipped] of [
      ['127.0.0.1', 64],
      ['127.0.0.2', 64],
      ['127.0.0.3', 0],
    ] as const) {
      const heads = await Promise.all(Array.from({ length: 70 }, () => ask(address)))
      t.equal(heads.filter(isZipped).length, zipped, address)
    }
    for (const client of clients) client.destroy()
    await until(async () => isZipped(await ask('127.0.0.1')))
    t.pass('there is room again')
  },
)

t.test('the coding is the one that the client prefers, of equal ones the first', async (t) => {
  const cases: readonly (readonly [accepted: string, coding: string | undefined])[] = [
    ['', undefined],
    ['gzip', 'gzip'],
    ['x-gzip', 'gzip'],
    ['GZIP , deflate', 'gzip'],
    ['gzip, br', 'br'],
    ['br;q=0.5, gzip', 'gzip'],
    ['br;q=0.5, gzip;q=0.5', 'br'],
    ['*', 'br'],
    ['br;q=0, *', 'gzip'],
    ['gzip;q=0.5, identity', undefined],
    ['gzip;q=0.5, identity;q=0.5', 'gzip'],
    ['identity;q=0', undefined],
    ['gzip;q=2', undefined],
    ['gzip;q=', undefined],
    ['gzip;level=1', undefined],
    ['gzip; q=0.001', 'gzip'],
    ['gzip;q=0.000', undefined],
    ['zstd, deflate', undefined],
    [',,;;=,', undefined],
  ]
  for (const [accepted, coding] of cases) t.equal(chooseCoding(accepted, ['br', 'gzip']), coding, accepted)
  t.equal(chooseCoding('br, gzip', ['gzip', 'br']), 'gzip')
})

t.test('it is off unless it says what to do, and tells what it cannot use', async (t) => {
  const cases: readonly (readonly [annotations: object, options: object | undefined, message?: RegExp])[] = [
    [{ compress: 'true' }, { codings: [...(ZSTD ? ['zstd'] : []), 'br', 'gzip'], minSize: 1024 }],
    [{ compress: 'gzip , zstd,br' }, { codings: ['gzip', ...(ZSTD ? ['zstd'] : []), 'br'], minSize: 1024 }],
    [
      { compress: 'br,gzip', 'compress-min-size': '2Ki' },
      { codings: ['br', 'gzip'], minSize: 2048 },
    ],
    [{ compress: 'false', 'compress-min-size': '1' }, undefined],
    [{ 'compress-min-size': '1' }, undefined, /it says nothing without compress$/],
    [{ compress: 'gzip, gzip' }, undefined, /"gzip, gzip" is neither "true" nor "false" nor a list of codings$/],
    [{ compress: 'deflate' }, undefined, /"deflate" is neither/],
    [{ compress: 'zstd, br, zstd' }, undefined, /is neither/],
    [{ compress: 'gzip,' }, undefined, /is neither/],
    [{ compress: 'true, br' }, undefined, /is neither/],
    [{ compress: '' }, undefined, /"" is neither/],
    [
      { compress: 'true', 'compress-min-size': '0' },
      undefined,
      /compress-min-size: "0" is no size from 1 byte to 1Gi$/,
    ],
    [{ compress: 'true', 'compress-min-size': 'many' }, undefined, /"many" is no size$/],
  ]
  for (const [annotations, options, message] of cases) {
    const { route, diagnostics } = translateFiltered(annotations)
    const label = JSON.stringify(annotations)
    t.same(route?.filters?.[0]?.options, options, label)
    if (message === undefined) t.same(diagnostics, [], label)
    else t.match(diagnostics, [{ code: 'PORTICO_ANN_VALUE', message }], label)
  }
})

t.test('a long body is whole at every door, and for a client that reads it slowly', async (t) => {
  const some = randomBytes(150_000).toString('hex')
  const answers = {
    '/': answer(JSON_TYPE, some),
    '/chunked': {
      pieces: [`HTTP/1.1 200 OK\r\n${JSON_TYPE}Transfer-Encoding: chunked\r\n\r\n${toChunk(some)}0\r\n\r\n`],
    },
  }
  const doors = await startFiltered(t, { compress: 'br, gzip' }, '/', '', answers)
  // The client of the tests that speaks HTTP/2 in frames opens no window for so much.
  for (const door of doors.names.filter((name) => name !== 'HTTP/2')) {
    for (const target of Object.keys(answers)) {
      t.ok(gunzip(await ask(doors, door, { target, ...GZIP })) === some, `gzip ${door} ${target}`)
      const best = await ask(doors, door, { target, fields: [['accept-encoding', 'br']] })
      t.ok(brotliDecompressSync(bytes(best.body)).toString('latin1') === some, `br ${door} ${target}`)
    }
  }
  const long = randomBytes(1_500_000).toString('hex')
  const upstream = await startRawUpstream(async (each) => {
    await each.head()
    each.send(`HTTP/1.1 200 OK\r\n${JSON_TYPE}Connection: close\r\nContent-Length: ${long.length}\r\n\r\n${long}`)
  })
  t.teardown(() => upstream.close())
  const gateway = await runGateway(t, printFiltered({ compress: 'true' }), { endpoints: { web: [upstream.port] } })
  const plain = await new Promise<IncomingMessage>((resolve) =>
    get({ port: gateway.http, host: '127.0.0.1', headers: { host: HOST, 'accept-encoding': 'gzip' } }, resolve),
  )
  t.ok((await readSlowly(plain)) === long, 'HTTP/1.1')
  const session = connectH2(t, gateway.https, { tls: true })
  t.ok(
    (await readSlowly(session.request({ ':path': '/', ':authority': HOST, 'accept-encoding': 'gzip' }))) === long,
    'HTTP/2',
  )
})

async function readSlowly(body: AsyncIterable<Buffer>): Promise<string> {
  const read: Buffer[] = []
  for await (const chunk of body) {
    read.push(chunk)
    if (read.length % 8 === 0) await setTimeout(10)
  }
  return gunzipSync(Buffer.concat(read)).toString('latin1')
}
