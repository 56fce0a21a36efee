/** Bodies that are compressed in the thread that serves requests. */
import { randomBytes } from 'node:crypto'
import { brotliDecompressSync, constants, createBrotliCompress, createGzip, gunzipSync } from 'node:zlib'
import t from 'tap'
import { type CoderOptions, ZlibCoders } from '../../lib/filters/zlib-coder.ts'
import { ZlibEngine, type ZlibStream } from '../../lib/platform/zlib-engine.ts'

const GZIP: CoderOptions = {
  createStream: () => createGzip({ level: 1 }),
  operations: { work: constants.Z_NO_FLUSH, flush: constants.Z_SYNC_FLUSH, end: constants.Z_FINISH },
  isReset: true,
}
const BROTLI: CoderOptions = {
  createStream: () => createBrotliCompress({ params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }),
  operations: {
    work: constants.BROTLI_OPERATION_PROCESS,
    flush: constants.BROTLI_OPERATION_FLUSH,
    end: constants.BROTLI_OPERATION_FINISH,
  },
  isReset: false,
}
const KINDS = [
  ['gzip', GZIP, gunzipSync],
  ['br', BROTLI, brotliDecompressSync],
] as const

/** What one coder gives for the chunks, of which the last is known to be the last where `isKnown`. */
function code(coders: ZlibCoders, chunks: readonly Buffer[], isKnown: boolean, flushes: boolean = false): Buffer {
  const given: Buffer[] = []
  const give = (lent: Buffer) => given.push(Buffer.from(lent))
  let closed = 0
  const coder = coders.open(() => closed++)
  const rest = isKnown ? chunks.slice(0, -1) : chunks
  for (const chunk of rest) {
    coder.write(chunk, give)
    if (flushes) coder.flush(give)
  }
  coder.end(isKnown ? chunks.at(-1) : undefined, give)
  coder.close()
  t.equal(closed, 1)
  return Buffer.concat(given)
}

for (const [name, options, decode] of KINDS) {
  t.test(`${name}: what comes out is what went in, whatever its pieces, one body after another`, async (t) => {
    const coders = ZlibCoders.create(options)!
    const bodies = [
      [Buffer.from('short')],
      [Buffer.alloc(0)],
      [randomBytes(70_000)],
      [Buffer.alloc(5_000_000, 'ab')],
      Array.from({ length: 50 }, (_, at) => randomBytes(1 + at * 97)),
      Array.from({ length: 30 }, () => Buffer.from('the same sentence again and again '.repeat(300))),
    ]
    for (const [at, chunks] of bodies.entries()) {
      for (const isKnown of [true, false]) {
        for (const flushes of [true, false]) {
          t.ok(decode(code(coders, chunks, isKnown, flushes)).equals(Buffer.concat(chunks)), `body ${at}`)
        }
      }
    }
  })

  t.test(`${name}: bodies at once have engines of their own, and a flush gives all that came`, async (t) => {
    const coders = ZlibCoders.create(options)!
    const open = Array.from({ length: 40 }, (_, at) => {
      const given: Buffer[] = []
      return {
        coder: coders.open(() => {}),
        given,
        give: (lent: Buffer) => given.push(Buffer.from(lent)),
        text: `body ${at} `,
      }
    })
    for (let round = 0; round < 5; round++)
      for (const { coder, give, text } of open) coder.write(Buffer.from(text), give)
    for (const { coder, give } of open) coder.flush(give)
    for (const { given } of open) t.ok(Buffer.concat(given).length > 5)
    for (const { coder, give, given, text } of open) {
      coder.end(undefined, give)
      coder.close()
      t.equal(String(decode(Buffer.concat(given))), text.repeat(5))
    }
    t.equal(String(decode(code(coders, [Buffer.from('after')], true))), 'after')
  })
}

for (const [name, options] of KINDS) {
  t.test(`${name}: each body is compressed at the level of the first`, async (t) => {
    const coders = ZlibCoders.create(options)!
    const body = Buffer.from(randomBytes(50_000).toString('hex'))
    const first = code(coders, [body], true)
    for (let round = 0; round < 3; round++) t.ok(code(coders, [body], true).equals(first))
  })
}

t.test('an engine that was left in the midst begins anew', async (t) => {
  const coders = ZlibCoders.create(GZIP)!
  const coder = coders.open(() => {})
  coder.write(randomBytes(1_000), () => {})
  coder.close()
  t.equal(String(gunzipSync(code(coders, [Buffer.from('clean')], true))), 'clean')
})

t.test('a Node whose streams are made of something else has none', async (t) => {
  for (const insides of [
    {},
    { _handle: null },
    { _handle: {}, _writeState: new Uint32Array(2) },
    { _handle: { writeSync() {} } },
  ]) {
    let closed = 0
    const stream = { ...insides, close: () => closed++ } as unknown as ZlibStream
    t.equal(ZlibEngine.open(stream), undefined)
    t.equal(closed, 1)
  }
})
