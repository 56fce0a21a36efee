import t from 'tap'
import { printFilters } from '../../lib/filters/registry.ts'
import { ask, HOST, startFiltered, translateFiltered } from './filtered.ts'

const APP = 'http://app.internal:8080/'
const SHOP = `https://\${request.authority}/shop/`

const CASES: readonly (readonly [from: string, to: string, sent: string, got: string])[] = [
  [APP, SHOP, 'http://app.internal:8080/cart?a=b#c', `https://${HOST}:81/shop/cart?a=b#c`],
  [APP, SHOP, 'http://app.internal:8080/', `https://${HOST}:81/shop/`],
  [APP, SHOP, 'http://app.internal:8080//evil.test/', `https://${HOST}:81/shop/evil.test/`],
  [APP, SHOP, 'http://app.internal:8080', 'http://app.internal:8080'],
  [APP, SHOP, 'http://app.internal/cart', 'http://app.internal/cart'],
  [APP, SHOP, '/cart', '/cart'],
  [APP, SHOP, 'https://other.test/?http://app.internal:8080/', 'https://other.test/?http://app.internal:8080/'],
  ['http://app.internal', 'https://shop.test', 'http://app.internal', 'https://shop.test'],
  ['http://app.internal', 'https://shop.test', 'http://app.internal?x', 'https://shop.test?x'],
  ['http://app.internal', 'https://shop.test', 'http://app.internal.evil.test/', 'http://app.internal.evil.test/'],
  ['http://app.internal', 'https://shop.test', 'http://app.internal:1/', 'http://app.internal:1/'],
  ['http://app.internal', 'https://shop.test', 'http://app.internal@evil.test/', 'http://app.internal@evil.test/'],
  ['/app', '/', '/app//evil.test/', '/evil.test/'],
  ['/app/', '/', '/app/\\evil.test/', '/evil.test/'],
  ['/app/', '/', '/app/\t/evil.test/', '/evil.test/'],
  ['/app', '/', '/application', '/application'],
  ['/', '/shop/', '/cart', '/shop/cart'],
  ['/', '/shop/', 'https://other.test/', 'https://other.test/'],
  [`http://\${request.host}/`, `\${request.scheme}://\${request.host}/`, `http://${HOST}/x`, `SCHEME://${HOST}/x`],
]

for (const [from, to, sent, got] of CASES) {
  t.test(`${from} → ${to}: ${sent}`, async (t) => {
    const refreshes = [`5; url=${sent}`, `0;URL='${sent}`]
    const lines = `Location: ${sent}\r\n${refreshes.map((each) => `refresh: ${each}\r\n`).join('')}Link: ${sent}\r\n`
    const answers = { '/a': { pieces: [`HTTP/1.1 302 Found\r\n${lines}Content-Length: 0\r\n\r\n`] } }
    const doors = await startFiltered(t, { 'location-from': from, 'location-to': to }, '/', '', answers)
    for (const door of doors.names) {
      const { status, field } = await ask(doors, door, { host: `${HOST}:81` })
      const expected = got.replace('SCHEME', /TLS|HTTP\/2/.test(door) ? 'https' : 'http')
      t.equal(status, 302, door)
      t.same(field('location'), [expected], door)
      t.same(field('refresh'), [`5; url=${expected}`, `0;URL='${expected}`], door)
      t.same(field('link'), [sent], door)
    }
  })
}

t.test('redirects of the gateway itself, and other answers, are left alone', async (t) => {
  const annotations = { 'location-from': '/', 'location-to': '/shop/', 'redirect-url': '/login' }
  const doors = await startFiltered(t, annotations)
  for (const door of doors.names) t.same((await ask(doors, door, {})).field('location'), ['/login'], door)
})

t.test('what cannot be used is refused', (t) => {
  for (const annotations of [
    { 'location-from': APP },
    { 'location-to': SHOP },
    { 'location-from': 'app.internal', 'location-to': SHOP },
    { 'location-from': APP, 'location-to': '//evil.test/' },
    { 'location-from': APP, 'location-to': `https://\${request.header.x}/` },
    { 'location-from': APP, 'location-to': `/\${request.path}` },
    { 'location-from': APP, 'location-to': `/a\${request.nothing}` },
    { 'location-from': APP, 'location-to': '/a\r\nX: y' },
    { 'location-from': APP, 'location-to': 'https://$host/' },
    { 'location-from': '~^/(.*)$', 'location-to': '/a' },
    { 'location-from': APP, 'location-to': `/${'a'.repeat(2_050)}` },
  ]) {
    const { route, diagnostics } = translateFiltered(annotations)
    t.match(diagnostics[0], { code: 'PORTICO_ANN_VALUE', help: /\w/ }, JSON.stringify(annotations))
    t.match(route, { filters: undefined, action: { type: 'forward' } })
  }
  const { route } = translateFiltered({ 'location-from': APP, 'location-to': SHOP })
  t.same(printFilters(route!), [`location: ${APP} → ${SHOP}`])
  t.end()
})
