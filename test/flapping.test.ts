/** Endpoints that die and come back under load cost no request; a longer run is in test/external. */
import t from 'tap'
import { checkFlapping, runFlapping } from './helpers/flapping.ts'

t.test('three endpoints are killed in turn under steady load: no GET fails, and the load is even again', async (t) => {
  checkFlapping(t, await runFlapping(t, { durationMs: 9_000, everyMs: 3_000, rate: 100, workers: 1 }))
})
