import t from 'tap'
import { ask, startFiltered } from './filtered.ts'

t.test('fields of requests and of answers are set, added and removed, at every door', async (t) => {
  const doors = await startFiltered(t, {
    'request-headers-set': 'X-Env: prod\nX-Twice: own',
    'request-headers-add': 'X-Tag: b',
    'request-headers-remove': 'X-Secret, cookie',
    'response-headers-set': 'X-Frame-Options: DENY\nServer: mine',
    'response-headers-add': 'Vary: Origin',
    'response-headers-remove': 'x-recorder',
  })
  const fields = [
    ['x-twice', 'theirs'],
    ['x-tag', 'a'],
    ['x-secret', 's'],
    ['cookie', 'a=b'],
    ['x-kept', 'k'],
  ] as const
  for (const door of doors.names) {
    const { status, field, upstream } = await ask(doors, door, { target: '/x?y', fields })
    t.equal(status, 200, door)
    t.equal(upstream[0], 'GET /x?y HTTP/1.1')
    t.same(
      upstream
        .slice(1)
        .filter((line) => line.startsWith('x-') || line.startsWith('cookie'))
        .sort(),
      ['x-env: prod', 'x-kept: k', 'x-tag: a', 'x-tag: b', 'x-twice: own'],
      door,
    )
    t.same(field('x-frame-options'), ['DENY'], door)
    t.same(field('server'), ['mine'])
    t.same(field('vary'), ['Origin'])
    // The gateway's own answers pass through the filters as well.
    const refused = await ask(doors, door, { method: 'POST', fields: [['expect', 'more']], body: 'b' })
    t.not(refused.status, 200)
    const plain = await ask(doors, door, { host: 'gw.test', fields })
    t.same(plain.field('x-frame-options'), [], 'other routes are left alone')
    t.ok(plain.upstream.includes('x-secret: s'))
  }
})

t.test('what the gateway itself says of the client, and trailers, are changed like all else', async (t) => {
  const doors = await startFiltered(t, {
    'request-headers-set': 'X-Real-IP: 9.9.9.9',
    'request-headers-remove': 'X-Debug',
  })
  for (const door of doors.names) {
    const { upstream } = await ask(doors, door, {
      method: 'POST',
      body: 'b',
      fields: [['te', 'trailers']],
      trailers: [
        ['x-debug', '1'],
        ['x_debug', '1'],
        ['x-real-ip', '1.1.1.1'],
        ['x-kept', '1'],
      ],
    })
    t.same(
      upstream.filter((line) => /debug|x-kept/.test(line)),
      ['x-kept: 1'],
      door,
    )
  }
})
