import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Times } from './times.ts'

t.test('a file is expected to take as long as the last time', async (t) => {
  const path = join(t.testdir({}), 'deep', 'times.json')
  const times = new Times(path)
  times.note('a.test.ts', { ms: 70, cpuMs: 40 })
  times.save()
  t.equal(new Times(path).expect('a.test.ts', new Set()), 70)
  times.note('a.test.ts', { ms: 60, cpuMs: 40 })
  t.equal(times.expect('a.test.ts', new Set()), 60)
})

t.test('a file that was slow once, on a busy machine, is not taken to be slow', async (t) => {
  const times = new Times(join(t.testdir({}), 'times.json'))
  for (const ms of [100, 5_000]) times.note('a.test.ts', { ms, cpuMs: 40 })
  t.equal(times.expect('a.test.ts', new Set()), 125)
})

t.test('one that was never measured is expected to take the longer the more it leads to', async (t) => {
  const path = join(t.testdir({}), 'times.json')
  writeFileSync(path, '{"a.test.ts":')
  const times = new Times(path)
  const reach = (count: number) => new Set(Array.from({ length: count }, (_, index) => `lib/${index}.ts`))
  t.ok(times.expect('a.test.ts', reach(100)) < 1_000)
  t.ok(times.expect('b.test.ts', reach(300)) > 1_000)
})
