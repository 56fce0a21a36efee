import { execFileSync } from 'node:child_process'
import { rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Authorities } from '../../lib/upstream/authorities.ts'
import { makeCertificate } from '../helpers/certificates.ts'

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

t.test('a file of authorities is read once', async (t) => {
  const authorities = new Authorities()
  const file = join(t.testdir(), 'ca.pem')
  writeFileSync(file, (await makeCertificate({ names: ['a.test'] })).certificate)
  const context = authorities.context(file)
  t.not(context, authorities.context(''))
  rmSync(file)
  t.equal(authorities.context(file), context)
})
