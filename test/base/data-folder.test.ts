import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { findDataDir, keepFile } from '../../lib/base/data-folder.ts'

t.test('the folder is the one of the settings, of XDG, or of the home folder', async (t) => {
  t.equal(findDataDir('/data', { XDG_DATA_HOME: '/x' }), '/data')
  t.equal(findDataDir('', { XDG_DATA_HOME: '/x' }), '/x/portico')
  t.match(findDataDir('', { XDG_DATA_HOME: 'relative' }), /\/\.local\/share\/portico$/)
  t.match(findDataDir('', {}), /\/\.local\/share\/portico$/)
})

t.test('a file is put there whole, for this user alone, in a folder that is made', async (t) => {
  const folder = join(t.testdir(), 'a', 'b')
  await keepFile(folder, 'x.json', 'one')
  await keepFile(folder, 'x.json', 'two')
  t.equal(readFileSync(join(folder, 'x.json'), 'utf8'), 'two')
  t.same(readdirSync(folder), ['x.json'], 'nothing temporary is left')
  t.equal(statSync(join(folder, 'x.json')).mode & 0o777, 0o600)
})

t.test('several that make the same folders at once all succeed', async (t) => {
  const root = t.testdir()
  for (let round = 0; round < 200; round++) {
    const folder = join(root, String(round), 'a', 'b')
    await Promise.all(['x', 'y', 'z', 'w'].map((name) => keepFile(folder, name, 'one')))
    t.same(readdirSync(folder).sort(), ['w', 'x', 'y', 'z'])
  }
})

t.test('a failed write leaves the earlier file as it was', async (t) => {
  const folder = join(t.testdir(), 'data')
  mkdirSync(join(folder, 'x.json'), { recursive: true })
  await t.rejects(keepFile(folder, 'x.json', 'one'), { code: 'EISDIR' })
  t.same(readdirSync(folder), ['x.json'])
  await t.rejects(keepFile('/proc/nope', 'x.json', 'one'))
})
