import fc from 'fast-check'
import t from 'tap'
import { type Allocations, Ledger, NO_ALLOCATIONS, NumberSpace } from '../../../lib/translate/exposure/allocation.ts'

const DAY = 86_400_000
const NOTATION = { print: String, parse: (value: string) => (/^\d+$/.test(value) ? Number(value) : undefined) }

/** One round: the names that ask, the numbers already taken, and the result. */
function allocate(
  before: Allocations,
  names: readonly string[],
  { size = 40, band = 8, taken = [] as readonly number[], now = 0 } = {},
) {
  const ledger = new Ledger(before)
  const space = new NumberSpace(size, band)
  for (const number of taken) space.take(number)
  const found = ledger.allocate('NodePort', names, space, NOTATION)
  return { found, after: ledger.close(now) }
}

const someNames = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,6}$/), { maxLength: 50 })

t.test('each name has a number of its own, the band comes last', async (t) => {
  const holds = () =>
    fc.assert(
      fc.property(someNames, fc.uniqueArray(fc.nat(39), { maxLength: 20 }), (names, taken) => {
        const { found } = allocate(NO_ALLOCATIONS, names, { taken })
        const numbers = [...found.values()]
        const free = 40 - taken.length
        if (new Set(numbers).size !== numbers.length) throw new Error('a number was given twice')
        if (numbers.some((number) => taken.includes(number))) throw new Error('a taken number was given')
        if (found.size !== Math.min(names.length, free)) throw new Error(`${found.size} of ${names.length} got one`)
        const upper = 32 - taken.filter((number) => number >= 8).length
        const low = numbers.filter((number) => number < 8).length
        if (low !== Math.max(0, found.size - upper)) throw new Error(`${low} of the band while others were free`)
      }),
    )
  t.doesNotThrow(holds)
})

t.test('allocations stay, whatever other Services come and go', async (t) => {
  const holds = () =>
    fc.assert(
      fc.property(fc.array(someNames, { minLength: 2, maxLength: 6 }), (rounds) => {
        let known: Allocations = NO_ALLOCATIONS
        let before: ReadonlyMap<string, number> = new Map()
        for (const names of rounds) {
          const { found, after } = allocate(known, names, { size: 400, band: 16 })
          for (const [name, number] of found) {
            const old = before.get(name)
            if (old !== undefined && old !== number) throw new Error(`${name} moved from ${old} to ${number}`)
          }
          known = after
          before = new Map([...before, ...found])
        }
      }),
    )
  t.doesNotThrow(holds)
})

t.test('without a record most Services get the same number, since their names start the search', async (t) => {
  const names = Array.from({ length: 200 }, (_, index) => `default/service-${index}:80`)
  const whole = allocate(NO_ALLOCATIONS, names, { size: 2768, band: 86 }).found
  const fewer = allocate(
    NO_ALLOCATIONS,
    names.filter((_, index) => index % 10 !== 0),
    { size: 2768, band: 86 },
  ).found
  const moved = [...fewer].filter(([name, number]) => whole.get(name) !== number).length
  t.ok(moved < fewer.size / 20, `${moved} of ${fewer.size} moved`)
  t.ok([...whole.values()].every((number) => number >= 86))
})

t.test('a missing Service keeps its number for a week, unless no other number is left', async (t) => {
  const first = allocate(NO_ALLOCATIONS, ['a', 'b'], { now: 5 })
  const number = first.found.get('a') as number
  const away = allocate(first.after, ['b'], { now: 10 })
  t.same(away.after.get('NodePort a'), { value: String(number), goneAt: 10 })
  const later = allocate(away.after, ['b', 'c'], { now: 6 * DAY })
  t.same(later.after.get('NodePort a'), { value: String(number), goneAt: 10 }, 'it is gone since then')
  const back = allocate(later.after, ['a', 'b', 'c'], { now: 6 * DAY })
  t.equal(back.found.get('a'), number)
  t.same(back.after.get('NodePort a'), { value: String(number) })
  t.notOk(allocate(later.after, ['b', 'c'], { now: 10 + 7 * DAY }).after.has('NodePort a'), 'for a week')

  const crowd = Array.from({ length: 31 }, (_, index) => `x${index}`)
  const around = allocate(away.after, ['b', ...crowd.slice(1)], { now: 10 })
  t.notOk([...around.found.values()].includes(number), 'others go round it')
  const full = allocate(away.after, ['b', ...crowd], { now: 10 })
  t.ok([...full.found.values()].includes(number), 'while there are others above the band')
  t.notOk([...full.found.values()].some((one) => one < 8))
})

t.test('a number that is taken or makes no sense is given up', async (t) => {
  const known: Allocations = new Map([
    ['NodePort a', { value: '9' }],
    ['NodePort b', { value: '9' }],
    ['NodePort c', { value: '40' }],
    ['NodePort d', { value: 'x' }],
    ['NodePort e', { value: '10' }],
    ['ClusterIP a', { value: '11' }],
  ])
  const { found, after } = allocate(known, ['a', 'b', 'c', 'd', 'e'], { taken: [10] })
  t.equal(found.get('a'), 9)
  t.equal(new Set(found.values()).size, 5)
  t.notOk([...found.values()].includes(10))
  t.equal(after.get('ClusterIP a')?.value, '11', 'of another kind')
})

t.test('equal allocations are the same object', async (t) => {
  const { after } = allocate(NO_ALLOCATIONS, ['a', 'b'])
  t.equal(allocate(after, ['b', 'a']).after, after)
  const gone = allocate(after, ['b'], { now: 1 }).after
  t.not(gone, after)
  t.equal(allocate(gone, ['b'], { now: 2 }).after, gone)
  t.equal(allocate(NO_ALLOCATIONS, []).after, NO_ALLOCATIONS)
})

t.test('the allocations of the last missing Services are kept, up to a limit', async (t) => {
  const before = new Map(
    Array.from(
      { length: 5000 },
      (_, index) => [`NodePort s${index}`, { value: String(index), goneAt: index }] as const,
    ),
  )
  const { after } = allocate(before, [], { now: 5000 })
  t.equal(after.size, 4096)
  t.ok(after.has('NodePort s4999'))
  t.notOk(after.has('NodePort s0'))
})
