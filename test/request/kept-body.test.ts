import { randomBytes } from 'node:crypto'
import t from 'tap'
import { KeptBody } from '../../lib/request/kept-body.ts'

t.test('what came is kept in order', async (t) => {
  const body = randomBytes(10_000)
  for (const size of [1, 7, 1000, 10_000]) {
    const kept = new KeptBody(size < 100 ? 0 : 60_000)
    for (let at = 0; at < body.length; at += size) {
      const lent = Buffer.from(body.subarray(at, at + size))
      kept.add(lent)
      lent.fill(0)
    }
    t.ok(kept.bytes.equals(body), `pieces of ${size}`)
    t.equal(kept.length, body.length)
    kept.add(Buffer.alloc(0))
    t.ok(kept.bytes.equals(body))
  }
})

t.test('very many small pieces take no more memory than one', async (t) => {
  const kept = new KeptBody(0)
  const piece = Buffer.from('x')
  for (let n = 0; n < 65_536; n++) kept.add(piece)
  t.equal(kept.bytes.length, 65_536)
  t.equal(kept.bytes.buffer.byteLength, 65_536)
})

t.test('a large one that comes in few pieces borrows its buffer, and gives it back', async (t) => {
  const body = randomBytes(65_536)
  for (const first of [40_000, 65_535, 65_536]) {
    const kept = new KeptBody(body.length)
    kept.add(body.subarray(0, first))
    kept.add(body.subarray(first))
    t.ok(kept.bytes.equals(body))
    const { buffer } = kept.bytes
    kept.drop()
    t.equal(kept.length, 0)
    const next = new KeptBody(body.length)
    next.add(body)
    t.equal(next.bytes.buffer, buffer, 'the next one has the same')
    next.add(Buffer.from('surplus'))
    t.equal(next.length, body.length + 7, 'what does not fit any more finds room')
  }
})
