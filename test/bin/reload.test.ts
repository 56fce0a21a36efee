import t from 'tap'
import { printReloaded, printReloadFailed } from '../../bin/print/reload.ts'
import { type Diagnostic, DiagnosticList } from '../../lib/base/diagnostics.ts'
import { paintNothing } from '../../lib/base/terminal-text.ts'
import type { ModelChange } from '../../lib/report/diff.ts'
import type { Reloaded } from '../../lib/report/reloaded.ts'

const base: Omit<Reloaded, 'served'> = {
  files: ['k8s/shop.yaml'],
  changes: [],
  kept: [],
  newDiagnostics: [],
  goneDiagnostics: 0,
  restartSettings: [],
  durationMs: 12.4,
}

function print(more: Partial<Reloaded>, inFlight = 0): string[] {
  // The configuration takes no part in the text.
  return printReloaded({ ...base, ...more } as Reloaded, inFlight, paintNothing).split('\n')
}

function diagnose(): readonly Diagnostic[] {
  const list = new DiagnosticList()
  list.add('PORTICO_REF_SERVICE_NOT_FOUND', 'service "cart" not found')
  list.add('PORTICO_REF_CLASS_FOREIGN', 'another class')
  return list.items
}

t.test('the files, the changes and the outcome', async (t) => {
  const changes: ModelChange[] = [
    { type: 'added', subject: 'shop.localhost/cart  Prefix', detail: '→ default/card:80 → 127.0.0.1:9100' },
    { type: 'changed', subject: 'shop.localhost/api', detail: 'endpoints a, b → a' },
  ]
  t.strictSame(print({ changes, goneDiagnostics: 1 }, 214), [
    'k8s/shop.yaml changed',
    '  + shop.localhost/cart  Prefix → default/card:80 → 127.0.0.1:9100',
    '  ~ shop.localhost/api endpoints a, b → a',
    '  1 problem gone.  Live after 12 ms; 214 in flight untouched.',
  ])
})

t.test('a reload that was asked for and changed nothing says so', async (t) => {
  t.strictSame(print({ files: [] }), ['reloaded', '  no route changed', '  Live after 12 ms.'])
})

t.test('many files and changes are counted, not listed', async (t) => {
  const files = Array.from({ length: 9 }, (_, i) => `f${i}.yaml`)
  const changes = Array.from(
    { length: 50 },
    (_, i): ModelChange => ({ type: 'removed', subject: `h${i}/`, detail: '' }),
  )
  const lines = print({ files, changes })
  t.equal(lines[0], 'f0.yaml, f1.yaml, f2.yaml and 6 more changed')
  t.equal(lines[21], '  … and 30 more')
  t.equal(lines.length, 23)
})

t.test('new problems and settings that wait for a restart are told; notices are not', async (t) => {
  const lines = print({ newDiagnostics: diagnose(), restartSettings: ['http.port'] })
  t.strictSame(lines.slice(2), [
    'error  PORTICO_REF_SERVICE_NOT_FOUND  service "cart" not found',
    '  http.port takes effect after a restart',
    '  Live after 12 ms.',
  ])
})

t.test('a file that is kept as it was is told once, after its problems; nothing is called live', async (t) => {
  const text = 'still serving k8s/shop.yaml as of 14:03:11'
  const outcome = `  not taken: ${text}; portico check prints every problem of what is not taken`
  const noted = diagnose().map((problem) => ({ ...problem, notes: [{ message: text }] }))
  const kept = [{ text, reasons: noted }]
  const lines = print({ kept, newDiagnostics: noted })
  t.strictSame(lines, [
    'k8s/shop.yaml changed',
    'error  PORTICO_REF_SERVICE_NOT_FOUND  service "cart" not found',
    outcome,
  ])
  const changes: ModelChange[] = [{ type: 'added', subject: 'a/', detail: '→ b' }]
  t.strictSame(print({ kept, changes }).slice(1), ['  + a/ → b', outcome, '  Live after 12 ms.'])
  t.strictSame(print({ kept, changes, files: [] })[0], 'partly reloaded')
})

t.test('text from files cannot reach the terminal', async (t) => {
  const changes: ModelChange[] = [{ type: 'added', subject: 'a\x1b[2J', detail: '\x07' }]
  t.notMatch(print({ files: ['\x1b.yaml'], changes }).join(''), /[\x00-\x09\x0b-\x1f]/)
})

t.test('a failed reload gives its reason, and the time of the configuration that is still served', async (t) => {
  const servingSince = new Date(2026, 0, 2, 14, 3, 11).getTime()
  const failed = { reason: '1 error, and strict is on', newDiagnostics: diagnose(), servingSince, error: undefined }
  t.strictSame(printReloadFailed(failed, paintNothing).split('\n'), [
    'error  PORTICO_REF_SERVICE_NOT_FOUND  service "cart" not found',
    'not reloaded: 1 error, and strict is on; still serving the configuration of 14:03:11',
  ])
})
