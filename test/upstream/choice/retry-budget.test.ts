import t from 'tap'
import { RetryBudget } from '../../../lib/upstream/choice/retry-budget.ts'
import { SlidingWindow } from '../../../lib/upstream/endpoint/sliding-window.ts'
import { makeSettings } from '../../helpers/settings.ts'

const policy = (budget: number, budgetMinimum: number) => ({ ...makeSettings().upstream.retry, budget, budgetMinimum })

t.test('so many percent of the requests of the last ten seconds', async (t) => {
  const budget = new RetryBudget()
  const takeAll = (now: number) => {
    let taken = 0
    while (budget.take(now, policy(20, 0))) taken++
    return taken
  }
  for (let n = 0; n < 100; n++) budget.count(50_000 + n * 10)
  t.equal(takeAll(51_000), 20)
  t.equal(takeAll(59_000), 0)
  for (let n = 0; n < 50; n++) budget.count(59_500)
  t.equal(takeAll(59_500), 10, 'of 150')
  t.equal(takeAll(70_000), 0, 'all of that is long ago')
})

t.test('what is allowed anyway', async (t) => {
  const budget = new RetryBudget()
  for (let n = 0; n < 20; n++) t.equal(budget.take(1_000, policy(0, 2)), true)
  t.equal(budget.take(1_000, policy(0, 2)), false)
  t.equal(budget.take(12_000, policy(0, 2)), true)
  t.equal(budget.take(12_000, policy(0, 0)), false)
})

t.test('a window holds what a plain count of the last while holds', async (t) => {
  const window = new SlidingWindow(1_000)
  const seen: { at: number; some: boolean }[] = []
  let now = 12_345
  for (let n = 0; n < 5_000; n++) {
    now += (n * 7919) % 97 === 0 ? 1_500 : (n * 31) % 23
    window.turn(now)
    window.countAll()
    const some = n % 3 === 0
    if (some) window.countSome()
    seen.push({ at: now, some })
    const first = Math.floor(now / 100) - 9
    const kept = seen.filter(({ at }) => Math.floor(at / 100) >= first)
    if (window.all !== kept.length || window.some !== kept.filter((each) => each.some).length) {
      t.fail(`${n}: ${window.all} and ${window.some}`)
      return
    }
  }
  t.ok(seen.length === 5_000)
})
