import t from 'tap'
import { ask, HOST, startFiltered, translateFiltered } from './filtered.ts'

const HSTS = 'max-age=31536000; includeSubDomains'
const isSecure = (door: string): boolean => door.includes('TLS') || door === 'HTTP/2'

t.test('answers get the set, and over HTTPS alone HSTS, at every door', async (t) => {
  const doors = await startFiltered(t, { 'security-headers': 'true', hsts: 'max-age=31536000;includeSubDomains' })
  for (const door of doors.names) {
    for (const method of ['GET', 'HEAD']) {
      const { field } = await ask(doors, door, { method })
      const label = `${door} ${method}`
      t.same(field('x-content-type-options'), ['nosniff'], label)
      t.same(field('x-frame-options'), ['SAMEORIGIN'], label)
      t.same(field('referrer-policy'), ['strict-origin-when-cross-origin'], label)
      t.same(field('strict-transport-security'), isSecure(door) ? [HSTS] : [], label)
    }
    const { field } = await ask(doors, door, { host: 'gw.test' })
    t.same([field('x-frame-options'), field('strict-transport-security')], [[], []], 'other routes are left alone')
  }
})

t.test('the answers of other filters and errors get it too', async (t) => {
  const doors = await startFiltered(t, { 'security-headers': 'strict', hsts: HSTS, maintenance: 'true' })
  for (const door of doors.names) {
    const { status, field } = await ask(doors, door, {})
    t.equal(status, 503)
    t.same([field('x-frame-options'), field('referrer-policy')], [['DENY'], ['no-referrer']], door)
    t.same([field('cross-origin-opener-policy'), field('permissions-policy')].flat().length, 2)
    t.same(field('strict-transport-security'), isSecure(door) ? [HSTS] : [], door)
  }
})

const SAID = 'X-Frame-Options: ALLOWALL\r\nreferrer-policy: same-origin\r\nStrict-Transport-Security: max-age=5\r\n'
const ANSWERS = { '/': { pieces: [`HTTP/1.1 200 OK\r\n${SAID}Content-Length: 2\r\n\r\nok`] } }

t.test('what an endpoint says stays, unless it is to be overridden', async (t) => {
  for (const override of [false, true]) {
    const annotations = { 'security-headers': 'true', hsts: HSTS, 'security-headers-override': String(override) }
    const doors = await startFiltered(t, annotations, '/', '', ANSWERS)
    for (const door of doors.names) {
      const { field } = await ask(doors, door, { target: '/' })
      const label = `${override} ${door}`
      t.same(field('x-frame-options'), [override ? 'SAMEORIGIN' : 'ALLOWALL'], label)
      t.same(field('referrer-policy'), [override ? 'strict-origin-when-cross-origin' : 'same-origin'], label)
      t.same(field('strict-transport-security'), isSecure(door) ? [override ? HSTS : 'max-age=5'] : [], label)
      t.same(field('x-content-type-options'), ['nosniff'])
    }
  }
})

t.test('headers has the last word, and HSTS may stand alone', async (t) => {
  const doors = await startFiltered(t, {
    'security-headers': 'true',
    'response-headers-set': 'X-Frame-Options: DENY',
    'response-headers-remove': 'referrer-policy',
  })
  const { field } = await ask(doors, 'lane', { host: HOST })
  t.same([field('x-frame-options'), field('referrer-policy')], [['DENY'], []])
  const alone = await startFiltered(t, { hsts: 'max-age=0' })
  const answer = await ask(alone, 'lane over TLS', {})
  t.same([answer.field('strict-transport-security'), answer.field('x-frame-options')], [['max-age=0'], []])
})

t.test('what cannot be used is told', async (t) => {
  const cases: readonly (readonly [annotations: object, filters: number, message?: RegExp])[] = [
    [{ 'security-headers': 'strict' }, 1],
    [{ 'security-headers': 'false' }, 0],
    [{ 'security-headers': 'false', 'security-headers-override': 'true' }, 0],
    [{ hsts: 'max-age=63072000; includeSubDomains; preload' }, 1],
    [{ 'security-headers': 'yes' }, 0, /"yes" is neither "true", "strict" nor "false"$/],
    [{ 'security-headers-override': 'true' }, 0, /it says nothing without security-headers or hsts$/],
    [{ hsts: 'true' }, 0, /"true" is no value of Strict-Transport-Security$/],
    [{ hsts: '31536000' }, 0, /is no value/],
    [{ hsts: 'max-age=1y' }, 0, /is no value/],
    [{ hsts: 'max-age=31536000; preload' }, 0, /takes no host without includeSubDomains/],
    [{ hsts: 'max-age=300; includeSubDomains; preload' }, 0, /max-age of 31536000 or more$/],
  ]
  for (const [annotations, filters, message] of cases) {
    const { route, diagnostics } = translateFiltered(annotations)
    const label = JSON.stringify(annotations)
    t.equal(route?.filters?.length ?? 0, filters, label)
    t.equal(route?.action.type, 'forward', 'it does not guard')
    if (message === undefined) t.same(diagnostics, [], label)
    else t.match(diagnostics, [{ code: 'PORTICO_ANN_VALUE', message, position: { line: 4 } }], label)
  }
})
