import { randomBytes } from 'node:crypto'
import t from 'tap'
import { KeptBody } from '../../lib/proxy/kept-body.ts'

t.test('what came is kept in order, up to the limit and not a byte beyond', async (t) => {
  const body = randomBytes(10_000)
  for (const size of [1, 7, 1000, 10_000]) {
    const kept = new KeptBody(10_000)
    for (let at = 0; at < body.length; at += size) {
      const lent = Buffer.from(body.subarray(at, at + size))
      t.equal(kept.add(lent), true)
      lent.fill(0)
    }
    t.ok(kept.bytes.equals(body), `pieces of ${size}`)
    t.equal(kept.add(Buffer.alloc(0)), true)
    t.equal(kept.add(Buffer.alloc(1)), false)
    t.ok(kept.bytes.equals(body))
  }
})

t.test('very many small pieces take no more memory than one', async (t) => {
  const kept = new KeptBody(65_536)
  const piece = Buffer.from('x')
  for (let n = 0; n < 65_536; n++) if (!kept.add(piece)) t.fail(`piece ${n}`)
  t.equal(kept.bytes.length, 65_536)
  t.equal(kept.bytes.buffer.byteLength, 65_536)
})
