import t from 'tap'
import { judge } from './run-files.ts'

const SUMMARY = '# { total: 3, pass: 2, fail: 1 }\n'
const FAILING = `TAP version 14
# Subtest: outer
    # Subtest: inner
        ok 1 - first
        not ok 2 - second
          ---
          compare: ===
          ...
        
        1..2
    not ok 1 - inner # time=1ms
      ---
      at: somewhere
      ...
    
    ok 2 - third
    1..2
not ok 1 - outer # time=2ms
1..1
`
const PASSING = 'TAP version 14\nok 1 - one\nok 2 - two # SKIP no curl\n1..2\n# { total: 2, pass: 1, skip: 1 }\n'

t.test('assertions are counted, and one that fails is told once, with the names that lead to it', async (t) => {
  const told = { passed: 2, failed: 1, skips: [], failures: ['outer > inner > second\n  compare: ==='] }
  t.same(judge(FAILING + SUMMARY, '', 1), told)
  t.same(judge(FAILING + SUMMARY, 'oh', 1), { ...told, failures: [...told.failures, 'stderr\noh'] })
})

t.test('what is skipped is told with its reason', async (t) => {
  t.same(judge(PASSING, 'a warning', 0), { passed: 1, failed: 0, skips: ['two: SKIP no curl'], failures: [] })
})

t.test('a file fails that ends early, runs nothing or ends with an error, whatever passed before', async (t) => {
  t.match(judge(FAILING, '', 'SIGKILL'), { passed: 0, failed: 1, failures: [/^ended with SIGKILL\nTAP/] })
  t.match(judge('', 'Error: no such module', 1), { failed: 1, failures: [/^ended with 1/, /no such module/] })
  t.match(judge('', '', 0), { failed: 1, failures: [/^ended with 0/] })
  t.match(judge('1..0\n# { total: 0, pass: 0 }\n', '', 0), { failed: 1, failures: [/^ended with 0/] })
  for (const late of ['ok 3 - late\n', 'not ok 3 - late\n', 'Error: cannot create subtest after parent test ends\n']) {
    t.match(judge(PASSING + late, '', 0), { failed: 1, failures: [/^ended with 0/] }, late)
  }
  t.match(judge(PASSING, '', 7), { passed: 1, failed: 1, failures: [/^ended with 7/] })
})
