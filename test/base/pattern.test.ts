import t from 'tap'
import { compileBeginning, findPatternFault } from '../../lib/base/pattern.ts'

t.test('an expression that cannot be used says why', async (t) => {
  t.equal(findPatternFault('^/v[0-9]+/(.*)$'), undefined)
  t.match(findPatternFault('('), /missing closing/)
  t.match(findPatternFault('(a)\\1'), /invalid escape/, 'RE2 has no references back')
  t.match(findPatternFault('a'.repeat(1001)), /longer than 1000/)
  t.match(findPatternFault('a{600}b{2,600}'), /repetitions add up to more than 1000/)
  t.match(findPatternFault('a\nb'), /control characters/)
})

t.test('a text begins with what an expression stands for, also with alternatives', async (t) => {
  const beginning = compileBeginning({ path: '/a|/b$' })
  for (const text of ['/a', '/a/x', '/ax', '/b']) t.ok(beginning.test(text), text)
  for (const text of ['/x/a', '/b/', 'a']) t.notOk(beginning.test(text), text)
  t.ok(compileBeginning({ path: '(?i)/API' }).test('/api/x'))
  t.ok(compileBeginning({ path: '^/a' }).test('/a'))
})

t.test('an expression takes linear time', async (t) => {
  const expression = compileBeginning({ path: '/(a|a)*(a|aa)*(.*.*)*b$' })
  const time = (length: number): number => {
    const started = performance.now()
    expression.test(`/${'a'.repeat(length)}`)
    return performance.now() - started
  }
  time(100)
  t.ok(time(100_000) < 5_000)
})
