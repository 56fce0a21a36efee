import t from 'tap'
import { ORDINARY_REQUESTS } from './ordinary.ts'
import { Random } from './random.ts'
import { RequestTarget, readAsLane } from './request-target.ts'
import { SMUGGLING } from './smuggling.ts'
import { fuzz } from './target.ts'

/** A few seconds' worth. */
const COUNT = 20_000

for (const [name, seed] of [
  ['a fixed seed', 1],
  ['a seed of today', Date.now() % 0x1_0000_0000],
] as const) {
  t.test(`what the codec accepts of requests, llhttp reads the same: ${name}`, async (t) => {
    t.comment(`seed ${seed}`)
    const { accepted, failure } = await fuzz(new RequestTarget(), seed, (tried) => tried < COUNT)
    t.equal(failure, undefined)
    t.ok(accepted > COUNT / 5, `${accepted} of ${COUNT} inputs are accepted`)
  })
}

t.test('ordinary requests are all accepted, alone and one behind the other', async (t) => {
  const bytes = ORDINARY_REQUESTS.map((text) => Buffer.from(text, 'latin1'))
  for (const request of bytes) {
    const { messages, taken } = readAsLane([request])
    t.equal(messages.length, 1, request.toString('latin1', 0, request.indexOf('\r\n')))
    t.equal(taken, request.length)
  }
  const kept = bytes.filter((request) => !request.includes('Connection: close'))
  t.equal(readAsLane([Buffer.concat(kept)]).messages.length, kept.length)
})

t.test('the beginning of an accepted head is never declined', async (t) => {
  for (const text of ORDINARY_REQUESTS) {
    const bytes = Buffer.from(text, 'latin1')
    for (let length = 0; length < bytes.length; length++) {
      const { end, messages } = readAsLane([bytes.subarray(0, length)])
      if (end !== 'partial' || messages.length > 0) t.fail(`${length} bytes of ${text.slice(0, 40)}: ${end}`)
    }
  }
  t.pass('each waits for more')
})

t.test('no known way to smuggle hides a request from the codec, or shows it one', async (t) => {
  for (const [name, text] of SMUGGLING) {
    const failure = await new RequestTarget().check(Buffer.from(text, 'latin1'), new Random(1))
    t.equal(failure, undefined, name)
  }
})
