import fc from 'fast-check'
import t from 'tap'
import { readName, reverseName } from '../../lib/dns/name.ts'
import { type ReadQuery, readQuery } from '../../lib/dns/query.ts'
import { plainResponse, writeResponse } from '../../lib/dns/response.ts'
import { encodeName, makeOpt, makeQuery, readHeader } from './client.ts'

const A = 1

function codeOf(message: Buffer): number | undefined | 'nothing' {
  const read = readQuery(message)
  return read === undefined ? 'nothing' : read.code
}

/** A question with the counts of its other sections, and what stands in them. */
function withRecords(counts: readonly [number, number, number], ...records: readonly Buffer[]): Buffer {
  const query = Buffer.concat([makeQuery('web.test', A), ...records])
  for (const [index, count] of counts.entries()) query.writeUInt16BE(count, 6 + index * 2)
  return query
}

t.test('a question is read with its name as text and its bytes as they came', async (t) => {
  const { query, code } = readQuery(makeQuery('WeB.Test', 28, { id: 7, payload: 1400 })) as ReadQuery
  t.equal(code, undefined)
  t.match(query, { id: 7, opcode: 0, recursionDesired: true, edns: { payload: 1400, dnssecOk: false } })
  t.match(query.question, { name: 'web.test', type: 28 })
  t.equal(query.question?.bytes.toString('latin1', 1, 4), 'WeB')
})

t.test('a message that is no query gets no answer', async (t) => {
  t.equal(codeOf(Buffer.alloc(0)), 'nothing')
  t.equal(codeOf(Buffer.alloc(11)), 'nothing')
  t.equal(
    codeOf(makeQuery('web.test', A, { flags: 0x8100 })),
    'nothing',
    'an answer to an answer could go round for ever',
  )
})

t.test('a malformed query is answered with FORMERR', async (t) => {
  const good = makeQuery('web.test', A)
  for (let length = 12; length < good.length; length++) t.equal(codeOf(good.subarray(0, length)), 1, `cut at ${length}`)
  t.equal(codeOf(Buffer.concat([good, Buffer.from([0])])), 1, 'bytes behind the question')
  for (const count of [0, 2]) {
    const other = Buffer.from(good)
    other.writeUInt16BE(count, 4)
    t.equal(codeOf(other), 1, `${count} questions`)
  }
  const pointer = Buffer.from(good)
  pointer[12] = 0xc0
  t.equal(codeOf(pointer), 1, 'a pointer in the question')
  pointer[12] = 0x40
  t.equal(codeOf(pointer), 1, 'a label of no known form')
  const long = Buffer.concat([
    good.subarray(0, 12),
    encodeName(Array(64).fill('abc').join('.')),
    Buffer.from([0, 1, 0, 1]),
  ])
  t.equal(codeOf(long), 1, 'a name of 257 bytes')
  t.equal(codeOf(makeQuery(`${Array(63).fill('abc').join('.')}.a`, A)), undefined, 'a name of 255 bytes is whole')
  t.equal(codeOf(makeQuery('web.test', 41)), 1, 'a question for OPT')
  t.equal(codeOf(makeQuery('web.test', 0)), 1)
})

t.test('OPT stands once, among the additional records, at the root', async (t) => {
  t.equal(codeOf(withRecords([0, 0, 1], makeOpt(1232))), undefined)
  t.equal(codeOf(withRecords([0, 0, 2], makeOpt(1232), makeOpt(1232))), 1)
  t.equal(codeOf(withRecords([1, 0, 0], makeOpt(1232))), 1)
  t.equal(codeOf(withRecords([0, 0, 1], Buffer.from([1, 0x61]), makeOpt(1232))), 1)
  t.equal(codeOf(withRecords([0, 0, 1], makeOpt(1232, 1))), 16, 'BADVERS')
  t.equal(codeOf(withRecords([0, 0, 1])), 1, 'a record that is not there')
  t.equal(codeOf(withRecords([0, 0, 0xffff], makeOpt(1232))), 1)
})

t.test("operations, classes and types that are nobody's business", async (t) => {
  t.equal(codeOf(makeQuery('web.test', A, { flags: 0x2800 })), 4, 'UPDATE')
  t.equal(codeOf(makeQuery('web.test', A, { questionClass: 3 })), 4, 'CHAOS')
  t.equal(codeOf(makeQuery('web.test', A, { questionClass: 255 })), 4)
  for (const type of [251, 252]) t.equal(codeOf(makeQuery('web.test', type)), 5, 'a transfer')
  for (const type of [249, 250, 253, 254]) t.equal(codeOf(makeQuery('web.test', type)), 4)
})

t.test('names with pointers end, whatever the bytes', async (t) => {
  const message = Buffer.concat([encodeName('a.test'), Buffer.from([1, 0x62, 0xc0, 0]), Buffer.from([0xc0, 12])])
  t.same(readName(message, 8, true), { name: 'b.a.test', end: 12 })
  t.throws(() => readName(message, 12, true), /does not lead back/)
  const chain = Buffer.alloc(1000)
  for (let at = 2; at < 1000; at += 2) chain.writeUInt16BE(0xc000 | (at - 2), at)
  t.throws(() => readName(chain, 998, true), /does not lead back/, 'a long chain')
  t.same(readName(chain, 100, true), { name: '', end: 102 })
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), fc.nat(600), (bytes, start) => {
      try {
        const { name, end } = readName(Buffer.from(bytes), start, true)
        return end > start && end <= bytes.length && Buffer.byteLength(name) < 1024
      } catch (error) {
        return (error as Error).constructor.name === 'FormatError'
      }
    }),
    { numRuns: 3000 },
  )
})

t.test('addresses in reverse', async (t) => {
  t.equal(reverseName('10.1.2.3'), '3.2.1.10.in-addr.arpa')
  t.equal(reverseName('2001:db8::1'), `1.${'0.'.repeat(23)}8.b.d.0.1.0.0.2.ip6.arpa`)
})

t.test('any bytes are read without a throw, and answered with a header that fits', async () => {
  const near = fc
    .tuple(
      fc.constantFrom(makeQuery('web.default.svc.cluster.local', A, { payload: 1232 }), makeQuery('', 255)),
      fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 6 }),
      fc.nat(60),
    )
    .map(([query, changes, cut]) => {
      const bytes = Buffer.from(query)
      for (const [at, value] of changes) bytes[at % bytes.length] = value
      return bytes.subarray(0, bytes.length - (cut % 3 === 0 ? cut % bytes.length : 0))
    })
  const any = fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes))
  fc.assert(
    fc.property(fc.oneof(near, any), (bytes) => {
      const read = readQuery(bytes)
      if (read === undefined) return true
      const answer = writeResponse(read.query, plainResponse(read.code ?? 5, false), 512)
      const header = readHeader(answer)
      return header.isAnswer && header.id === bytes.readUInt16BE(0) && answer.length <= bytes.length + 11
    }),
    { numRuns: 5000 },
  )
})
