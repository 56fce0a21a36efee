import { execFileSync } from 'node:child_process'
import { rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Authorities } from '../../../lib/upstream/transport/authorities.ts'
import { makeCertificate } from '../../helpers/certificates.ts'

t.test('whatever path a Service names, reading it ends at once', async (t) => {
  const authorities = new Authorities()
  const system = authorities.context('')
  const folder = t.testdir({
    'huge.pem': 'x'.repeat(5_000_000),
    empty: '',
  })
  const pipe = join(folder, 'pipe')
  // Nobody writes to it, which keeps whoever opens it.
  execFileSync('mkfifo', [pipe])
  symlinkSync('/dev/zero', join(folder, 'link'))
  for (const file of [pipe, '/dev/zero', join(folder, 'link'), folder, join(folder, 'missing')]) {
    t.equal(authorities.context(file), system, file)
  }
  for (const name of ['huge.pem', 'empty']) t.equal(authorities.context(join(folder, name)), system, name)
})

t.test('a file is followed where it is looked at, and the last good of it stays', async (t) => {
  const news: string[] = []
  const authorities = new Authorities(({ file: _, fault, isKept }) => {
    news.push(fault === undefined ? 'read' : `${isKept ? 'kept' : 'none'}: ${fault.replace(/\S*\//, '')}`)
  })
  const [one, two] = await Promise.all([makeCertificate({ names: ['a.test'] }), makeCertificate({ names: ['b.test'] })])
  const file = join(t.testdir(), 'ca.pem')
  const system = authorities.context('')
  t.equal(authorities.context(file), system)
  t.notOk(authorities.look())
  writeFileSync(file, one.certificate)
  t.equal(authorities.context(file), system, 'until it is looked at')
  t.ok(authorities.look())
  const first = authorities.context(file)
  t.not(first, system)
  t.notOk(authorities.look())
  writeFileSync(file, one.certificate.slice(0, 300))
  t.notOk(authorities.look(file))
  t.notOk(authorities.look(file))
  writeFileSync(file, one.certificate)
  t.notOk(authorities.look(file))
  t.equal(authorities.context(file), first, 'the same authorities are the same object')
  writeFileSync(file, `# ours\n${one.certificate}${two.certificate}`)
  t.notOk(authorities.look('another'))
  t.ok(authorities.look(file))
  const both = authorities.context(file)
  t.not(both, first)
  rmSync(file)
  t.notOk(authorities.look())
  t.equal(authorities.context(file), both)
  t.same(news, [
    'none: ca.pem cannot be read (ENOENT)',
    'read',
    'kept: certificate 1 of ca.pem is malformed',
    'read',
    'read',
    'kept: ca.pem cannot be read (ENOENT)',
  ])
  authorities.retain(new Set(), new Set())
  t.equal(authorities.context(file), system, 'it is forgotten where nothing uses it')
})

t.test('a file of authorities is read once', async (t) => {
  const authorities = new Authorities()
  const file = join(t.testdir(), 'ca.pem')
  writeFileSync(file, (await makeCertificate({ names: ['a.test'] })).certificate)
  const context = authorities.context(file)
  t.not(context, authorities.context(''))
  rmSync(file)
  t.equal(authorities.context(file), context)
})
