import { buffer } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import zlib, { brotliCompressSync, constants, deflateSync, type Gzip, gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { ZSTD } from '../../lib/filters/zstd.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { startRawUpstream } from '../helpers/raw-upstream.ts'
import { runGateway } from '../helpers/running-gateway.ts'
import { ask, HOST, printFiltered, startFiltered, translateFiltered } from './filtered.ts'

const TEXT = 'Portico decompresses this sentence. '.repeat(50)
/** The types of Node 20 do not know it. */
const { zstdCompressSync, createZstdCompress } = zlib as unknown as {
  zstdCompressSync?: (bytes: Buffer | string, options?: object) => Buffer
  createZstdCompress?: (options: object) => Gzip
}
const ZSTD_CONSTANTS = constants as unknown as Readonly<Record<string, number>>
const CODINGS = {
  gzip: gzipSync,
  'x-gzip': gzipSync,
  deflate: deflateSync,
  br: brotliCompressSync,
  ...(ZSTD?.isStrict() && { zstd: zstdCompressSync! }),
} as const
const WITH_ZSTD = { skip: !ZSTD?.isStrict() && 'this Node has no zstd, or takes what was cut off for whole' } as const

const latin1 = (bytes: Buffer): string => bytes.toString('latin1')
const post = (coding: string, body: string) =>
  ({ method: 'POST', fields: [['content-encoding', coding]], body }) as const

t.test('an endpoint gets the body as it was before, at every door', async (t) => {
  const doors = await startFiltered(t, { decompress: 'true' })
  for (const door of doors.names) {
    for (const [coding, compress] of Object.entries(CODINGS)) {
      const body = latin1(compress(TEXT))
      const { status, upstream } = await ask(doors, door, {
        ...post(coding, body),
        trailers: [
          ['x-sum', '7'],
          ['content-digest', 'sha-256=:AAAA:'],
        ],
      })
      t.equal(status, 200, `${coding}, ${door}`)
      t.same(upstream, ['POST /a HTTP/1.1', TEXT, 'x-sum: 7'])
    }
    const whole = latin1(gzipSync(TEXT))
    for (const [coding, fields] of [
      [ZSTD?.isStrict() ? 'compress' : 'zstd', []],
      ['gzip, br', []],
      ['identity', []],
      ['gzip', [['content-digest', 'sha-256=:AAAA:']]],
      ['gzip', [['cache-control', 'no-transform']]],
    ] as const) {
      const request = { ...post(coding, whole), fields: [...post(coding, whole).fields, ...fields] }
      const { status, upstream } = await ask(doors, door, request)
      t.equal(status, 200)
      t.same(upstream.slice(1, 2), [`content-encoding: ${coding}`], `${coding} goes on as it is, ${door}`)
      t.equal(upstream.at(-1), whole)
    }
    const none = await ask(doors, door, { fields: [['content-encoding', 'gzip']] })
    t.same(none.upstream, ['GET /a HTTP/1.1', 'content-encoding: gzip'], 'there is no body')
    const plain = await ask(doors, door, { method: 'POST', body: 'abc' })
    t.equal(plain.upstream.at(-1), 'abc')
    const other = await ask(doors, door, { ...post('gzip', whole), host: 'gw.test' })
    t.equal(other.upstream.at(-1), whole, 'other routes are left alone')
  }
})

t.test('a body that is none is refused', async (t) => {
  const doors = await startFiltered(t, { decompress: 'true' })
  const whole = gzipSync(TEXT)
  const damaged = Buffer.from(whole)
  damaged[whole.length - 6]! ^= 1
  const bodies = {
    'no gzip': 'abc',
    cut: latin1(whole.subarray(0, -4)),
    'a wrong checksum': latin1(damaged),
    'more behind it': `${latin1(whole)}abc`,
  }
  for (const door of doors.names) {
    for (const [name, body] of Object.entries(bodies)) {
      const { status, body: text, upstream } = await ask(doors, door, post('gzip', body))
      t.equal(status, 400, `${name}, ${door}`)
      t.match(text, /"code":"PORTICO_REQ_BAD_CODING"/)
      t.same(upstream, [], 'no endpoint gets a whole request')
    }
    for (const [coding, compress] of Object.entries(CODINGS)) {
      // Zero bytes behind it are passed over by gzip itself.
      const answer = await ask(doors, door, post(coding, `${latin1(compress(TEXT))}\0\0`))
      t.equal(answer.status, 400, `more behind ${coding}, ${door}`)
    }
    t.equal((await ask(doors, door, post('deflate', 'abc'))).status, 400)
    t.equal((await ask(doors, door, post('br', 'abc\u00ff'))).status, 400)
  }
})

t.test('a body of zstd that is none is refused, and so is one with a window beyond 8 MiB', WITH_ZSTD, async (t) => {
  const compress = (text: string): Buffer =>
    zstdCompressSync!(text, { params: { [ZSTD_CONSTANTS.ZSTD_c_checksumFlag!]: 1 } })
  /** An encoder that knows how much is to come takes a smaller window. */
  const compressBlindly = (text: string, window: number): Promise<Buffer> => {
    const engine = createZstdCompress!({ params: { [ZSTD_CONSTANTS.ZSTD_c_windowLog!]: window } })
    engine.write(text)
    engine.flush(ZSTD_CONSTANTS.ZSTD_e_flush!, () => engine.end())
    return buffer(engine)
  }
  const doors = await startFiltered(t, { decompress: 'true' })
  const whole = compress(TEXT)
  const damaged = Buffer.from(whole)
  damaged[whole.length - 1]! ^= 1
  const bodies = {
    'no zstd': 'abcdefgh',
    empty: '\0',
    'its first byte': latin1(whole.subarray(0, 1)),
    'cut in its head': latin1(whole.subarray(0, 5)),
    'cut in a block': latin1(whole.subarray(0, whole.length >> 1)),
    'cut in its checksum': latin1(whole.subarray(0, -2)),
    'without its checksum': latin1(whole.subarray(0, -4)),
    'a wrong checksum': latin1(damaged),
    'more behind it': `${latin1(whole)}abcd`,
    'half a frame behind it': latin1(Buffer.concat([whole, whole.subarray(0, 20)])),
    'a second frame with a window of 16 MiB': latin1(Buffer.concat([whole, await compressBlindly(TEXT, 24)])),
    'a window of 16 MiB': latin1(await compressBlindly(TEXT, 24)),
    'a window of 128 MiB': latin1(await compressBlindly(TEXT, 27)),
  }
  for (const door of doors.names) {
    for (const [name, body] of Object.entries(bodies)) {
      const { status, body: text, upstream } = await ask(doors, door, post('zstd', body))
      t.equal(status, 400, `${name}, ${door}`)
      t.match(text, /"code":"PORTICO_REQ_BAD_CODING"/, name)
      t.same(upstream, [], 'no endpoint gets a whole request')
    }
    const largest = await ask(doors, door, post('zstd', latin1(await compressBlindly(TEXT, 23))))
    t.same([largest.status, largest.upstream.at(-1)], [200, TEXT], 'a window of 8 MiB')
    // RFC 8878 §3.1 lets frames follow each other. Newer Nodes decode all, older ones the first alone, which is refused.
    const two = await ask(doors, door, post('zstd', latin1(Buffer.concat([whole, whole]))))
    if (two.status === 200) t.equal(two.upstream.at(-1), TEXT + TEXT, 'both frames')
    else t.same([two.status, two.upstream], [400, []], 'not the first alone')
  }
})

t.test('a bomb of zstd is stopped at the limit', WITH_ZSTD, async (t) => {
  const doors = await startFiltered(t, { decompress: 'true', 'decompress-limit': '100k' })
  const bomb = latin1(zstdCompressSync!(Buffer.alloc(64 * 1024 ** 2)))
  t.ok(bomb.length < 10_000, `${bomb.length} bytes`)
  for (const door of doors.names) {
    for (const [body, status] of [
      [latin1(zstdCompressSync!('a'.repeat(100_000))), 200],
      [latin1(zstdCompressSync!('a'.repeat(100_001))), 413],
      [bomb, 413],
    ] as const) {
      t.equal((await ask(doors, door, post('zstd', body))).status, status, door)
    }
  }
})

t.test('a body may become as large as the limit, and a bomb is stopped early', async (t) => {
  const doors = await startFiltered(t, { decompress: 'true', 'decompress-limit': '100k' })
  for (const door of doors.names) {
    for (const [size, status] of [
      [100_000, 200],
      [100_001, 413],
    ] as const) {
      const answer = await ask(doors, door, post('gzip', latin1(gzipSync('a'.repeat(size)))))
      t.equal(answer.status, status, `${size}, ${door}`)
      if (status === 413) t.match(answer.body, /"code":"PORTICO_REQ_TOO_LARGE"/)
    }
  }
})

t.test('of a bomb no more comes out than is needed to see what it is', async (t) => {
  const upstream = await startRawUpstream(() => {})
  t.teardown(() => upstream.close())
  const manifests = printFiltered({ decompress: 'true', 'decompress-limit': '1Mi' })
  const bomb = gzipSync(Buffer.alloc(300 * 1024 ** 2))
  for (const workers of ['0', '1']) {
    const gateway = await runGateway(t, manifests, { endpoints: { web: [upstream.port] }, flags: { workers } })
    const client = await connectRaw(gateway.http)
    const begun = process.hrtime.bigint()
    client.send(`POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Encoding: gzip\r\nContent-Length: ${bomb.length}\r\n\r\n`)
    client.send(bomb)
    t.equal((await client.response()).status, 413)
    const ms = Number(process.hrtime.bigint() - begun) / 1e6
    t.ok(ms < 2000, `${ms} ms`)
    client.destroy()
  }
  for (const connection of upstream.connections) {
    await connection.ended()
    t.ok(connection.received.length < 1.5 * 1024 ** 2, `${connection.received.length} bytes`)
    t.notOk(connection.text.endsWith('\r\n0\r\n\r\n'), 'the endpoint sees that it is cut')
  }
})

const compressBrotli = (window: number): Buffer =>
  brotliCompressSync(Buffer.alloc(15 * 1024 ** 2, 'a'), {
    params: { [constants.BROTLI_PARAM_LGWIN]: window, [constants.BROTLI_PARAM_QUALITY]: 5 },
  })

t.test('a body of brotli with a window beyond 4 MiB is refused', async (t) => {
  const doors = await startFiltered(t, { decompress: 'true' })
  for (const window of [23, 24]) {
    const answer = await ask(doors, 'lane', post('br', latin1(compressBrotli(window))))
    t.equal(answer.status, 400)
    t.match(answer.body, /PORTICO_REQ_BAD_CODING/, `a window of 2^${window}`)
  }
})

/** Of 20 bodies of a client that are under way at once `refused` are refused, and after four clients all are. */
async function fillMemory(t: Test, coding: string, body: Buffer, refused: number): Promise<void> {
  // The endpoint keeps nothing: what it has read is no memory of a decoder.
  const upstream = await startRawUpstream(({ socket }) => void socket.removeAllListeners('data').resume())
  t.teardown(() => upstream.close())
  const manifests = printFiltered({ decompress: 'true' })
  const gateway = await runGateway(t, manifests, {
    endpoints: { web: [upstream.port] },
    flags: { workers: '0', trustedProxies: '127.0.0.0/8' },
  })
  /** Sends all of a body but its end. */
  const begin = async (client: string) => {
    const connection = await connectRaw(gateway.http)
    t.teardown(() => connection.destroy())
    connection.send(
      `POST / HTTP/1.1\r\nHost: ${HOST}\r\nX-Forwarded-For: ${client}\r\nContent-Encoding: ${coding}\r\nContent-Length: 100000\r\n\r\n`,
    )
    connection.send(body.subarray(0, -1))
    return connection
  }
  /** Has 20 bodies under way: the codes of those that are refused, once they are as many as expected. */
  const fill = async (client: string, expected: number): Promise<ReadonlySet<string>> => {
    const codes: string[] = []
    for (let count = 0; count < 20; count++) {
      const connection = await begin(client)
      void connection.response().then(
        (answer) => codes.push(/PORTICO_\w+/.exec(answer.body.toString('latin1'))?.[0] ?? String(answer.status)),
        () => {},
      )
    }
    for (let waits = 0; waits < 100 && codes.length < expected; waits++) await setTimeout(100)
    await setTimeout(200)
    t.equal(codes.length, expected, client)
    return new Set(codes)
  }
  const before = process.memoryUsage().rss
  for (const last of [1, 2, 3, 4]) t.same([...(await fill(`203.0.113.${last}`, refused))], ['PORTICO_REQ_TOO_MANY'])
  t.same([...(await fill('203.0.113.5', 20))], ['PORTICO_GW_OVERLOADED'])
  const grown = process.memoryUsage().rss - before
  t.ok(grown < 400 * 1024 ** 2, `${grown} bytes`)
}

t.test('decoders of brotli take little memory, of one client and together', (t) =>
  fillMemory(t, 'br', compressBrotli(22), 4),
)

t.test('decoders of zstd take little memory, of one client and together', WITH_ZSTD, (t) => {
  // Of the largest window there is, and more than fills it.
  const params = { [ZSTD_CONSTANTS.ZSTD_c_windowLog!]: 23 }
  return fillMemory(t, 'zstd', zstdCompressSync!(Buffer.alloc(15 * 1024 ** 2, 'a'), { params }), 12)
})

t.test('it is off unless it says "true", and tells what it cannot use', async (t) => {
  const cases: readonly (readonly [annotations: object, options: object | undefined, message?: RegExp])[] = [
    [{ decompress: 'true' }, { limit: 16 * 1024 ** 2 }],
    [{ decompress: 'true', 'decompress-limit': '1Gi' }, { limit: 1024 ** 3 }],
    [{ decompress: 'false', 'decompress-limit': '1Mi' }, undefined],
    [{ 'decompress-limit': '1Mi' }, undefined, /it says nothing without decompress$/],
    [{ decompress: 'gzip' }, undefined, /decompress: "gzip" is neither "true" nor "false"$/],
    [{ decompress: 'true', 'decompress-limit': '0' }, undefined, /"0" is no size from 1 byte to 16Gi$/],
    [{ decompress: 'true', 'decompress-limit': '17Gi' }, undefined, /"17Gi" is no size/],
    [{ decompress: 'true', 'decompress-limit': '1.5' }, undefined, /"1.5" is no size/],
  ]
  for (const [annotations, options, message] of cases) {
    const { route, diagnostics } = translateFiltered(annotations)
    const label = JSON.stringify(annotations)
    t.same(route?.filters?.[0]?.options, options, label)
    if (message === undefined) t.same(diagnostics, [], label)
    else t.match(diagnostics, [{ code: 'PORTICO_ANN_VALUE', message }], label)
  }
})
