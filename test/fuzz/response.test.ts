import t from 'tap'
import { ORDINARY_RESPONSES } from './ordinary.ts'
import { ResponseTarget, readAsUpstream } from './response-target.ts'
import { fuzz } from './target.ts'

/** A few seconds' worth. */
const COUNT = 3000

for (const [name, seed] of [
  ['a fixed seed', 1],
  ['a seed of today', Date.now() % 0x1_0000_0000],
] as const) {
  t.test(`what the upstream client takes for a whole response, llhttp does: ${name}`, async (t) => {
    t.comment(`seed ${seed}`)
    const { accepted, failure } = await fuzz(new ResponseTarget(), seed, (tried) => tried < COUNT)
    t.equal(failure, undefined)
    t.ok(accepted > COUNT / 4, `${accepted} of ${COUNT} inputs are accepted`)
  })
}

t.test('ordinary responses are all accepted', async (t) => {
  for (const text of ORDINARY_RESPONSES) {
    const reading = readAsUpstream('GET', [Buffer.from(text, 'latin1')], true)
    t.type(reading, 'object', text.slice(0, text.indexOf('\r\n')))
  }
})
