import { pino } from 'pino'
import t from 'tap'
import { DiagnosticList } from '../../lib/base/diagnostics.ts'
import { loadConfiguration } from '../../lib/control/configuration.ts'
import type { ServedConfiguration } from '../../lib/model/served.ts'
import { logReloaded, logReloadFailed } from '../../lib/report/reload-log.ts'
import type { Reloaded } from '../../lib/report/reloaded.ts'

function createLog() {
  const lines: Record<string, unknown>[] = []
  const log = pino({ base: null, timestamp: false }, { write: (line: string) => lines.push(JSON.parse(line)) })
  return { log, lines }
}

function listProblems() {
  const diagnostics = new DiagnosticList()
  const position = { file: 'a.yaml', line: 3, column: 5, length: 1, excerpt: 'port: x' }
  diagnostics.add('PORTICO_SET_FIELD_VALUE', 'http.port: wrong', {
    position,
    help: 'write digits',
    notes: [{ message: 'x' }, { message: 'y', position }],
  })
  diagnostics.add('PORTICO_REF_NO_ENDPOINTS', 'no endpoints', { resource: 'Service default/web' })
  return diagnostics.items
}

t.test('a reload is one line with the changes, and one for each new problem', async (t) => {
  const { log, lines } = createLog()
  const { settings, model } = await loadConfiguration({ sources: [], flags: {}, environment: {} })
  const reloaded: Reloaded = {
    served: { generation: 2, settings, model } as ServedConfiguration,
    files: ['a.yaml', 'b.yaml'],
    changes: [{ type: 'added', subject: 'a.test/', detail: 'Prefix → default/web:80' }],
    kept: [],
    newDiagnostics: listProblems(),
    goneDiagnostics: 1,
    restartSettings: ['http.port'],
    durationMs: 11.6,
  }
  logReloaded(log, reloaded, 3)
  t.same(lines, [
    {
      level: 30,
      generation: 2,
      changes: ['+ a.test/ Prefix → default/web:80'],
      change_count: 1,
      gone_diagnostics: 1,
      in_flight: 3,
      duration_ms: 12,
      msg: 'a.yaml, b.yaml changed',
    },
    {
      level: 50,
      code: 'PORTICO_SET_FIELD_VALUE',
      at: 'a.yaml:3:5',
      help: 'write digits',
      notes: ['x', 'y (a.yaml:3:5)'],
      msg: 'http.port: wrong',
    },
    { level: 40, code: 'PORTICO_REF_NO_ENDPOINTS', resource: 'Service default/web', msg: 'no endpoints' },
    { level: 40, setting: 'http.port', msg: 'http.port changed: takes effect after a restart' },
  ])
})

t.test('many files are told by their number, and no file as a reload', async (t) => {
  const { log, lines } = createLog()
  const common = { changes: [], kept: [], newDiagnostics: [], goneDiagnostics: 0, restartSettings: [], durationMs: 1 }
  const served = { generation: 2 } as ServedConfiguration
  logReloaded(log, { ...common, served, files: ['a', 'b', 'c', 'd'] }, 0)
  logReloaded(log, { ...common, served, files: [] }, 0)
  t.same(
    lines.map(({ msg }) => msg),
    ['4 files changed', 'configuration reloaded'],
  )
})

t.test('a reload that left an older version in force is a warning', async (t) => {
  const { log, lines } = createLog()
  const common = { changes: [], newDiagnostics: [], goneDiagnostics: 0, restartSettings: [], durationMs: 1 }
  const served = { generation: 2 } as ServedConfiguration
  const kept = [
    { text: 'still serving a.yaml as of 14:03:11', reasons: [] },
    { text: 'still serving b.yaml as of 14:03:12', reasons: [] },
  ]
  logReloaded(log, { ...common, served, files: [], kept }, 0)
  t.match(lines, [
    {
      level: 40,
      msg: 'configuration partly reloaded: still serving a.yaml as of 14:03:11, still serving b.yaml as of 14:03:12; portico check prints every problem of what is not taken',
    },
  ])
})

t.test('a reload that failed says why, and what is still served', async (t) => {
  const { log, lines } = createLog()
  const servingSince = new Date(2026, 0, 2, 14, 3, 11).getTime()
  logReloadFailed(log, {
    reason: '1 error, and strict is on',
    newDiagnostics: listProblems(),
    servingSince,
    error: undefined,
  })
  t.match(lines.at(-1), {
    level: 50,
    reason: '1 error, and strict is on',
    msg: 'reload failed: still serving the configuration as of 14:03:11',
  })
  t.equal(lines.length, 3)
  logReloadFailed(log, { reason: 'x', newDiagnostics: [], servingSince, error: new Error('bug') })
  t.match(lines.at(-1), { err: { message: 'bug' } })
})
