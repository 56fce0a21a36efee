/** The budget of stream resets: a burst is allowed, time and good streams give back, a flood runs out. */
import t from 'tap'
import { ResetBudget } from '../../../lib/downstream/http2/reset-budget.ts'

function makeBudget() {
  const time = { now: 0 }
  return { time, budget: new ResetBudget({ now: () => 0, monotonic: () => time.now }) }
}

function spendAll(budget: ResetBudget): number {
  let count = 0
  while (budget.spend()) count++
  return count
}

t.test('a hundred at once are allowed, no more', async (t) => {
  const { budget } = makeBudget()
  t.equal(spendAll(budget), 100)
  t.equal(budget.spend(), false)
})

t.test('twenty come back each second, up to the hundred', async (t) => {
  const { budget, time } = makeBudget()
  spendAll(budget)
  time.now = 1000
  t.equal(spendAll(budget), 20)
  time.now = 3_600_000
  t.equal(spendAll(budget), 100)
})

t.test('each stream that ends well gives one back', async (t) => {
  const { budget } = makeBudget()
  spendAll(budget)
  for (let index = 0; index < 3; index++) budget.restore()
  t.equal(spendAll(budget), 3)
})
