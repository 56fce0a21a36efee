/** What is installed is built, needs no package of the tests, and runs on every Node that is promised. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import t from 'tap'
import { cleanEnvironment } from './bin/process.ts'

type Locked = Readonly<{ dev?: boolean; optional?: boolean; engines?: Readonly<{ node?: string }> }>

const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, Locked> }
/** The oldest of each line that is cared for. */
const NODES = ['20.19.0', '22.12.0', '24.0.0', '26.0.0']

t.test('no package, of the tests neither, asks for another Node: npm ci warns of nothing', async (t) => {
  // Fastify has it.
  const semver = createRequire(import.meta.url)('semver') as { satisfies(version: string, range: string): boolean }
  const wrong = Object.entries(packages).flatMap(([name, { engines, optional }]) =>
    NODES.filter((node) => engines?.node && !optional && !semver.satisfies(node, engines.node)).map(
      (node) => `${name} wants Node ${engines?.node}, not ${node}`,
    ),
  )
  t.same(wrong, [])
})

t.test('the package that npm pack makes runs beside what it depends on, and nothing else', async (t) => {
  const folder = t.testdir({})
  const [{ filename }] = JSON.parse(
    execFileSync('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], { encoding: 'utf8' }),
  )
  const home = join(folder, 'node_modules', 'portico')
  mkdirSync(home, { recursive: true })
  execFileSync('tar', ['-xzf', join(folder, filename), '-C', home, '--strip-components=1'])
  for (const [path, { dev }] of Object.entries(packages)) {
    // Those that lie within another come with it.
    if (dev || !/^node_modules\/(?:@[^/]+\/)?[^/]+$/.test(path)) continue
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    symlinkSync(resolve(path), join(folder, path))
  }
  const run = (...words: string[]) =>
    execFileSync(process.execPath, words, {
      cwd: folder,
      encoding: 'utf8',
      env: cleanEnvironment(),
    })
  const portico = 'node_modules/portico/bin/portico'
  t.equal(run(portico, 'check', '-f', 'node_modules/portico/examples/demo'), 'no problems in 7 objects\n')
  t.match(run(portico, 'run', '--help'), 'usage: portico run')
  const names = "import('portico').then((names) => console.log(typeof names.createGateway))"
  t.equal(run('--eval', names), 'function\n')
})
