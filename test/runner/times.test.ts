import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Times } from './times.ts'

const NOTHING: ReadonlySet<string> = new Set()

t.test('a file is expected to take as long as the last time', async (t) => {
  const path = join(t.testdir({}), 'deep', 'times.json')
  const times = new Times(path)
  times.note('a.test.ts', 70)
  times.save()
  t.equal(new Times(path).expect('a.test.ts', NOTHING), 70)
})

t.test('one that was never measured is expected to be quick unless it starts processes', async (t) => {
  const path = join(t.testdir({}), 'times.json')
  writeFileSync(path, '{"a.test.ts":')
  const times = new Times(path)
  t.ok(times.expect('a.test.ts', NOTHING) < 1_000)
  t.ok(times.expect('b.test.ts', new Set(['node:child_process'])) > 1_000)
})
