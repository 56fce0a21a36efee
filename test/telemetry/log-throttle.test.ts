/** One line for each key and minute, with a bounded table. */
import t from 'tap'
import { LogThrottle } from '../../lib/telemetry/log-throttle.ts'

t.test('a key is admitted once a minute', async (t) => {
  let now = 0
  const throttle = new LogThrottle({ now: () => 0, monotonic: () => now })
  t.same([throttle.admit('a'), throttle.admit('a'), throttle.admit('b')], [true, false, true])
  now = 59_999
  t.equal(throttle.admit('a'), false)
  now = 60_000
  t.same([throttle.admit('a'), throttle.admit('a')], [true, false])
})

t.test('OV-11 a flood of new keys is cut', async (t) => {
  const throttle = new LogThrottle({ now: () => 0, monotonic: () => 0 })
  let admitted = 0
  for (let index = 0; index < 5000; index++) if (throttle.admit(`name-${index}`)) admitted++
  t.equal(admitted, 1024)
})
