import t from 'tap'
import { judge, median, percentile, type Rest, type Sample } from './verdict.ts'

const REST: Rest = { inFlight: 0, tunnels: 0, connections: 0, descriptors: 40 }
const MIB = 2 ** 20

function measure(change: (share: number) => Partial<Sample> = () => ({})): Sample[] {
  return Array.from({ length: 60 }, (_, at) => ({
    at,
    ok: 10_000,
    failed: 0,
    p50: 5,
    p99: 20,
    workerResident: 150 * MIB,
    workerHeap: 40 * MIB,
    controlResident: 100 * MIB,
    workerDescriptors: 200,
    controlDescriptors: 40,
    inFlight: 100,
    connections: 150,
    restarts: 0,
    contained: 0,
    ...change(at / 59),
  }))
}

t.test('what stays as it is is flat, also after it has warmed up', async (t) => {
  t.same(judge(measure(), REST, REST), [])
  t.same(
    judge(
      measure((share) => ({ workerResident: (100 + Math.min(0.3, share) * 400) * MIB })),
      REST,
      REST,
    ),
    [],
  )
  t.same(
    judge(
      measure(() => ({ failed: 10 })),
      REST,
      REST,
    ),
    [],
    'one request in a thousand may fail',
  )
})

t.test('what grows, fails or is left behind is not', async (t) => {
  const cases: readonly (readonly [wrong: RegExp, samples: Sample[], after: Rest])[] = [
    [/worker's resident bytes grow/, measure((share) => ({ workerResident: (100 + share * 400) * MIB })), REST],
    [/control process's resident/, measure((share) => ({ controlResident: (100 + share * 400) * MIB })), REST],
    [/worker's descriptors grow/, measure((share) => ({ workerDescriptors: 100 + share * 400 })), REST],
    [/p99 grows/, measure((share) => ({ p99: 10 + share * 200 })), REST],
    [/2 restarts/, measure(() => ({ restarts: 2 })), REST],
    [/3 contained errors/, measure(() => ({ contained: 3 })), REST],
    [/11 of 10011 ordinary requests failed/, measure(() => ({ failed: 11 })), REST],
    [/no ordinary request/, measure(() => ({ ok: 0 })), REST],
    [/1 requests are left/, measure(), { ...REST, inFlight: 1 }],
    [/1 tunnels are left/, measure(), { ...REST, tunnels: 1 }],
    [/1 connections are left/, measure(), { ...REST, connections: 1 }],
    [/61 descriptors are left/, measure(), { ...REST, descriptors: 61 }],
    [/nothing was measured/, [], REST],
  ]
  for (const [wrong, samples, after] of cases) {
    const found = judge(samples, REST, after)
    t.equal(found.length, 1, String(wrong))
    t.match(found[0], wrong)
  }
})

t.test('ranks of few and of many', async (t) => {
  t.equal(percentile([], 0.99), 0)
  t.equal(percentile([3], 0.99), 3)
  t.equal(median([5, 1, 3]), 3)
  t.equal(
    percentile(
      Array.from({ length: 100 }, (_, at) => at),
      0.99,
    ),
    99,
  )
})
