import t from 'tap'
import { compileBeginning, compilePattern, findPatternFault, Pattern } from '../../lib/base/pattern.ts'

t.test('an expression that cannot be used says why', async (t) => {
  t.equal(findPatternFault('^/v[0-9]+/(.*)$'), undefined)
  t.match(findPatternFault('('), /missing closing/)
  t.match(findPatternFault('(a)\\1'), /RE2 has no/, 'RE2 has no references back')
  t.match(findPatternFault('a'.repeat(1001)), /longer than 1000/)
  t.match(findPatternFault('a{600}b{2,600}'), /repetitions add up to more than 1000/)
  t.match(findPatternFault('a\nb'), /control characters/)
})

t.test('an expression is checked in the form that is compiled', async (t) => {
  for (const pattern of ['/a\\Qb', '\\Q', '/a\\Q(']) {
    t.equal(findPatternFault(pattern), 'what begins with \\Q must end with \\E', pattern)
  }
  t.match(findPatternFault('a)(b'), /unexpected \)/)
  for (const pattern of ['/a\\Q(b\\E', '/a(?i)b', '(?i)/a|/b', '[)]', 'a$', '']) {
    t.equal(findPatternFault(pattern), undefined, pattern)
    t.doesNotThrow(() => [new Pattern(pattern), compilePattern(pattern)])
  }
})

t.test('repetitions multiply', async (t) => {
  t.match(findPatternFault('(?:[ab]{0,31}){0,31}z'), /comes to \d+ instructions, more than 200/)
  t.match(findPatternFault(`(?:.*a(?:.{31}){31})+z`), /instructions/)
  t.match(findPatternFault('a?'.repeat(250)), /instructions/)
  for (const pattern of ['.*[A-Za-z0-9+/]{100}=*', '[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}']) {
    t.equal(findPatternFault(pattern), undefined, pattern)
  }
})

t.test('of all alternatives the one is found that describes the whole text', async (t) => {
  t.ok(new Pattern('a|ab').describes('ab'))
  t.ok(new Pattern('(?:a|ab)(?:c|bcd)?').describes('abcd'))
  t.ok(new Pattern('a*?').describes('aaa'))
  t.notOk(new Pattern('a|ab').describes('abc'))
  t.notOk(new Pattern('b').describes('ab'))
  t.ok(new Pattern('').describes(''))
})

t.test('an expression with many states takes little time and memory', async (t) => {
  let seed = 1
  const random = (): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
    return seed >>> 8
  }
  const pattern = new Pattern('.*(?:a|b|c).{0,64}(?:x|y)z')
  const texts = Array.from({ length: 4 }, () => Array.from({ length: 16_384 }, () => 'abcxyd'[random() % 6]).join(''))
  const times = texts.map((text) => {
    const before = process.cpuUsage()
    t.notOk(pattern.describes(text))
    const { user, system } = process.cpuUsage(before)
    return (user + system) / 1000
  })
  // The automaton took ten times as long.
  t.ok(Math.min(...times) < 200, `${times} ms`)
})

t.test('a text begins with what an expression stands for, also with alternatives', async (t) => {
  const beginning = compileBeginning({ path: '/a|/b$' })
  for (const text of ['/a', '/a/x', '/ax', '/b']) t.ok(beginning.begins(text), text)
  for (const text of ['/x/a', '/b/', 'a']) t.notOk(beginning.begins(text), text)
  t.ok(compileBeginning({ path: '(?i)/API' }).begins('/api/x'))
  t.ok(compileBeginning({ path: '^/a' }).begins('/a'))
})

t.test('an expression takes linear time', async (t) => {
  const expression = compileBeginning({ path: '/(a|a)*(a|aa)*(.*.*)*b$' })
  const time = (length: number): number => {
    const started = performance.now()
    expression.begins(`/${'a'.repeat(length)}`)
    return performance.now() - started
  }
  time(100)
  t.ok(time(100_000) < 5_000)
})
