/** What is hidden of targets. */
import fc from 'fast-check'
import t from 'tap'
import { redactTarget } from '../../lib/base/redact.ts'

const KEYS = /token|secret/i

t.test('values of keys that match are hidden, and nothing else', async (t) => {
  const cases: readonly (readonly [target: string, shown: string])[] = [
    ['/a', '/a'],
    ['/token=1', '/token=1'],
    ['/a?b=1&c=2', '/a?b=1&c=2'],
    ['/a?token=1', '/a?token=***'],
    ['/a?x=1&access_token=abc%20&y=2', '/a?x=1&access_token=***&y=2'],
    ['/a?TOKEN=1&Secret=2', '/a?TOKEN=***&Secret=***'],
    ['/a?to%6ben=1', '/a?to%6ben=***'],
    ['/a?to%zzken=1', '/a?to%zzken=1'],
    ['/a?x=1;token=2;y=3', '/a?x=1;token=***;y=3'],
    ['/a?token=a=b&x', '/a?token=***&x'],
    ['/a?token', '/a?token'],
    ['/a?token=&x=1', '/a?token=&x=1'],
    ['/a?x=token', '/a?x=token'],
    ['/a?x&token=1', '/a?x&token=***'],
    ['https://a.test/?q=1&secret=a?token=b', 'https://a.test/?q=1&secret=***'],
    ['?', '?'],
    ['', ''],
  ]
  for (const [target, shown] of cases) t.equal(redactTarget(target, KEYS), shown, target)
})

t.test('a value that is to be hidden is never shown, wherever its parameter stands', async (t) => {
  const word = fc.stringMatching(/^[a-z0-9%.]{0,8}$/)
  const parameter = fc.record({ name: word, value: word })
  fc.assert(
    fc.property(fc.array(parameter), fc.array(parameter), fc.constantFrom('&', ';'), (before, after, separator) => {
      const print = (list: readonly { name: string; value: string }[]) =>
        list.map(({ name, value }) => `${name}=${value}`)
      const secret = 'token=VALUE'
      const shown = redactTarget(`/?${[...print(before), secret, ...print(after)].join(separator)}`, KEYS)
      t.notMatch(shown, 'VALUE')
      t.equal(shown, `/?${[...print(before), 'token=***', ...print(after)].join(separator)}`)
    }),
  )
})
