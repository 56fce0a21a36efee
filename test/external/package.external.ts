/** Installs Portico as its users do, from the registry that npm is set to: run by `npm run test:external`. */
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { cleanEnvironment } from '../bin/process.ts'

/** Runs npm in a folder; fails the test with what it says where it fails or warns of what it must not. */
function npm(t: Test, cwd: string, warning: RegExp, ...words: string[]): void {
  const { status, stdout, stderr } = spawnSync('npm', words, { cwd, encoding: 'utf8', env: cleanEnvironment() })
  t.equal(status, 0, `npm ${words.join(' ')}\n${stdout}${stderr}`)
  t.notMatch(stdout + stderr, warning)
}

t.test('npm pack makes a package that installs into an empty folder, on this Node', async (t) => {
  const folder = t.testdir({ 'package.json': '{"private": true}' })
  execFileSync('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { stdio: 'ignore' })
  // npm 11 warns of the script `prepare`, which it does not run for a package.
  npm(t, folder, /EBADENGINE/, 'install', './portico-0.1.0.tgz')
  const demo = 'node_modules/portico/examples/demo'
  const checked = execFileSync('node_modules/.bin/portico', ['check', '-f', demo], { cwd: folder, encoding: 'utf8' })
  t.equal(checked, 'no problems in 7 objects\n')
})

for (const flags of [[], ['--omit=dev']]) {
  t.test(['npm ci', ...flags, 'builds a clone, without a warning'].join(' '), async (t) => {
    const folder = t.testdir({})
    const files = execFileSync('git', ['ls-files'], { encoding: 'utf8' }).trim().split('\n')
    for (const file of files) cpSync(file, join(folder, file))
    npm(t, folder, /\bwarn\b/i, 'ci', ...flags)
    const words = ['bin/portico', 'check', '-f', 'examples/demo']
    t.equal(execFileSync('node', words, { cwd: folder, encoding: 'utf8' }), 'no problems in 7 objects\n')
  })
}
