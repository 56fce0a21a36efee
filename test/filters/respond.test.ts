import t from 'tap'
import { ask, startFiltered } from './filtered.ts'

t.test("the gateway answers in the endpoint's place, at every door, whatever the method", async (t) => {
  const doors = await startFiltered(t, {
    'respond-status': '451',
    'respond-body': '{"no": "ü"}',
    'respond-content-type': 'application/json',
    'respond-headers': 'Cache-Control: no-store\nX-Why: law',
  })
  for (const door of doors.names) {
    // The frames of an answer to HEAD cannot be read back by the client that these tests have for HTTP/2.
    for (const method of door === 'HTTP/2' ? ['GET', 'POST'] : ['GET', 'POST', 'HEAD']) {
      const { status, field, body, upstream } = await ask(doors, door, {
        method,
        ...(method === 'POST' && { body: 'upload' }),
      })
      t.equal(status, 451, `${door} ${method}`)
      t.equal(Buffer.from(body, 'latin1').toString(), method === 'HEAD' ? '' : '{"no": "ü"}')
      t.same(field('content-type'), ['application/json'])
      t.same(field('cache-control'), ['no-store'])
      t.same(field('x-why'), ['law'])
      t.equal(field('x-request-id').length, 1)
      t.same(upstream, [])
    }
  }
})

t.test('without a body there is none, and what cannot be used is left out', async (t) => {
  const empty = await startFiltered(t, { 'respond-status': '204' })
  for (const door of empty.names) t.match(await ask(empty, door, {}), { status: 204, body: '', upstream: [] }, door)
  for (const annotations of [
    { 'respond-status': '204', 'respond-body': 'x' },
    { 'respond-status': '99' },
    { 'respond-headers': 'Content-Length: 5' },
    { 'respond-headers': 'no field' },
    { 'respond-body': 'x', 'respond-content-type': 'a\r\nb: c' },
  ]) {
    const doors = await startFiltered(t, annotations)
    t.equal((await ask(doors, 'lane', {})).status, 200, JSON.stringify(annotations))
  }
})
