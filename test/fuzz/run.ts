/** `npm run fuzz -- --seconds=600 --seed=7 --target=requests`: the fuzz targets, one after the other, for as long as is asked. */
import { parseArgs } from 'node:util'
import { RequestTarget } from './request-target.ts'
import { ResponseTarget } from './response-target.ts'
import { fuzz, type Target } from './target.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 0x1_0000_0000) },
    target: { type: 'string', default: '' },
  },
})
const seed = Number(values.seed)
const targets: readonly Target[] = [new RequestTarget(), new ResponseTarget()]
const chosen = targets.filter(({ name }) => name.startsWith(values.target))
if (chosen.length === 0) throw new Error(`no target is called ${values.target}`)
for (const target of chosen) {
  const until = Date.now() + (Number(values.seconds) * 1000) / chosen.length
  const { tried, accepted, failure } = await fuzz(target, seed, () => Date.now() < until)
  console.log(`${target.name}: ${tried} inputs, ${accepted} accepted, seed ${seed}`)
  if (failure === undefined) continue
  console.error(failure)
  process.exitCode = 1
}
