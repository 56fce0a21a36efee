/** Secrets in files and in the environment: which may be named, and that nothing of them is told. */
import { execFileSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { SecretSources } from '../../lib/providers/secret-sources.ts'
import { until } from '../helpers/until.ts'

function makeFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'portico-secrets-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  for (const name of ['open', 'closed', 'open-too']) mkdirSync(join(folder, name))
  return folder
}

t.test('only regular files below the folders are read, links resolved first', async (t) => {
  const folder = makeFolder(t)
  const open = join(folder, 'open')
  const closed = join(folder, 'closed', 'users')
  writeFileSync(closed, 'outside')
  writeFileSync(join(folder, 'open-too', 'users'), 'beside')
  writeFileSync(join(open, 'users'), 'in\u00dfide')
  mkdirSync(join(open, 'folder'))
  writeFileSync(join(open, 'folder', 'users'), 'deep')
  symlinkSync(closed, join(open, 'out'))
  symlinkSync(join(folder, 'closed'), join(open, 'out-folder'))
  symlinkSync('users', join(open, 'in'))
  symlinkSync('loop', join(open, 'loop'))
  execFileSync('mkfifo', [join(open, 'pipe')])
  writeFileSync(join(open, 'large'), '')
  truncateSync(join(open, 'large'), 1_048_577)
  const sources = new SecretSources({})
  sources.look([`${open}/`])
  const find = (name: string) => sources.find({ file: name })
  const text = Buffer.from('in\u00dfide').toString('latin1')
  t.same(find(join(open, 'users')), { text })
  t.same(find(join(open, 'in')), { text })
  t.same(find(join(open, 'folder', 'users')), { text: 'deep' })
  const outside = { message: 'it lies in no folder that secretFolders names' }
  t.match(find(join(open, 'out')), outside)
  t.match(find(join(open, 'out-folder', 'users')), outside)
  t.match(find(`${open}/../closed/users`), outside)
  t.match(find(closed), outside)
  t.match(find(join(folder, 'open-too', 'users')), outside, 'a folder whose name begins with the same letters')
  t.match(find(open), outside, 'the folder itself')
  t.match(find('users'), { message: 'the path of the file is not absolute' })
  t.match(find(join(open, 'none')), { message: 'there is no such file' })
  t.match(find(join(open, 'loop')), { message: 'the file cannot be read (ELOOP)' })
  t.match(find(join(open, 'folder')), { message: 'it is no regular file' })
  t.match(find(join(open, 'pipe')), { message: 'it is no regular file' }, 'and nobody waits for it')
  t.match(find(join(open, 'large')), { message: 'the file has more than 1048576 bytes' })
  sources.look([])
  t.match(find(join(open, 'users')), { message: 'no file may be used' })
  const through = new SecretSources({})
  symlinkSync(open, join(folder, 'link'))
  through.look([join(folder, 'link'), join(folder, 'gone')])
  t.same(through.find({ file: join(folder, 'link', 'users') }), { text }, 'the folder may be a link')
})

t.test('variables are those of the environment, and none of Portico itself', async (t) => {
  const sources = new SecretSources({ USERS: 'a:b', EMPTY: '', PORTICO_ADMIN_TOKEN: 'hidden' })
  t.same(sources.find({ env: 'USERS' }), { text: 'a:b' })
  t.equal(sources.find({ env: 'USERS' }), sources.find({ env: 'USERS' }))
  for (const name of ['EMPTY', 'NONE', 'toString']) {
    t.match(sources.find({ env: name }), { message: `the environment has no variable ${name}` })
  }
  t.match(sources.find({ env: 'PORTICO_ADMIN_TOKEN' }), { message: 'variables of Portico itself cannot be used' })
})

t.test('of too many files the first are used, and the others once there is room', async (t) => {
  const folder = join(makeFolder(t), 'open')
  const file = join(folder, 'users')
  writeFileSync(file, 'one')
  const sources = new SecretSources({})
  sources.look([folder])
  t.same(sources.find({ file }), { text: 'one' })
  for (let count = 0; count < 1_000; count++) sources.find({ file: `/other/${count}` })
  const refused = sources.find({ file: '/other/999' })
  t.match(refused, { message: 'more than 1000 files are named' })
  t.equal(sources.find({ file: '/other/1000' }), refused, 'the same as long as nothing changes')
  sources.look([folder])
  t.same(sources.find({ file }), { text: 'one' })
  t.equal(sources.revision, 0)
  await sources.settle()
  sources.find({ file })
  await sources.settle()
  t.match(sources.find({ file: '/other/999' }), { message: 'it lies in no folder that secretFolders names' })
})

t.test('a file that holds something else is another object, and a watch tells of it', async (t) => {
  const folder = join(makeFolder(t), 'open')
  const file = join(folder, 'users')
  writeFileSync(file, 'one')
  const sources = new SecretSources({})
  sources.look([folder])
  const first = sources.find({ file })
  await sources.settle()
  sources.look([folder])
  t.equal(sources.find({ file }), first)
  t.equal(sources.revision, 0)
  const told: boolean[] = []
  const watch = await sources.watch({
    onChange: (isWritten) => told.push(isWritten),
    onTrouble: (message) => t.fail(message),
  })
  t.teardown(() => watch.close())
  writeFileSync(`${file}.new`, 'two')
  renameSync(`${file}.new`, file)
  await until(() => told.length > 0)
  sources.look([folder])
  t.same(sources.find({ file }), { text: 'two' })
  t.equal(sources.revision, 1)
  rmSync(file)
  sources.look([folder])
  t.match(sources.find({ file }), { message: /there is no such file/ })
  t.equal(sources.revision, 2)
})

t.test('a file that changes after it was read, and before it is watched, is seen to have changed', async (t) => {
  const folder = makeFolder(t)
  const file = join(folder, 'open', 'users')
  writeFileSync(file, 'before')
  const sources = new SecretSources({})
  sources.look([join(folder, 'open')])
  t.same(sources.find({ file }), { text: 'before' })
  await sources.settle()
  writeFileSync(file, 'after, and longer')
  // Young files are looked at again in any case.
  utimesSync(file, 1_700_000_000, 1_700_000_000)
  let changes = 0
  const watch = await sources.watch({ onChange: () => changes++, onTrouble: () => {} })
  await until(() => changes > 0)
  sources.look([join(folder, 'open')])
  t.same(sources.find({ file }), { text: 'after, and longer' })
  watch.close()
})
