// Builds after `npm ci`. Where the compiler and Vite were left out with all that is for tests (--omit=dev), npm fetches them for this once.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'

const HERE = import.meta.dirname

// What an older version was built to would be run, and packed, with the rest.
rmSync(`${HERE}/dist`, { recursive: true, force: true })

if (existsSync(`${HERE}/node_modules/typescript`)) run('npm', 'run', 'build')
else {
  const { packages } = JSON.parse(readFileSync(`${HERE}/package-lock.json`, 'utf8'))
  const fetchAndRun = (names, ...words) => {
    const wanted = names.map((name) => `--package=${name}@${packages[`node_modules/${name}`].version}`)
    run('npm', 'exec', '--yes', ...wanted, '--', ...words)
  }
  // Types are not checked: they were left out too.
  fetchAndRun(['typescript'], 'tsc', '--noCheck', '--types', '', '--declaration', 'false')
  if (!process.exitCode) fetchAndRun(['vite', 'preact', 'uplot'], 'vite', 'build', '-c', 'lib/admin/dashboard/vite.config.js', '--logLevel', 'warn')
}

function run(command, ...words) {
  const { status, error } = spawnSync(command, words, { cwd: HERE, stdio: 'inherit' })
  if (status !== 0) console.error(`portico: not built: ${error?.message ?? 'see above'}`)
  process.exitCode = status ?? 1
}
