import t from 'tap'
import { systemClock } from '../../lib/base/clock.ts'
import { DeadlineWatch } from '../../lib/base/deadline.ts'
import { RequestContext } from '../../lib/request/context.ts'
import type { Exchange } from '../../lib/request/exchange.ts'

t.test('the query is parsed once, when a parameter is first asked for', async (t) => {
  const exchange = { connection: { peerAddress: '192.0.2.1', scheme: 'http' } } as unknown as Exchange
  const context = new RequestContext(exchange, undefined, systemClock, new DeadlineWatch(systemClock))
  let reads = 0
  Object.defineProperty(context, 'query', {
    get: () => {
      reads++
      return '?a=1&b=%32'
    },
  })
  t.equal(reads, 0)
  t.same(
    ['a', 'b', 'c'].map((name) => context.parameter(name)),
    ['1', '2', undefined],
  )
  t.equal(reads, 1)
})

t.test('an upstream that the gateway does not have counts as no auth server that cannot be reached', async (t) => {
  const exchange = { connection: { peerAddress: '192.0.2.1', scheme: 'http' } } as unknown as Exchange
  const context = new RequestContext(exchange, undefined, systemClock, new DeadlineWatch(systemClock))
  const question = { upstream: 'a', method: 'GET', target: '/', authority: 'a', lines: '', timeout: 1, maxBytes: 1 }
  await t.rejects(context.ask(question).answer, { message: 'it is not there', isUnreached: false })
})
