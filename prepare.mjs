// Builds after `npm ci`. Where the compiler was left out with all that is for tests (--omit=dev), npm fetches it for this once.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'

const HERE = import.meta.dirname

// What an older version was built to would be run, and packed, with the rest.
rmSync(`${HERE}/dist`, { recursive: true, force: true })

if (existsSync(`${HERE}/node_modules/typescript`)) run('npm', 'run', 'build')
else {
  const { packages } = JSON.parse(readFileSync(`${HERE}/package-lock.json`, 'utf8'))
  const compiler = `typescript@${packages['node_modules/typescript'].version}`
  // Types are not checked: they were left out too.
  const flags = ['--noCheck', '--types', '', '--declaration', 'false']
  run('npm', 'exec', '--yes', `--package=${compiler}`, '--', 'tsc', ...flags)
}

function run(command, ...words) {
  const { status, error } = spawnSync(command, words, { cwd: HERE, stdio: 'inherit' })
  if (status !== 0) console.error(`portico: not built: ${error?.message ?? 'see above'}`)
  process.exitCode = status ?? 1
}
