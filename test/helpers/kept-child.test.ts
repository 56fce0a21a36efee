/** A test that is killed leaves nothing behind. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { MAIN } from '../bin/process.ts'
import { findFreePorts } from './free-ports.ts'
import { keepChild } from './kept-child.ts'
import { until } from './until.ts'

const HELPER = pathToFileURL(join(import.meta.dirname, 'kept-child.js')).href

/** Starts the commands as a test would, and prints the ids of their processes. */
const program = (commands: readonly (readonly string[])[], options: object) => `
import { spawn } from 'node:child_process'
import { keepChild } from ${JSON.stringify(HELPER)}
for (const [command, ...words] of ${JSON.stringify(commands)})
  console.log(keepChild(spawn(command, words, ${JSON.stringify(options)}), { group: ${'detached' in options} }).pid)
`

function startParent(commands: readonly (readonly string[])[], options: object) {
  const words = ['--input-type=module', '-e', program(commands, options)]
  return keepChild(spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] }))
}

async function readPids(parent: ReturnType<typeof startParent>, count: number): Promise<readonly number[]> {
  let output = ''
  parent.stdout.on('data', (chunk) => {
    output += chunk
  })
  await until(() => output.split('\n').length > count)
  return output.trim().split('\n').map(Number)
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

t.test('what a killed test started ends: an upstream, a gateway, the workers of it', async (t) => {
  const [echo, http, admin] = await findFreePorts(3)
  const gateway = ['run', '-f', 'examples/host-and-path', '--no-https', '--http-address', '127.0.0.1']
  const ports = ['--http-port', String(http), '--admin-port', String(admin), '--data-dir', t.testdir({})]
  const parent = startParent(
    [
      [process.execPath, 'examples/echo.mjs', String(echo)],
      [process.execPath, MAIN, ...gateway, ...ports],
    ],
    { stdio: 'ignore' },
  )
  const pids = await readPids(parent, 2)
  let workers: readonly number[] = []
  await until(async () => {
    const answer = await fetch(`http://127.0.0.1:${admin}/api/v1/workers`).catch(() => undefined)
    workers = answer?.ok ? ((await answer.json()) as readonly { pid: number }[]).map(({ pid }) => pid) : []
    return workers.length > 0
  })
  const all = [...pids, ...workers]
  t.same(all.map(isRunning), [true, true, true])
  parent.kill('SIGKILL')
  await once(parent, 'exit')
  await until(() => !all.some(isRunning))
  t.pass('nothing is left')
})

t.test('so does a group of processes', async (t) => {
  const words = [['sh', '-c', 'sleep 60 & echo $!; wait']]
  const parent = startParent(words, { stdio: ['ignore', 'inherit', 'ignore'], detached: true })
  const pids = await readPids(parent, 2)
  t.same(pids.map(isRunning), [true, true])
  parent.kill('SIGKILL')
  await until(() => !pids.some(isRunning))
})
