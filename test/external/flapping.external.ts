/** A minute of steady load while endpoints are killed and started again every five seconds. */
import t from 'tap'
import { checkFlapping, runFlapping } from '../helpers/flapping.ts'

for (const workers of [1, 2]) {
  t.test(
    `60 s with an endpoint killed every 5 s, workers: ${workers}: no GET fails, and the load is even again`,
    async (t) => {
      checkFlapping(t, await runFlapping(t, { durationMs: 60_000, everyMs: 5_000, rate: 300, workers }))
    },
  )
}
