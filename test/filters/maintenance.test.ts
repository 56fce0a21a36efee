import t from 'tap'
import { ask, startFiltered, translateFiltered } from './filtered.ts'

t.test('every request is answered 503 at every door, and none reaches an endpoint', async (t) => {
  const doors = await startFiltered(t, { maintenance: 'true', 'maintenance-message': 'Zurück um zehn.' })
  const text = Buffer.from('Zurück um zehn.\n').toString('latin1')
  for (const door of doors.names) {
    for (const method of ['GET', 'HEAD', 'POST']) {
      const body = method === 'POST' ? { body: 'b' } : {}
      const answer = await ask(doors, door, { method, target: '/x', ...body })
      t.equal(answer.status, 503, `${method}, ${door}`)
      t.same(answer.field('retry-after'), ['120'])
      t.same(answer.field('content-type'), ['text/plain; charset=utf-8'])
      t.equal(answer.body, method === 'HEAD' ? '' : text)
      t.same(answer.upstream, [])
    }
    const { status } = await ask(doors, door, { host: 'gw.test' })
    t.equal(status, 200, 'other routes are left alone')
  }
})

t.test('the answer may stand in a ConfigMap', async (t) => {
  const pages = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: pages}\ndata: {off.html: <p>later</p>}\n'
  const doors = await startFiltered(
    t,
    { maintenance: 'true', 'maintenance-message-from': 'pages/off.html' },
    '/',
    pages,
  )
  for (const door of doors.names) {
    const { status, field, body } = await ask(doors, door, {})
    t.same([status, body, field('retry-after')], [503, '<p>later</p>', ['120']], door)
    t.same(field('content-type'), ['text/html; charset=utf-8'])
  }
  for (const more of [
    { 'maintenance-message-from': 'pages/on' },
    { 'maintenance-message-from': 'pages/off.html', 'maintenance-message': 'x' },
  ]) {
    const without = await startFiltered(t, { maintenance: 'true', ...more }, '/', pages)
    t.equal((await ask(without, 'lane', {})).status, 200, 'the filter is left out')
  }
})

t.test('it is off unless it says "true", and tells what it cannot use', async (t) => {
  const cases: readonly (readonly [annotations: object, filters: number, message?: RegExp])[] = [
    [{ maintenance: 'true' }, 1],
    [{ maintenance: 'true', 'maintenance-message': 'x'.repeat(500) }, 1],
    [{ maintenance: 'false', 'maintenance-message': 'Back at ten.' }, 0],
    [{ 'maintenance-message': 'Back at ten.' }, 0, /it says nothing without maintenance$/],
    [{ maintenance: 'yes' }, 0, /maintenance: "yes" is neither "true" nor "false"$/],
    [{ maintenance: 'true', 'maintenance-message': ' ' }, 0, /maintenance-message: it is empty$/],
    [{ maintenance: 'true', 'maintenance-message': 'x'.repeat(501) }, 0, /it has 501 characters, and 500 are allowed$/],
  ]
  for (const [annotations, filters, message] of cases) {
    const { route, diagnostics } = translateFiltered(annotations)
    const label = JSON.stringify(annotations).slice(0, 60)
    t.equal(route?.filters?.length ?? 0, filters, label)
    t.equal(route?.action.type, 'forward', 'it does not guard')
    if (message === undefined) t.same(diagnostics, [], label)
    else t.match(diagnostics, [{ code: 'PORTICO_ANN_VALUE', message }], label)
  }
})
