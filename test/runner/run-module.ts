/**
 * The process that test files run in: `node run-module.js MODULE…` runs one as `node MODULE` does, or several, one after the
 * other. A comment in the output tells what each has cost.
 */
import asyncHooks from 'node:async_hooks'
import { readFileSync, writeSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { printCost } from './cost.ts'

/** One tick of Linux. */
const TICK_MS = 10

// tap follows every asynchronous step, to know of which test an uncaught error is: a tenth of all CPU. Here such an error ends
// the process, and the files that it runs have failed.
const hook = { enable: () => hook, disable: () => hook }
Object.assign(asyncHooks, { createHook: () => hook })
syncBuiltinESMExports()

const modules = process.argv.slice(2)
const [first = ''] = modules
// tap names the folders of its fixtures after the second word.
process.argv.splice(1, process.argv.length, resolve(first))

if (modules.length > 1) {
  const { default: t } = await import('tap')
  // Once a file has asked for a teardown of the root test, tap ends that test as soon as it is idle, as while the next file loads. The
  // teardown may close what keeps the process alive, so the test is ended here.
  const { end } = t
  // Each test has a time limit of its own; the one of the root test would be for all files together.
  t.setTimeout(0)
  t.end = () => t
  for (const module of modules) {
    const [start, cpu, folder] = [performance.now(), readCpu(), process.cwd()]
    await load(module)
    // Tests run in the order in which they are told: this one waits for those of the module.
    await t.test(`${module} leaves the process as it was`, async (t) => t.equal(process.cwd(), folder))
    t.comment(printCost(module, { ms: performance.now() - start, cpuMs: readCpu() - cpu }))
  }
  t.end = end
  t.end()
} else {
  process.on('exit', () => {
    writeSync(1, `# ${printCost(first, { ms: performance.now(), cpuMs: readCpu() })}\n`)
  })
  await load(first)
}

function load(module: string): Promise<unknown> {
  return import(pathToFileURL(resolve(module)).href)
}

/** Milliseconds of CPU, of this process and, on Linux, of its children that have ended. */
function readCpu(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000 + readCpuOfChildren()
}

/** Fields 16 and 17 of proc_pid_stat(5): field 3 is the first behind the name in brackets. */
function readCpuOfChildren(): number {
  try {
    const fields = readFileSync('/proc/self/stat', 'latin1').split(') ').at(-1)!.split(' ')
    return (Number(fields[13]) + Number(fields[14])) * TICK_MS
  } catch {
    return 0
  }
}
