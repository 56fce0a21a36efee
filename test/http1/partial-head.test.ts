import t from 'tap'
import { PartialHead } from '../../lib/http1/partial-head.ts'

const head = Buffer.from(`HTTP/1.1 200 OK\r\n${'X-A: value\r\n'.repeat(100)}\r\n`)

t.test('pieces are joined in order, and handed out with the one that ends the head', async (t) => {
  for (const size of [1, 2, 3, 7, 500, head.length - 1]) {
    const partial = new PartialHead(head.subarray(0, size))
    let last: Buffer | undefined
    for (let at = size; at < head.length; at += size) last = partial.add(head.subarray(at, at + size))
    t.ok(last?.equals(head), `by ${size}`)
  }
})

t.test('they are handed out early only when they have doubled, so that many small ones cost little', async (t) => {
  const partial = new PartialHead(head.subarray(0, 1))
  const lengths: number[] = []
  for (let at = 1; at < head.length; at++) {
    const bytes = partial.add(head.subarray(at, at + 1))
    if (bytes) lengths.push(bytes.length)
  }
  t.same(lengths, [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, head.length])
})

t.test('an empty line that lies across pieces is seen', async (t) => {
  for (let cut = 1; cut < 4; cut++) {
    const partial = new PartialHead(head.subarray(0, head.length - cut))
    t.ok(partial.add(head.subarray(-cut))?.equals(head), `${cut} bytes later`)
  }
})
