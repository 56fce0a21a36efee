/** Whose turn it is in the queue, and how much work that is. */
import t from 'tap'
import { ClientShares, type Holder } from '../../../lib/upstream/choice/client-share.ts'
import { type QueuedRequest, RequestQueue } from '../../../lib/upstream/choice/request-queue.ts'

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
const makeHolder = (): Holder => ({
  before: undefined,
  after: undefined,
  stalledFor: () => 0,
  giveWay: () => {},
  breakOff: () => {},
})

t.test('requests whose client may not have another place are not asked, however many they are', async (t) => {
  const shares = new ClientShares()
  shares.places = 64
  const queue = new RequestQueue(shares, () => 0)
  const [greedy, modest] = [shares.find('greedy'), shares.find('modest')]
  for (let n = 0; n < 60; n++) shares.hold(greedy, makeHolder())
  let asked = 0
  const makeRequest = (share: typeof greedy, onTurn: () => boolean): QueuedRequest => ({
    share,
    isHeld: true,
    onTurn,
    onOvertaken: () => {},
  })
  for (let n = 0; n < 500; n++) {
    const request = makeRequest(greedy, () => {
      asked++
      return false
    })
    queue.enter(request, 1000, 1000)
  }
  t.equal(queue.isOrdered, false, 'nobody has to wait behind them')
  const last = makeRequest(modest, () => {
    queue.leave(last)
    return true
  })
  queue.enter(last, 1000, 1000)
  queue.notify()
  await turn()
  await turn()
  t.equal(queue.size, 500, 'who may have one has gone')
  t.equal(asked, 0)
})
