/** Secrets on real files: made once, kept safely, made anew when they cannot be used. */
import { chmodSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { loadKeptSecret } from '../../lib/control/kept-secret.ts'

function prepare(t: Test) {
  const folder = join(t.testdir(), 'data', 'portico')
  const lines: string[] = []
  const log = pino({}, { write: (line: string) => void lines.push(JSON.parse(line).msg) })
  return { folder, path: join(folder, 'x.key'), lines, load: () => loadKeptSecret(folder, 'x.key', log) }
}

t.test('it is made at the first start, for its owner alone, and is the same at the next', async (t) => {
  const { folder, path, load, lines } = prepare(t)
  const first = await load()
  t.equal(first.length, 32)
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.same(readdirSync(folder), ['x.key'], 'no temporary file is left')
  t.same(await load(), first)
  chmodSync(path, 0o644)
  t.same(await load(), first)
  t.equal(statSync(path).mode & 0o777, 0o600, 'nobody else may read it from now on')
  t.same(lines, [])
})

t.test('what cannot be used is replaced, and said', async (t) => {
  const { folder, path, load, lines } = prepare(t)
  mkdirSync(folder, { recursive: true })
  writeFileSync(path, 'short')
  const made = await load()
  t.equal(made.length, 32)
  t.same(lines, ['a kept secret cannot be used and is made anew'])
  t.same(await load(), made)
})

t.test('where the folder cannot be written it lives in memory', async (t) => {
  const { folder, load } = prepare(t)
  mkdirSync(join(folder, '..'), { recursive: true })
  writeFileSync(folder, 'a file, not a folder')
  const [one, other] = [await load(), await load()]
  t.equal(one.length, 32)
  t.notSame(one, other)
})
