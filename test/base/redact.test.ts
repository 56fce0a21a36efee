/** What the log and the records of requests show of a target. */
import fc from 'fast-check'
import t from 'tap'
import { compileRedaction, redactAuthority, redactTarget } from '../../lib/base/redact.ts'
import { makeSettings } from '../helpers/settings.ts'

const KEYS = compileRedaction(makeSettings({}).accessLog.redact)

t.test('values of parameters that may be secret are hidden, all others are as sent', (t) => {
  const cases: readonly (readonly [target: string, shown: string])[] = [
    ['/', '/'],
    ['/a?', '/a?'],
    ['/a?x=1&y=2', '/a?x=1&y=2'],
    ['/cb?code=abc&state=xyz', '/cb?code=***&state=xyz'],
    ['/a?api_key=k&access_token=t&x=1', '/a?api_key=***&access_token=***&x=1'],
    ['/a?PassWord=p', '/a?PassWord=***'],
    ['/s3/o?X-Amz-Signature=ab%2Fc&X-Amz-Date=20260101', '/s3/o?X-Amz-Signature=***&X-Amz-Date=20260101'],
    ['/blob?sv=2024&sig=abc%3D', '/blob?sv=2024&sig=***'],
    // The name counts as the endpoint decodes it.
    ['/a?%74oken=t', '/a?%74oken=***'],
    ['/a?user[password]=p&code[]=1&code[2]=2', '/a?user[password]=***&code[]=***&code[2]=***'],
    ['/a?code[a]=1&code[0][1]=2&code%20=3&auth_code=4', '/a?code[a]=***&code[0][1]=***&code%20=***&auth_code=***'],
    ['/a?token=a=b=c&x=1', '/a?token=***&x=1'],
    ['/a?x=1;token=t;u&y=2', '/a?x=1;token=***&y=2'],
    ['/a?token=;secret&y=2', '/a?token=***&y=2'],
    ['/a?token&token=&y=2', '/a?token&token=&y=2'],
    ['/a?&&token=t&', '/a?&&token=***&'],
    ['/a?encode=gzip&barcode=7&codec=h', '/a?encode=gzip&barcode=7&codec=h'],
    ['/token=visible?x=1', '/token=visible?x=1'],
    [`/a?${'k'.repeat(200)}=v`, `/a?${'k'.repeat(200)}=***`],
    // URLs in values, encoded or not, also more than once, also beside an encoding that is no UTF-8.
    ['/login?next=%2Fpay%3Ftoken%3Dt%26x%3D1&y=2', '/login?next=***&y=2'],
    ['/login?next=/pay?token=t&y=2', '/login?next=/pay?token=***&y=2'],
    ['/login?next=%252Fpay%253Ftoken%253Dt', '/login?next=***'],
    ['/login?next=https%3A%2F%2Fb.test%2Fcb%23access_token%3Dt', '/login?next=***'],
    ['/login?next=%2Fpay%3Ftoken%3Dt%26q%3D%FF&x=%2', '/login?next=***&x=%2'],
    ['/proxy?https%3A%2F%2Fb.test%2Fcb%3Ftoken%3Dt&y=2', '/proxy?***&y=2'],
    ['/proxy?https://b.test/cb?code=t', '/proxy?https://b.test/cb?code=***'],
    ['/img/https%3A%2F%2Fb.test%3Ftoken%3Dt/x', '/img/***/x'],
    ['/login?next=https://user:pass@b.test/&y=2', '/login?next=***&y=2'],
    ['/login?next=https%3A%2F%2Fuser%3Apass%40b.test%2F&y=2', '/login?next=***&y=2'],
    // Fragments, which stand in Referer of some clients.
    ['/a#access_token=t&x=1', '/a#access_token=***&x=1'],
    ['https://b.test/?x=1#code=t', 'https://b.test/?x=1#code=***'],
    // What only looks like them.
    ['/login?next=%2Fpay%3Fpage%3D2&q=a%3Db', '/login?next=%2Fpay%3Fpage%3D2&q=a%3Db'],
    ['/login?next=%2Fpay%3Ftoken%3D&q=%zz%3D', '/login?next=%2Fpay%3Ftoken%3D&q=%zz%3D'],
    ['/a?q=key=1&labelSelector=session%3Dx&data=abckey==', '/a?q=key=1&labelSelector=session%3Dx&data=abckey=='],
    [`/a?cursor=${'Q'.repeat(200)}%3D%3D`, `/a?cursor=${'Q'.repeat(200)}%3D%3D`],
    ['/a?mail=user@b.test', '/a?mail=user@b.test'],
    // Parameters of path segments.
    ['/shop;jsessionid=A1/cart;v=2;token=t?x=1;y', '/shop;jsessionid=***/cart;v=2;token=***?x=1;y'],
    ['/a;token=', '/a;token='],
    ['http://user:pass@a.test/x?token=t', 'http://***@a.test/x?token=***'],
    ['http://a.test/@x', 'http://a.test/@x'],
  ]
  for (const [target, shown] of cases) t.equal(redactTarget(target, KEYS), shown, target)
  t.end()
})

t.test('the names are those of the setting, with * for any text', (t) => {
  t.equal(redactTarget('/?token=t&pin=1', compileRedaction(['pin'])), '/?token=t&pin=***')
  t.equal(redactTarget('/?token=t', compileRedaction([])), '/?token=t')
  t.equal(
    redactTarget('/?a.b.c=1&ac=2&abc=3&axbxc=4', compileRedaction(['a*b*c'])),
    '/?a.b.c=***&ac=2&abc=***&axbxc=***',
  )
  t.equal(redactTarget('/?aba=1&ab=2', compileRedaction(['ab*ba'])), '/?aba=1&ab=2', 'an overlap is no match')
  t.equal(redactTarget('/?x=1', compileRedaction(['*'])), '/?x=***')
  t.equal(redactTarget('/?a.c=1&abc=2', compileRedaction(['a.c'])), '/?a.c=***&abc=2')
  t.equal(redactTarget('/?key=1&x-key=2&keys=3', compileRedaction(['*key'])), '/?key=***&x-key=***&keys=3')
  t.equal(redactTarget('/?xa=1&ax=2', compileRedaction(['a*'])), '/?xa=1&ax=***')
  t.end()
})

t.test('what is too long, or of too many parts, is hidden', async (t) => {
  t.equal(redactTarget(`/${'a'.repeat(4095)}?token=t`, KEYS), `/${'a'.repeat(4095)}***`)
  t.equal(redactTarget(`/a?${'x=1&'.repeat(200)}token=t`, KEYS), `/a?${'x=1&'.repeat(128)}***`)
  t.equal(redactTarget(`/a?${'x=1;'.repeat(200)}token=t`, KEYS), `/a?${'x=1;'.repeat(128)}x=***`)
})

t.test('no target takes a long time', async (t) => {
  const targets = [
    `/?${'x=y;'.repeat(4000)}`,
    `/a${';b'.repeat(4000)}?x=${'%253D%253F'.repeat(1500)}`,
    `/?n=%25252525${'?=1'.repeat(5000)}`,
    `/?n=${'%25'.repeat(3000)}${'%3F%3D1'.repeat(2000)}`,
    `/${'/%'.repeat(8000)}`,
    `/?${'://'.repeat(5000)}`,
  ]
  for (const target of targets) {
    const began = performance.now()
    for (let turn = 0; turn < 100; turn++) redactTarget(target, KEYS)
    t.ok(performance.now() - began < 1000, `${target.slice(0, 20)}: ${(performance.now() - began) / 100} ms`)
  }
})

t.test('an authority is shown without user name and password', async (t) => {
  t.equal(redactAuthority('shop.test:8080'), 'shop.test:8080')
  t.equal(redactAuthority('user:pass@shop.test'), '***@shop.test')
  t.equal(redactAuthority('a@b:c@shop.test'), '***@shop.test')
})

t.test('a name fits a glob as an expression of the same meaning would say', async (t) => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 8 })
  const globs = fc.string({ unit: fc.constantFrom('a', 'b', '*'), minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(globs, letters, (glob, name) => {
      const expression = new RegExp(`^${glob.replaceAll('*', '.*')}$`)
      return compileRedaction([glob]).test(name) === expression.test(name)
    }),
    { numRuns: 2_000 },
  )
  t.pass()
})
