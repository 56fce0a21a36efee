import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { Turns } from '../../lib/base/turns.ts'

/** Operations that end when they are told to, and the names of those that have begun. */
function createOperations(limit: number) {
  const turns = new Turns(limit)
  const begun: string[] = []
  const begin = (name: string) => {
    let resolve!: () => void
    let reject!: () => void
    const ended = new Promise<string>((onResolve, onReject) => {
      resolve = () => onResolve(name)
      reject = () => onReject(new Error(name))
    })
    const result = turns.take(() => {
      begun.push(name)
      return ended
    })
    return { result, resolve, reject }
  }
  return { turns, begun, begin }
}

t.test('so many run at once, and the others follow in their order', async (t) => {
  const { begun, begin } = createOperations(2)
  const [first, second] = ['a', 'b', 'c', 'd'].map(begin)
  t.strictSame(begun, ['a', 'b'])
  second!.resolve()
  t.equal(await second!.result, 'b')
  t.strictSame(begun, ['a', 'b', 'c'])
  first!.resolve()
  await first!.result
  await nextTurn()
  t.strictSame(begun, ['a', 'b', 'c', 'd'])
})

t.test('one that fails gives its place to the next', async (t) => {
  const { begun, begin } = createOperations(1)
  const [first, second] = ['a', 'b'].map(begin)
  first!.reject()
  await t.rejects(first!.result, { message: 'a' })
  second!.resolve()
  t.equal(await second!.result, 'b')
  t.strictSame(begun, ['a', 'b'])
})

t.test('what waits when the turns are dropped never runs, and places are free afterwards', async (t) => {
  const { turns, begun, begin } = createOperations(1)
  const [first] = ['a', 'b'].map(begin)
  turns.drop()
  first!.resolve()
  await first!.result
  begin('c')
  t.strictSame(begun, ['a', 'c'])
})
