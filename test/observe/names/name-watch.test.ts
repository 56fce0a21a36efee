import t, { type Test } from 'tap'
import { MAX_ADDRESSES, type NameTimes, NameWatch } from '../../../lib/observe/names/name-watch.ts'
import type { Resolution } from '../../../lib/observe/names/resolver.ts'
import { createMemoryLog, type MemoryLog } from '../../helpers/memory-log.ts'
import { until } from '../../helpers/until.ts'

// What the watch waits for holds no process.
const hold = setInterval(() => {}, 1_000)
t.teardown(() => clearInterval(hold))

const TIMES: NameTimes = { minTtl: 20, maxTtl: 60_000, firstRetry: 10, maxRetry: 40, look: 60_000 }

type Answer = Resolution | Error

const found = (addresses: readonly string[], ttlSeconds = 0): Resolution => ({ addresses, ttlSeconds })

/** Names are answered as `answers` has them at the time; `asked` counts. */
function startWatch(t: Test, answers: Map<string, Answer>, times: Partial<NameTimes> = {}) {
  const log: MemoryLog = createMemoryLog()
  const asked: string[] = []
  let changes = 0
  let waiting: (() => void)[] = []
  const watch = new NameWatch({
    resolve: async (name) => {
      asked.push(name)
      const woken = waiting
      waiting = []
      setImmediate(() => {
        for (const wake of woken) wake()
      })
      const answer = answers.get(name) ?? new Error('NXDOMAIN')
      if (answer instanceof Error) throw answer
      return answer
    },
    hasChanged: async () => false,
    log,
    onChange: () => {
      changes++
    },
    times: { ...TIMES, ...times },
  })
  t.teardown(() => watch.close())
  /** Until it was asked for so many times, with the last answer taken. */
  const untilAsked = async (name: string, count: number) => {
    while (asked.filter((each) => each === name).length < count) {
      await new Promise<void>((resolve) => waiting.push(resolve))
    }
  }
  return { watch, log, asked, untilAsked, changes: () => changes }
}

t.test('a name is asked for again when its TTL has passed, between the bounds', async (t) => {
  const answers = new Map<string, Answer>([['a.test', found(['10.0.0.1'], 0)]])
  const { watch, untilAsked, changes } = startWatch(t, answers)
  const startedAt = performance.now()
  watch.retain(new Set(['a.test']))
  await watch.settle(5_000)
  const first = watch.get('a.test')
  t.same(first, { addresses: ['10.0.0.1'], reason: '' })
  await untilAsked('a.test', 3)
  t.ok(performance.now() - startedAt > 2 * TIMES.minTtl - 5, 'a TTL of 0 is the least one')
  t.equal(watch.get('a.test'), first, 'the same answer is the same object')
  t.equal(changes(), 1)
})

t.test('a long TTL is kept', async (t) => {
  const answers = new Map<string, Answer>([
    ['long.test', found(['10.0.0.1'], 86_400)],
    ['short.test', found(['10.0.0.1'], 0)],
  ])
  const { watch, untilAsked, asked } = startWatch(t, answers)
  watch.retain(new Set(['long.test', 'short.test']))
  await untilAsked('short.test', 4)
  t.equal(asked.filter((name) => name === 'long.test').length, 1)
  const { watch: bounded, untilAsked: untilAskedAgain } = startWatch(t, answers, { maxTtl: 30 })
  bounded.retain(new Set(['long.test']))
  await untilAskedAgain('long.test', 2)
  t.pass('no longer than the bound')
})

t.test('an answer in another order is the same; another one is told once', async (t) => {
  const answers = new Map<string, Answer>([['a.test', found(['::1', '10.0.0.2', '10.0.0.1'])]])
  const { watch, log, untilAsked, changes } = startWatch(t, answers)
  watch.retain(new Set(['a.test']))
  await watch.settle(5_000)
  t.same(watch.get('a.test').addresses, ['10.0.0.1', '10.0.0.2', '::1'], 'IPv4 first, sorted')
  answers.set('a.test', found(['10.0.0.1', '::1', '10.0.0.2', '10.0.0.1']))
  await untilAsked('a.test', 3)
  t.equal(changes(), 1)
  t.same(log.lines('info'), [])
  answers.set('a.test', found(['10.0.0.2', '10.0.0.3', '::1']))
  await untilAsked('a.test', 6)
  t.equal(changes(), 2)
  t.match(log.lines('info'), [
    { host: 'a.test', count: 3, added: ['10.0.0.3'], removed: ['10.0.0.1'], msg: 'a name leads to other addresses' },
  ])
  t.equal(log.lines('info').length, 1)
})

t.test('the last good answer stands while the name fails, which is told at its beginning and its end', async (t) => {
  const answers = new Map<string, Answer>([['a.test', found(['10.0.0.1'])]])
  const { watch, log, untilAsked, changes } = startWatch(t, answers)
  watch.retain(new Set(['a.test']))
  await watch.settle(5_000)
  const good = watch.get('a.test')
  answers.set('a.test', new Error('the DNS server failed (SERVFAIL)'))
  await untilAsked('a.test', 6)
  t.equal(watch.get('a.test'), good)
  t.match(log.lines('warn'), [{ host: 'a.test', reason: 'the DNS server failed (SERVFAIL)', kept: 1 }])
  t.equal(log.lines('warn').length, 1)
  answers.set('a.test', found(['10.0.0.1']))
  await untilAsked('a.test', 9)
  t.equal(watch.get('a.test'), good)
  t.match(log.lines('info'), [{ host: 'a.test', addresses: ['10.0.0.1'], msg: 'a name is resolved again' }])
  t.equal(log.lines('info').length, 1)
  t.equal(changes(), 1)
})

t.test('a name that never was resolved has a reason, and is tried again with growing pauses', async (t) => {
  const answers = new Map<string, Answer>()
  const { watch, log, untilAsked, changes } = startWatch(t, answers)
  watch.retain(new Set(['a.test']))
  t.match(watch.get('a.test'), { addresses: [], reason: 'it is still being looked up' })
  await watch.settle(5_000)
  const startedAt = performance.now()
  t.same(watch.get('a.test'), { addresses: [], reason: 'NXDOMAIN' })
  await untilAsked('a.test', 5)
  t.ok(performance.now() - startedAt > 10 + 20 + 40 + 40 - 8)
  t.equal(changes(), 1)
  answers.set('a.test', found(['10.0.0.1']))
  await untilAsked('a.test', 7)
  t.same(watch.get('a.test').addresses, ['10.0.0.1'])
  t.equal(changes(), 2)
  t.equal(log.lines('warn').length, 1)
})

t.test('a family that could not be asked for keeps its addresses', async (t) => {
  const answers = new Map<string, Answer>([['a.test', found(['10.0.0.1', '::1'])]])
  const { watch, untilAsked } = startWatch(t, answers)
  watch.retain(new Set(['a.test']))
  await watch.settle(5_000)
  answers.set('a.test', { addresses: ['10.0.0.2'], ttlSeconds: 0, missing: { family: 6, reason: 'SERVFAIL' } })
  await untilAsked('a.test', 3)
  t.same(watch.get('a.test'), { addresses: ['10.0.0.2', '::1'], reason: 'SERVFAIL' })
  t.equal(watch.whyStale('a.test', '::1'), 'SERVFAIL')
  t.equal(watch.whyStale('a.test', '10.0.0.2'), undefined)
  answers.set('a.test', found(['10.0.0.2']))
  await untilAsked('a.test', 5)
  t.same(watch.get('a.test').addresses, ['10.0.0.2'])
  t.equal(watch.whyStale('a.test', '10.0.0.2'), undefined)
})

t.test('what is known first is used; what comes late joins, and is no change where nothing is new', async (t) => {
  let finish = (_: Resolution) => {}
  let changes = 0
  const watch = new NameWatch({
    resolve: (_name, onFirst) => {
      onFirst({ ...found(['10.0.0.1']), missing: { family: 6, reason: 'pending' } })
      return new Promise((resolve) => {
        finish = resolve
      })
    },
    hasChanged: async () => false,
    log: createMemoryLog(),
    onChange: () => {
      changes++
    },
    times: TIMES,
  })
  t.teardown(() => watch.close())
  const take = async (resolution: Resolution) => {
    const taken = finish
    taken(resolution)
    await until(() => finish !== taken)
  }
  watch.retain(new Set(['a.test']))
  await watch.settle(5_000)
  t.same(watch.get('a.test'), { addresses: ['10.0.0.1'], reason: 'pending' })
  await take(found(['10.0.0.1', '::1']))
  const whole = watch.get('a.test')
  t.same(whole, { addresses: ['10.0.0.1', '::1'], reason: '' })
  await take(found(['10.0.0.1', '::1']))
  t.equal(watch.get('a.test'), whole, 'asked for again, it keeps the other family while that is late')
  t.equal(changes, 2)
})

t.test('names whose second family is late hold up no others, and so many are waited for', async (t) => {
  const names = Array.from({ length: 200 }, (_, n) => `n${n}.test`)
  let most = 0
  const watch = new NameWatch({
    resolve: (_name, onFirst) => {
      most++
      onFirst(found(['10.0.0.1']))
      return new Promise(() => {})
    },
    hasChanged: async () => false,
    log: createMemoryLog(),
    onChange: () => {},
    times: TIMES,
  })
  t.teardown(() => watch.close())
  watch.retain(new Set(names))
  await watch.settle(50)
  t.equal(most, 64 + 16)
})

t.test('an absurd number of addresses is bounded, with one warning', async (t) => {
  const addresses = Array.from({ length: 300 }, (_, n) => `10.0.${n >> 8}.${n & 255}`)
  const { watch, log, untilAsked } = startWatch(t, new Map([['a.test', found(addresses)]]))
  watch.retain(new Set(['a.test']))
  await untilAsked('a.test', 3)
  t.equal(watch.get('a.test').addresses.length, MAX_ADDRESSES)
  t.match(log.lines('warn'), [{ host: 'a.test', count: 300, used: 256 }])
  t.equal(log.lines('warn').length, 1)
})

t.test('so many are asked for at a time, and those that fail do not hold up the others', async (t) => {
  const names = Array.from({ length: 60 }, (_, n) => `n${n}.test`)
  const pending = new Map<string, (answer: Answer) => void>()
  let most = 0
  let waiting = () => {}
  const watch = new NameWatch({
    resolve: (name) =>
      new Promise((resolve, reject) => {
        pending.set(name, (answer) => {
          pending.delete(name)
          if (answer instanceof Error) reject(answer)
          else resolve(answer)
        })
        most = Math.max(most, pending.size)
        waiting()
      }),
    hasChanged: async () => false,
    log: createMemoryLog(),
    onChange: () => {},
    times: TIMES,
  })
  t.teardown(() => watch.close())
  watch.retain(new Set(names.slice(0, 30)))
  t.equal(pending.size, 16)
  const settled = watch.settle(60_000)
  let answered = 0
  while (answered < 30) {
    for (const answer of [...pending.values()]) {
      answer(new Error('SERVFAIL'))
      answered++
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  await settled
  t.equal(most, 16)
  // All thirty are to be tried again, and nobody answers any more.
  while (pending.size < 3) await new Promise<void>((resolve) => (waiting = resolve))
  await new Promise((resolve) => setTimeout(resolve, 2 * TIMES.maxRetry))
  t.equal(pending.size, 3)
  watch.retain(new Set(names))
  t.equal(pending.size, 16, 'the rest is for new ones')
})

t.test('a name that nobody uses any more is forgotten, and its late answer too', async (t) => {
  let answer: (resolution: Resolution) => void = () => {}
  let asked = 0
  let changes = 0
  const watch = new NameWatch({
    resolve: () => {
      asked++
      return new Promise((resolve) => {
        answer = resolve
      })
    },
    hasChanged: async () => false,
    log: createMemoryLog(),
    onChange: () => {
      changes++
    },
    times: TIMES,
  })
  watch.retain(new Set(['a.test']))
  const settled = watch.settle(60_000)
  watch.retain(new Set())
  await settled
  answer(found(['10.0.0.1']))
  await new Promise((resolve) => setTimeout(resolve, 3 * TIMES.minTtl))
  t.same([asked, changes], [1, 0])
  t.match(watch.get('a.test').addresses, [])
})

t.test('a settling ends after its time', async (t) => {
  const watch = new NameWatch({
    resolve: () => new Promise(() => {}),
    hasChanged: async () => false,
    log: createMemoryLog(),
    onChange: () => {},
  })
  t.teardown(() => watch.close())
  watch.retain(new Set(['a.test']))
  await watch.settle(20)
  t.same(watch.get('a.test').addresses, [])
})

t.test('all are asked for anew where the hosts file is another one', async (t) => {
  let isOther = false
  let address = '10.0.0.1'
  let onChange = () => {}
  const watch = new NameWatch({
    resolve: async () => found([address], 3600),
    hasChanged: async () => isOther,
    log: createMemoryLog(),
    onChange: () => onChange(),
    times: { look: 10 },
  })
  t.teardown(() => watch.close())
  watch.retain(new Set(['a.test']))
  await watch.settle(5_000)
  const changed = new Promise<void>((resolve) => {
    onChange = resolve
  })
  address = '10.0.0.2'
  isOther = true
  await changed
  t.same(watch.get('a.test').addresses, ['10.0.0.2'])
})
