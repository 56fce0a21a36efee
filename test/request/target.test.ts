import t from 'tap'
import { parseTarget } from '../../lib/request/target.ts'

t.test('origin-form and absolute-form are read, all else is refused', async (t) => {
  const cases: [string, ReturnType<typeof parseTarget>][] = [
    ['/', { path: '/', query: '', authority: undefined }],
    ['/a?b?c', { path: '/a', query: '?b?c', authority: undefined }],
    ['//a', { path: '//a', query: '', authority: undefined }],
    ['http://h', { path: '/', query: '', authority: 'h' }],
    ['HTTPS://h:1/p?q', { path: '/p', query: '?q', authority: 'h:1' }],
    ['http://h?q', { path: '/', query: '?q', authority: 'h' }],
    ['', undefined],
    ['*', undefined],
    ['?x', undefined],
    ['h:443', undefined],
    ['http://', undefined],
    ['http:/p', undefined],
    ['/a#b', undefined],
  ]
  for (const [target, expected] of cases) t.same(parseTarget(target), expected, target)
})
