import t from 'tap'
import { printFilters } from '../../lib/filters/registry.ts'
import { ask, startFiltered, translateFiltered } from './filtered.ts'

const CASES: readonly (readonly [sent: string, got: string])[] = [
  ['a=b; Domain=app.internal; Path=/app/cart', 'a=b; Domain=shop.example.com; Path=/shop/cart; Secure'],
  ['a=b;domain= .APP.Internal ;path=/app/;HttpOnly', 'a=b; Domain=shop.example.com; Path=/shop/; Secure;HttpOnly'],
  ['a=b; Domain=x.app.internal', 'a=b; Domain=x.app.internal'],
  ['a=b; Domain=app.internal.test', 'a=b; Domain=app.internal.test'],
  ['a=b; Domain=two.internal; Path=/other', 'a=b; Domain=.two.test; Path=/all/other'],
  ['a=b; Path=/App/', 'a=b; Path=/all/App/'],
  ['a=b; Path=app/', 'a=b; Path=app/'],
  ['a=b', 'a=b'],
  ['domain=app.internal; Path', 'domain=app.internal; Path'],
  ['path=/app/; Max-Age=1', 'path=/app/; Max-Age=1'],
  ['a="x; Domain=app.internal"; Path=/app/', 'a="x; Domain=app.internal"; Path=/shop/; Secure'],
  ['', ''],
]

t.test('cookies of endpoints get other domains and paths, at every door', async (t) => {
  const fields = CASES.map(([sent], at) => `${at % 2 === 0 ? 'Set-Cookie' : 'set-cookie'}: ${sent}\r\n`).join('')
  const own = 'X-Set-Cookie: Domain=app.internal\r\nCookie: a; Path=/app/\r\n'
  const answers = {
    '/': { pieces: [`HTTP/1.1 200 OK\r\n${fields}${own}Content-Length: 2\r\n\r\nok`] },
    '/500': { pieces: [`HTTP/1.1 500 X\r\nSet-Cookie: a=b; Path=/app/\r\nContent-Length: 0\r\n\r\n`] },
    '/plain': { pieces: ['HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'] },
  }
  const annotations = {
    'cookie-domain': 'app.internal shop.example.com\n\n  .two.internal   .two.test\nApp.Internal later.test',
    'cookie-path': '/app/ /shop/; Secure\n/ /all/',
  }
  const doors = await startFiltered(t, annotations, '/', '', answers)
  for (const door of doors.names) {
    const { field } = await ask(doors, door, { target: '/' })
    t.same(
      field('set-cookie'),
      CASES.map(([, got]) => got),
      door,
    )
    t.same([field('x-set-cookie'), field('cookie')], [['Domain=app.internal'], ['a; Path=/app/']], door)
    t.same((await ask(doors, door, { target: '/500' })).field('set-cookie'), ['a=b; Path=/shop/; Secure'], door)
    t.same((await ask(doors, door, { target: '/plain' })).field('set-cookie'), [], door)
  }
})

t.test('answers of filters are left alone, and other filters have the last word', async (t) => {
  const set = 'Set-Cookie: a=b; Path=/app/'
  const answers = { '/a': { pieces: [`HTTP/1.1 200 OK\r\n${set}\r\nContent-Length: 0\r\n\r\n`] } }
  for (const [more, expected] of [
    [{ 'respond-status': '200', 'respond-headers': set }, ['a=b; Path=/app/']],
    [{ 'response-headers-add': set }, ['a=b; Path=/shop/', 'a=b; Path=/app/']],
    [{ 'response-headers-remove': 'Set-Cookie' }, []],
  ] as const) {
    const doors = await startFiltered(t, { 'cookie-path': '/app/ /shop/', ...more }, '/', '', answers)
    for (const door of doors.names) t.same((await ask(doors, door, {})).field('set-cookie'), expected, door)
  }
})

t.test('what cannot be used is refused', (t) => {
  for (const [name, value] of [
    ['cookie-domain', ''],
    ['cookie-domain', 'app.internal'],
    ['cookie-domain', 'a b c'],
    ['cookie-domain', 'a b; Secure'],
    ['cookie-domain', 'a b\rc d'],
    ['cookie-domain', 'a ä.test'],
    ['cookie-domain', '~^(.*)$ $1'],
    ['cookie-domain', 'a b\n'.repeat(21)],
    ['cookie-path', '/a'],
    ['cookie-path', 'a /b'],
    ['cookie-path', '/a b'],
    ['cookie-path', '/a /b c'],
    ['cookie-path', '/a /b; Domain=evil.test\r\nX: y'],
    ['cookie-path', '/a; Secure /b'],
    ['cookie-path', '/a $request_uri'],
  ] as const) {
    const { route, diagnostics } = translateFiltered({ [name]: value })
    t.match(diagnostics, [{ code: 'PORTICO_ANN_VALUE', position: { line: 4 }, help: /a line, / }], `${name} ${value}`)
    t.match(route, { filters: undefined, action: { type: 'forward' } })
  }
  const { route } = translateFiltered({ 'cookie-domain': 'a b', 'cookie-path': '/a /b; Secure' })
  t.same(printFilters(route!), ['cookies: domain a → b, path /a → /b; Secure'])
  t.end()
})
