import t from 'tap'
import { type CaseResult, groupReasons, printCase, printTogether, summarize } from './report.ts'

const RESULT: CaseResult = {
  id: 'get-1k',
  title: '1 KiB GET',
  metrics: [
    { key: 'cpuMicros', label: 'CPU µs/req', digits: 1, ratio: true },
    { key: 'failures', label: 'failed', digits: 0, ratio: false },
  ],
  candidates: [
    { name: 'nginx', version: '1.22.1', samples: [20, 10, 30].map((cpuMicros) => ({ cpuMicros, failures: 0 })) },
    { name: 'portico', version: 'Node 24.21.0', samples: [25, 35].map((cpuMicros) => ({ cpuMicros, failures: 1 })) },
  ],
  leftOut: [
    { name: 'caddy', reason: 'not installed' },
    { name: 'envoy', reason: 'not installed' },
    { name: 'traefik', reason: 'it ended' },
  ],
}

t.test(
  'a figure is the median of its rounds with the least and the most, and its ratio to the median of nginx',
  async (t) => {
    const figures = summarize(RESULT)
    t.same(figures.nginx?.cpuMicros, { median: 20, least: 10, most: 30, ratio: 1 })
    t.same(figures.portico?.cpuMicros, { median: 30, least: 25, most: 35, ratio: 1.5 })
    t.same(figures.portico?.failures, { median: 1, least: 1, most: 1 })
  },
)

t.test('there are no ratios where nginx was not measured', async (t) => {
  const figures = summarize({ ...RESULT, candidates: RESULT.candidates.slice(1) })
  t.same(figures.portico?.cpuMicros, { median: 30, least: 25, most: 35 })
})

t.test('the table has a line for each candidate, and what was left out is named once for each reason', async (t) => {
  const lines = printCase(RESULT).split('\n')
  t.ok(lines.includes('| portico Node 24.21.0 | 30.0 (25.0–35.0) ×1.50 |      1 |'), lines.join('\n'))
  t.same(groupReasons(RESULT.leftOut), ['caddy, envoy: not installed', 'traefik: it ended'])
  t.same(lines.filter((line) => line.startsWith('Left out')).length, 2)
})

t.test('cases of the same metrics stand in one table', async (t) => {
  const lines = printTogether([RESULT, { ...RESULT, id: 'get-2k' }]).split('\n')
  t.equal(lines.filter((line) => line.startsWith('|--')).length, 1)
  t.ok(lines.includes('| get-2k | portico Node 24.21.0 | 30.0 ×1.50 |      1 |'), lines.join('\n'))
})
