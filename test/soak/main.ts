/** `npm run soak -- --minutes=10 --seed=7`: exits with 1 where something did not stay flat. */
import { parseArgs } from 'node:util'
import { soak } from './soak.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Date.now() % 0x1_0000_0000) },
  },
})
console.log(`${values.minutes} minutes, seed ${values.seed}, Node ${process.version}`)
const { attacks, reloads, failures, wrong } = await soak({
  seconds: Number(values.minutes) * 60,
  seed: Number(values.seed),
  every: 30,
  onLine: (line) => console.log(line),
})
console.log(`${attacks} connections of attackers, ${reloads} reloads`)
for (const failure of failures) console.log(`failed: ${failure}`)
console.log(wrong.length === 0 ? 'flat' : `not flat:\n${wrong.map((line) => `  ${line}`).join('\n')}`)
process.exitCode = wrong.length === 0 ? 0 : 1
