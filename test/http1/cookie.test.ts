import t from 'tap'
import { findCookie } from '../../lib/http1/cookie.ts'

t.test('a cookie is found by its whole name', async (t) => {
  const cases: [string | undefined, string | undefined][] = [
    [undefined, undefined],
    ['', undefined],
    ['sid', undefined],
    ['sid=', ''],
    ['sid=1', '1'],
    ['sid=1; sid=2', '1'],
    ['a=b;sid=1;c=d', '1'],
    ['a=b;\t sid=1 ; c=d', '1'],
    ['xsid=1; sid=2', '2'],
    ['sidx=1; sid=2', '2'],
    ['SID=1', undefined],
    ['a=sid=1', undefined],
    ['a= sid=1', undefined],
    ['sid="a b"; c=d', 'a b'],
    ['sid="', '"'],
    ['sid=a=b', 'a=b'],
    ['sid =1', undefined],
  ]
  for (const [field, value] of cases) t.equal(findCookie(field, 'sid'), value, String(field))
})

t.test('hostile fields cost no more than their length', async (t) => {
  for (const field of ['sid'.repeat(10_000), ' '.repeat(30_000), 'sid=;'.repeat(6_000), `${' '.repeat(30_000)}sid`]) {
    t.notOk(findCookie(field, 'sid'))
    t.equal(findCookie(`${field};sidx=1; other=2`, 'other'), '2')
  }
})
